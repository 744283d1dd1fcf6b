/*
 * oversight_sql.c: which accesses and changes, on any chain, no protocol covered.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
#include "utils/uuid.h"

#include "alliance/rulebook.h"
#include "compat.h"
#include "node/trusted.h"
#include "rules/oversight.h"

#define OVERSIGHT_FETCH 100		/* entries at a time */
#define OVERSIGHT_COLUMNS 10

#define OVERSIGHT_ENTRIES \
	"SELECT e.origin, e.seq, e.payload FROM medchain.sealed e WHERE e.kind = ANY " \
	"('{access, witness, row.insert, row.update, row.delete}') AND "

/*
 * So many entries in front of a part of a chain are looked at for what its author had of others'
 * chains.  Where it is not said there, he need not have known.
 */
#define OVERSIGHT_BEFORE "10000"

/* One call, and where its result goes. */
typedef struct Overseeing
{
	ReturnSetInfo *set;
	Oversight  *oversight;
} Overseeing;

static Datum
overseeing_text(const char *text, bool *isnull)
{
	*isnull = text == NULL || text[0] == '\0';

	return *isnull ? (Datum) 0 : CStringGetTextDatum(text);
}

static void
overseeing_row(const Overseeing *overseeing, const OversightCase *found)
{
	Datum		values[OVERSIGHT_COLUMNS];
	bool		nulls[OVERSIGHT_COLUMNS] = {false};

	if (found->reason == NULL)
		return;
	values[0] = CStringGetTextDatum(found->origin);
	values[1] = Int64GetDatum(found->seq);
	values[2] = DirectFunctionCall1(uuid_in, CStringGetDatum(found->id));
	values[3] = overseeing_text(found->kind, &nulls[3]);
	values[4] = TimestampTzGetDatum(found->time);
	values[5] = overseeing_text(found->actor, &nulls[5]);
	values[6] = overseeing_text(found->operation, &nulls[6]);
	values[7] = overseeing_text(found->relation, &nulls[7]);
	nulls[8] = !found->has_subject;
	values[8] = nulls[8] ? (Datum) 0 : trusted_bytea(found->subject, HASH_LEN);
	values[9] = CStringGetTextDatum(found->reason);
	tuplestore_putvalues(overseeing->set->setResult, overseeing->set->setDesc, values, nulls);
}

/* Each leaf of the set of that access, where this node keeps it. */
static void
overseeing_leaves(const Overseeing *overseeing, const OversightCase *access)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[1] = {UUIDOID};
	Datum		values[1] = {DirectFunctionCall1(uuid_in, CStringGetDatum(access->id))};
	SPITupleTable *leaves;
	uint64		count;

	trusted_read(&plan, "SELECT l.leaf FROM medchain_internal.read_set_leaves($1) l", 1, types,
				 values);
	leaves = SPI_tuptable;
	count = SPI_processed;
	for (uint64 i = 0; i < count; i++)
	{
		bool		isnull;
		bytea	   *leaf = DatumGetByteaPP(SPI_getbinval(leaves->vals[i], leaves->tupdesc, 1,
														 &isnull));
		OversightCase found;

		if (oversight_leaf(overseeing->oversight, (uint8 *) VARDATA_ANY(leaf),
						   VARSIZE_ANY_EXHDR(leaf), &found))
			overseeing_row(overseeing, &found);
		CHECK_FOR_INTERRUPTS();
	}
	SPI_freetuptable(leaves);
}

/* The next entries; false: there are none. */
static bool
overseeing_fetch(const Overseeing *overseeing, Portal cursor)
{
	SPITupleTable *rows;
	uint64		count;

	SPI_cursor_fetch(cursor, true, OVERSIGHT_FETCH);
	rows = SPI_tuptable;
	count = SPI_processed;
	for (uint64 i = 0; i < count; i++)
	{
		bool		isnull;
		char	   *origin = SPI_getvalue(rows->vals[i], rows->tupdesc, 1);
		char	   *payload = SPI_getvalue(rows->vals[i], rows->tupdesc, 3);
		int64		seq = DatumGetInt64(SPI_getbinval(rows->vals[i], rows->tupdesc, 2, &isnull));
		OversightCase found;

		if (oversight_entry(overseeing->oversight, payload, strlen(payload), origin, seq, &found))
		{
			if (found.by_set)
				overseeing_leaves(overseeing, &found);
			else
				overseeing_row(overseeing, &found);
		}
		pfree(origin);
		pfree(payload);
		CHECK_FOR_INTERRUPTS();
	}
	SPI_freetuptable(rows);
	return count > 0;
}

/* Over all chains, or, where the first argument is not null, entries first .. last of that one. */
static Portal
overseeing_open(FunctionCallInfo fcinfo)
{
	static SPIPlanPtr all = NULL;
	static SPIPlanPtr part = NULL;
	Oid			types[3] = {TEXTOID, INT8OID, INT8OID};
	Datum		values[3] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1), PG_GETARG_DATUM(2)};
	char		nulls[3] = {' ', PG_ARGISNULL(1) ? 'n' : ' ', PG_ARGISNULL(2) ? 'n' : ' '};

	if (PG_ARGISNULL(0))
	{
		trusted_plan_anew(&all, OVERSIGHT_ENTRIES "true ORDER BY e.origin COLLATE \"C\", e.seq",
						  0, NULL);
		return SPI_cursor_open(NULL, all, NULL, NULL, true);
	}
	trusted_plan_anew(&part, OVERSIGHT_ENTRIES "e.origin = $1 AND e.seq BETWEEN $2 - "
					  OVERSIGHT_BEFORE " AND $3 AND (e.kind = 'witness' OR e.seq >= $2) "
					  "ORDER BY e.seq", 3, types);
	return SPI_cursor_open(NULL, part, values, nulls, true);
}

PG_FUNCTION_INFO_V1(medchain_uncovered);

/*
 * uncovered(chain text, first bigint, last bigint) -> setof (origin text, seq bigint, entry uuid,
 * kind text, time timestamptz, member text, operation text, relation text, subject bytea, reason
 * text)
 */
Datum
medchain_uncovered(PG_FUNCTION_ARGS)
{
	Overseeing	overseeing = {.set = (ReturnSetInfo *) fcinfo->resultinfo};
	TrustedScope scope;
	Rulebook   *book;
	Portal		cursor;

	InitMaterializedSRF(fcinfo, 0);
	trusted_begin(&scope);
	book = rulebook_read(true);
	if (book != NULL)
	{
		overseeing.oversight = oversight_new(book->rules);
		cursor = overseeing_open(fcinfo);
		while (overseeing_fetch(&overseeing, cursor))
			continue;
		SPI_cursor_close(cursor);
		oversight_free(overseeing.oversight);
		rulebook_close(book);
	}
	trusted_end(&scope);
	return (Datum) 0;
}
