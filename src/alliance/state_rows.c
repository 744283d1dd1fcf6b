/*
 * state_rows.c: rows of the state's tables, as the rules write them: doc/ledger.md, "The state's
 * hash".
 *
 * What PostgreSQL prints of a value is not it: a time has several spellings, an array quotes what
 * it has to.  So values are written by the functions of the rules.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/rangetypes.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "alliance/rules_memory.h"
#include "alliance/state_rows.h"
#include "compat.h"
#include "node/trusted.h"

#define ROWS_FETCH 200

char	  **
state_rows_types(StateTable table)
{
	const StateTableInfo *info = &state_tables[table];
	char	  **types = palloc(sizeof(char *) * (Size) info->ncolumns);
	MemoryContext context = CurrentMemoryContext;
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT format_type(a.atttypid, NULL) FROM unnest(ARRAY[");
	for (int i = 0; i < info->ncolumns; i++)
		appendStringInfo(&sql, "%s'%s'", i > 0 ? ", " : "", info->columns[i]);
	appendStringInfo(&sql, "]) WITH ORDINALITY n(name, place) JOIN pg_attribute a "
					 "ON a.attname = n.name AND a.attrelid = 'medchain.%s'::regclass "
					 "ORDER BY n.place", info->name);
	SPI_execute(sql.data, true, 0);
	if (SPI_processed != (uint64) info->ncolumns)
		elog(ERROR, "table \"medchain.%s\" has other columns than the rules", info->name);
	/* SPI leaves us in its own */
	MemoryContextSwitchTo(context);
	for (int i = 0; i < info->ncolumns; i++)
		types[i] = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
	SPI_freetuptable(SPI_tuptable);
	return types;
}

static const char *
rows_array(Pool *pool, Datum value)
{
	const char **elements = NULL;
	Datum	   *values;
	bool	   *nulls;
	int			count;

	deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls,
					  &count);
	elements = palloc(sizeof(char *) * (Size) Max(count, 1));
	for (int i = 0; i < count; i++)
		elements[i] = nulls[i] ? NULL : TextDatumGetCString(values[i]);
	return state_array(pool, elements, (size_t) count);
}

static const char *
rows_period(Pool *pool, Datum value)
{
	RangeType  *range = DatumGetRangeTypeP(value);
	TypeCacheEntry *type = lookup_type_cache(RangeTypeGetOid(range), TYPECACHE_RANGE_INFO);
	RangeBound	lower;
	RangeBound	upper;
	bool		empty;
	Period		period = {0};

	range_deserialize(type, range, &lower, &upper, &empty);
	period.empty = empty;
	if (!empty)
	{
		period.has_from = !lower.infinite;
		period.from_inclusive = lower.inclusive;
		period.from = lower.infinite ? 0 : DatumGetTimestampTz(lower.val);
		period.has_to = !upper.infinite;
		period.to_inclusive = upper.inclusive;
		period.to = upper.infinite ? 0 : DatumGetTimestampTz(upper.val);
	}
	return period_text(pool, &period);
}

static const char *
rows_value(Pool *pool, HeapTuple row, TupleDesc desc, int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(row, desc, column, &isnull);

	if (isnull)
		return NULL;
	switch (SPI_gettypeid(desc, column))
	{
		case TIMESTAMPTZOID:
			return state_time(pool, DatumGetTimestampTz(value));
		case BYTEAOID:
			{
				bytea	   *bytes = DatumGetByteaPP(value);

				return state_bytes(pool, (const uint8_t *) VARDATA_ANY(bytes),
								   VARSIZE_ANY_EXHDR(bytes));
			}
		case BOOLOID:
			return state_boolean(DatumGetBool(value));
		case TEXTARRAYOID:
			return rows_array(pool, value);
		case TSTZRANGEOID:
			return rows_period(pool, value);
		default:
			/* numbers, texts, names of kinds, uuid and jsonb are printed in one way */
			return pool_text(pool, SPI_getvalue(row, desc, column));
	}
}

char *
state_rows_columns(StateTable table, const char *prefix)
{
	const StateTableInfo *info = &state_tables[table];
	StringInfoData sql;

	initStringInfo(&sql);
	for (int i = 0; i < info->ncolumns; i++)
		appendStringInfo(&sql, "%s%s\"%s\"", i > 0 ? ", " : "", prefix, info->columns[i]);
	return sql.data;
}

void
state_rows_read(Pool *pool, StateTable table, HeapTuple tuple, TupleDesc desc, StateRow *row)
{
	memset(row, 0, sizeof(*row));
	row->table = table;
	for (int column = 0; column < state_tables[table].ncolumns; column++)
		row->values[column] = rows_value(pool, tuple, desc, column + 1);
}

void
state_rows_each(StateTable table, const char *condition, StateRowsVisit visit, void *state)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "medchain state rows",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Pool	   *pool = pool_new();
	char	   *sql = psprintf("SELECT %s FROM medchain.%s t WHERE %s",
							   state_rows_columns(table, "t."), state_tables[table].name,
							   condition != NULL ? condition : "true");
	Portal		portal;
	uint64		nrows;
	SPIPlanPtr	plan = SPI_prepare(sql, 0, NULL);

	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed for \"%s\"", sql);
	portal = SPI_cursor_open(NULL, plan, NULL, NULL, true);
	do
	{
		SPITupleTable *rows;

		SPI_cursor_fetch(portal, true, ROWS_FETCH);
		rows = SPI_tuptable;
		nrows = SPI_processed;
		MemoryContextSwitchTo(context); /* SPI leaves us in its own */
		for (uint64 i = 0; i < nrows; i++)
		{
			StateRow	row;

			state_rows_read(pool, table, rows->vals[i], rows->tupdesc, &row);
			visit(state, &row);
			pool_reset(pool);
		}
		SPI_freetuptable(rows);
		MemoryContextReset(context);
		CHECK_FOR_INTERRUPTS();
	} while (nrows > 0);
	SPI_cursor_close(portal);
	SPI_freeplan(plan);
	pool_free(pool);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/* ----- the state's hash ----- */

typedef struct RowHashes
{
	Pool	   *pool;
	uint8_t		(*items)[HASH_LEN];
	size_t		count;
	size_t		size;
} RowHashes;

static void
rows_hash(void *state, const StateRow *row)
{
	RowHashes  *hashes = state;

	if (hashes->count == hashes->size)
	{
		hashes->size *= 2;
		hashes->items = repalloc_huge(hashes->items, hashes->size * HASH_LEN);
	}
	state_row_hash(hashes->pool, row, hashes->items[hashes->count++]);
	pool_reset(hashes->pool);
}

/* Which rows are in it: those that state_is_forked() does not leave out. */
static const char *
rows_hashed(StateTable table)
{
	switch (table)
	{
		case STATE_CLAIM:
		case STATE_FORK:
			return "NOT EXISTS (SELECT FROM medchain.fork f WHERE f.member = t.origin "
				"AND f.from_seq <= t.seq)";
		case STATE_LEDGER_KEY:
			return "t.follows IS NOT NULL OR NOT EXISTS (SELECT FROM medchain.fork f "
				"WHERE f.member = t.member AND f.from_seq IS NOT NULL "
				"AND f.height < t.from_height)";
		default:
			return NULL;
	}
}

PG_FUNCTION_INFO_V1(medchain_state_hash);

/* state_hash() -> bytea */
Datum
medchain_state_hash(PG_FUNCTION_ARGS)
{
	MemoryContext context = rules_memory_new(CurrentMemoryContext, "state hash");
	RowHashes	hashes = {.size = 1024};
	uint8_t		hash[HASH_LEN];
	TrustedScope scope;

	hashes.pool = pool_new();
	hashes.items = MemoryContextAlloc(context, hashes.size * HASH_LEN);
	trusted_begin(&scope);
	for (int table = 0; table < STATE_TABLES; table++)
		state_rows_each((StateTable) table, rows_hashed((StateTable) table), rows_hash, &hashes);
	trusted_end(&scope);
	state_hash(hashes.items, hashes.count, hash);
	MemoryContextDelete(context);
	return trusted_bytea(hash, HASH_LEN);
}
