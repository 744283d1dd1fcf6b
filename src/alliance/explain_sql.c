/*
 * explain_sql.c: what the rules say of an entry, for auditors.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"
#include "utils/uuid.h"

#include "alliance/rulebook.h"
#include "node/trusted.h"
#include "rules/explain.h"

static void
explain_row(void *state, const char *condition, ExplainResult result, const char *judged_by)
{
	ReturnSetInfo *set = state;
	Datum		values[3];
	bool		nulls[3] = {false, result == EXPLAIN_NOT_ASKED, judged_by == NULL};

	values[0] = CStringGetTextDatum(condition);
	values[1] = BoolGetDatum(result == EXPLAIN_HOLDS);
	values[2] = judged_by != NULL ? CStringGetTextDatum(judged_by) : (Datum) 0;
	tuplestore_putvalues(set->setResult, set->setDesc, values, nulls);
}

/* The places of the entries with that id: ids are their authors' choice. */
static SPITupleTable *
explain_places(Datum id)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[1] = {UUIDOID};

	trusted_read(&plan, "SELECT e.origin, e.seq, e.kind FROM medchain.sealed e WHERE e.id = $1 "
				 "ORDER BY e.origin COLLATE \"C\", e.seq", 1, types, &id);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no entry %s here",
						DatumGetCString(DirectFunctionCall1(uuid_out, id))),
				 errhint("An entry that was just appended is judged when it is sealed; one of "
						 "another member when it has arrived.")));
	return SPI_tuptable;
}

PG_FUNCTION_INFO_V1(medchain_explain_entry);

/* explain_entry(entry uuid) -> setof (condition text, holds boolean, judged_by text) */
Datum
medchain_explain_entry(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *set = (ReturnSetInfo *) fcinfo->resultinfo;
	SPITupleTable *places;
	TrustedScope scope;
	Rulebook   *book;
	bool		any = false;

	InitMaterializedSRF(fcinfo, 0);
	trusted_begin(&scope);
	places = explain_places(PG_GETARG_DATUM(0));
	book = rulebook_read(true);
	for (uint64 i = 0; book != NULL && i < places->numvals; i++)
	{
		bool		isnull;
		int64		seq = DatumGetInt64(SPI_getbinval(places->vals[i], places->tupdesc, 2,
													  &isnull));

		if (rules_explain(book->rules, SPI_getvalue(places->vals[i], places->tupdesc, 1), seq,
						  explain_row, set))
			any = true;
	}
	if (book != NULL)
		rulebook_close(book);
	if (!any)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("an entry of kind \"%s\" has no effect on the state",
						SPI_getvalue(places->vals[0], places->tupdesc, 3)),
				 errhint("doc/ledger.md says which kinds of entries the rules judge.")));
	trusted_end(&scope);
	return (Datum) 0;
}
