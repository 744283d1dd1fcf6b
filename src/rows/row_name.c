/*
 * row_name.c: is a text that was kept to name a row for people the name of that row?
 *
 * Names of rows that are gone stand in tables of ours, and whoever edits them could have another
 * row accused.  What a row is called leads to its id: the ledger has that.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "compat.h"
#include "ledger/pseudonym.h"
#include "node/trusted.h"
#include "rows/row_commitment.h"
#include "rows/row_name.h"
#include "rows/row_table.h"

#define NAME_TRIES 1000			/* ways to read one: values may look like what is between them */

/* A name that is being read: "a=1, b=2". */
typedef struct RowName
{
	const RowTable *table;
	const uint8_t *id;
	const char *end;
	RowText    *values;			/* of the key's columns */
	int			tries;
} RowName;

/* ----- reading one ----- */

/* What begins a column in a name, if it stands there; behind it. */
static const char *
name_skip(const RowName *name, const char *at, int column)
{
	const char *label = name->table->columns[column].name;
	size_t		len = strlen(label);

	if (column > 0)
	{
		if (name->end - at < 2 || memcmp(at, ", ", 2) != 0)
			return NULL;
		at += 2;
	}
	if ((size_t) (name->end - at) <= len || memcmp(at, label, len) != 0 || at[len] != '=')
		return NULL;
	return at + len + 1;
}

/* Is there a way to read the rest, from the value of this column on, that leads to the id? */
static bool
name_matches(RowName *name, int column, const char *at)
{
	uint8_t		id[HASH_LEN];

	name->values[column].data = at;
	if (column + 1 == name->table->ncolumns)
	{
		name->values[column].len = (size_t) (name->end - at);
		row_id_of_texts(name->table, name->values, id);
		return hash_equal(id, name->id);
	}
	for (const char *stop = at; stop < name->end; stop++)
	{
		const char *behind = name_skip(name, stop, column + 1);

		if (behind == NULL)
			continue;
		name->values[column].len = (size_t) (stop - at);
		if (name_matches(name, column + 1, behind))
			return true;
		if (++name->tries > NAME_TRIES)
			return false;
	}
	return false;
}

RowNameFit
row_name_fits(const RowNames *names, const uint8_t id[HASH_LEN], const char *string, size_t len)
{
	RowText		few[4];
	RowName		name = {.table = names->table, .id = id, .end = string + len, .values = few};
	const char *at = name_skip(&name, string, 0);
	bool		fits;

	if (at == NULL)
		return ROW_NAME_OTHER;
	if (names->table->ncolumns > (int) lengthof(few))
		name.values = palloc(sizeof(RowText) * (Size) names->table->ncolumns);
	fits = name_matches(&name, 0, at);
	if (name.values != few)
		pfree(name.values);
	if (fits)
		return ROW_NAME_FITS;
	return name.tries > NAME_TRIES ? ROW_NAME_UNSURE : ROW_NAME_OTHER;
}

/* ----- what names consist of ----- */

static RowTable *
names_table(SPITupleTable *rows)
{
	RowTable   *table = palloc0(sizeof(RowTable));

	row_table_call(table, SPI_getvalue(rows->vals[0], rows->tupdesc, 1));
	table->columns = palloc0(sizeof(RowColumn) * rows->numvals);
	for (uint64 i = 0; i < rows->numvals; i++)
		row_table_call_column(&table->columns[table->ncolumns++],
							  SPI_getvalue(rows->vals[i], rows->tupdesc, 2), true);
	return table;
}

/*
 * A row for each column of the key.  The table itself is not looked at: somebody may work on it, or
 * have taken a column away.
 */
#define NAMES_QUERY \
	"SELECT t.ledger_name, c.name, (SELECT CASE WHEN NOT s.late THEN s.seq END " \
	"FROM medchain.local_node n, medchain_internal.table_start(n.node, t.ledger_name) s) " \
	"FROM medchain.row_table t LEFT JOIN medchain.row_column c ON c.relation = t.relation " \
	"AND c.attribute = ANY (t.key_columns) WHERE %s ORDER BY c.name COLLATE \"C\""

static RowNames *
names_read(SPIPlanPtr *plan, const char *condition, Oid type, Datum value)
{
	MemoryContext context = CurrentMemoryContext;
	RowNames   *names = palloc0(sizeof(RowNames));

	names->start = PG_INT64_MAX;
	trusted_read(plan, psprintf(NAMES_QUERY, condition), 1, &type, &value);
	MemoryContextSwitchTo(context);
	if (SPI_processed > 0)
	{
		bool		isnull;
		Datum		start;

		names->known = true;
		if (SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2) != NULL)
			names->table = names_table(SPI_tuptable);
		start = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 3, &isnull);
		if (!isnull)
			names->start = DatumGetInt64(start);
	}
	SPI_freetuptable(SPI_tuptable);
	return names;
}

RowNames *
row_names_of(const char *ledger_name)
{
	static SPIPlanPtr plan = NULL;
	RowNames   *names = names_read(&plan, "t.ledger_name = $1 AND medchain_internal.is_watched(t)",
								   TEXTOID, CStringGetTextDatum(ledger_name));

	names->ledger_name = pstrdup(ledger_name);
	return names;
}

/* Of a table; fcinfo keeps all that were asked for from one call of a statement to the next. */
static const RowNames *
names_kept(FunctionCallInfo fcinfo, Oid relation)
{
	static SPIPlanPtr plan = NULL;
	TrustedScope scope;
	MemoryContext old;
	RowNames   *names;
	ListCell   *cell;

	foreach(cell, (List *) fcinfo->flinfo->fn_extra)
	{
		names = lfirst(cell);
		if (names->relation == relation)
			return names;
	}
	trusted_begin(&scope);
	old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
	names = names_read(&plan, "t.relation = $1", OIDOID, ObjectIdGetDatum(relation));
	names->relation = relation;
	fcinfo->flinfo->fn_extra = lcons(names, (List *) fcinfo->flinfo->fn_extra);
	MemoryContextSwitchTo(old);
	trusted_end(&scope);
	return names;
}

PG_FUNCTION_INFO_V1(medchain_is_row_name);

/*
 * is_row_name(relation regclass, row_id bytea, name text) -> boolean; null: it could not be told,
 * as there are too many ways to read it.
 */
Datum
medchain_is_row_name(PG_FUNCTION_ARGS)
{
	const RowNames *names = names_kept(fcinfo, PG_GETARG_OID(0));
	bytea	   *id = PG_GETARG_BYTEA_PP(1);
	text	   *name = PG_GETARG_TEXT_PP(2);
	RowNameFit	fit;

	if (names->table == NULL || VARSIZE_ANY_EXHDR(id) != HASH_LEN)
		PG_RETURN_BOOL(false);
	fit = row_name_fits(names, (const uint8_t *) VARDATA_ANY(id), VARDATA_ANY(name),
						VARSIZE_ANY_EXHDR(name));
	if (fit == ROW_NAME_UNSURE)
		PG_RETURN_NULL();
	PG_RETURN_BOOL(fit == ROW_NAME_FITS);
}
