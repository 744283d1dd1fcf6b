/*
 * node_store_write.c: what waits to be written, and writing rows of state and facts.
 *
 * The rules may change a row several times before it is written, and then it is written once: what
 * goes comes first, then what is there.  Each statement takes many rows, as texts, which PostgreSQL
 * reads as the columns' types.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "alliance/fold.h"
#include "alliance/node_store_internal.h"
#include "alliance/state_rows.h"
#include "core/encode.h"
#include "node/trusted.h"

/* ----- what waits ----- */

static void
waiting_begin(NodeStore *store)
{
	if (store->claims != NULL)
		return;
	store->claims = map_new(store->waiting);
	store->rows = map_new(store->waiting);
	store->trims = map_new(store->waiting);
	store->claim_end = &store->claim_list;
}

/* Nothing waits any more. */
static void
waiting_forget(NodeStore *store)
{
	pool_reset(store->waiting);
	store->claims = NULL;
	store->rows = NULL;
	store->trims = NULL;
	store->claim_list = NULL;
	store->facts = NULL;
	memset(store->row_list, 0, sizeof(store->row_list));
	memset(store->trim_list, 0, sizeof(store->trim_list));
	store->nwaiting = 0;
	store->loose = false;
}

WaitingClaim *
store_waiting_claim(NodeStore *store, const char *origin, int64 seq)
{
	PoolText	key;
	void	  **place;
	WaitingClaim *claim;

	waiting_begin(store);
	pool_text_begin(&key, store->scratch);
	pool_text_add(&key, &seq, sizeof(seq));
	pool_text_puts(&key, origin);
	place = map_at(store->claims, key.data, key.len);
	claim = *place;
	if (claim == NULL)
	{
		claim = *place = pool_alloc(store->waiting, sizeof(WaitingClaim));
		claim->origin = pool_text(store->waiting, origin);
		claim->seq = seq;
		*store->claim_end = claim;
		store->claim_end = &claim->next;
		store->nwaiting++;
	}
	pool_reset(store->scratch);
	return claim;
}

void
store_row(NodeStore *store, const StateRow *row, bool remove)
{
	const StateTableInfo *info = &state_tables[row->table];
	PoolText	key;
	void	  **place;
	WaitingRow *waiting;

	if (!store->write)
		return;
	waiting_begin(store);
	pool_text_begin(&key, store->scratch);
	pool_text_char(&key, (char) ('a' + row->table));
	for (int i = 0; i < info->nkeys; i++)
	{
		/* with its terminator: no value has one in it */
		pool_text_puts(&key, row->values[info->keys[i]]);
		pool_text_char(&key, '\0');
	}
	place = map_at(store->rows, key.data, key.len);
	waiting = *place;
	if (waiting == NULL)
	{
		waiting = *place = pool_alloc(store->waiting, sizeof(WaitingRow));
		waiting->next = store->row_list[row->table];
		store->row_list[row->table] = waiting;
		store->nwaiting++;
	}
	waiting->remove = remove;
	waiting->row.table = row->table;
	for (int i = 0; i < info->ncolumns; i++)
		waiting->row.values[i] = pool_text(store->waiting, row->values[i]);
	pool_reset(store->scratch);
}

static void
waiting_trim(NodeStore *store, StateTable table, const char *protocol, int64 first)
{
	PoolText	key;
	void	  **place;
	WaitingTrim *trim;

	pool_text_begin(&key, store->scratch);
	pool_text_char(&key, (char) ('a' + table));
	pool_text_puts(&key, protocol);
	place = map_at(store->trims, key.data, key.len);
	trim = *place;
	if (trim == NULL)
	{
		trim = *place = pool_alloc(store->waiting, sizeof(WaitingTrim));
		trim->protocol = pool_text(store->waiting, protocol);
		trim->first = first;
		trim->next = store->trim_list[table];
		store->trim_list[table] = trim;
		store->nwaiting++;
	}
	trim->first = Min(trim->first, first);
}

void
store_trim(NodeStore *store, StateTable table, const char *protocol, int64 first, bool there)
{
	PoolText	key;

	if (!store->write)
		return;
	waiting_begin(store);
	if (there)
		waiting_trim(store, table, protocol, first);

	/* and of the rows that wait, up to the first that does not: there are no gaps */
	for (int64 ordinal = first;; ordinal++)
	{
		WaitingRow *row;

		pool_reset(store->scratch);
		pool_text_begin(&key, store->scratch);
		pool_text_char(&key, (char) ('a' + table));
		pool_text_puts(&key, protocol);
		pool_text_char(&key, '\0');
		pool_text_puts(&key, state_number(store->scratch, ordinal));
		pool_text_char(&key, '\0');
		row = map_get(store->rows, key.data, key.len);
		if (row == NULL)
			break;
		row->remove = true;
	}
	pool_reset(store->scratch);
}

void
store_fact_waits(NodeStore *store, const uint8_t question[HASH_LEN], const char *answer)
{
	WaitingFact *fact;

	if (!store->write)
		return;
	waiting_begin(store);
	fact = pool_alloc(store->waiting, sizeof(WaitingFact));
	memcpy(fact->question, question, HASH_LEN);
	fact->answer = pool_text(store->waiting, answer);
	fact->next = store->facts;
	store->facts = fact;
}

/* ----- statements ----- */

/* The statements of a table. */
typedef struct WritePlans
{
	SPIPlanPtr	put;
	SPIPlanPtr	remove;
	SPIPlanPtr	trim;
} WritePlans;

static WritePlans write_plans[STATE_TABLES];

/* Columns of a table with these around each, and that between them. */
static void
write_columns(StringInfo sql, const StateTableInfo *info, const char *before, const char *after,
			  const char *between)
{
	for (int i = 0; i < info->ncolumns; i++)
		appendStringInfo(sql, "%s%s\"%s\"%s", i > 0 ? between : "", before, info->columns[i],
						 after);
}

/*
 * The rows u(c0, c1, ...) of arrays $1, $2, ... that are all as long.  In a target list: as a
 * function in FROM, each array would be written to a store of its own and read again.
 */
static void
write_unnest(StringInfo sql, int count)
{
	for (int i = 0; i < count; i++)
		appendStringInfo(sql, "%s unnest($%d) AS c%d", i > 0 ? "," : "(SELECT", i + 1, i);
	appendStringInfoString(sql, ") u");
}

static char *
write_put_statement(StateTable table)
{
	const StateTableInfo *info = &state_tables[table];
	char	  **types = state_rows_types(table);
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "INSERT INTO medchain.%s (", info->name);
	write_columns(&sql, info, "", "", ", ");
	appendStringInfoString(&sql, ") SELECT ");
	for (int i = 0; i < info->ncolumns; i++)
		appendStringInfo(&sql, "%su.c%d::%s", i > 0 ? ", " : "", i, types[i]);
	appendStringInfoString(&sql, " FROM ");
	write_unnest(&sql, info->ncolumns);
	appendStringInfo(&sql, " ON CONFLICT (\"%s\"", info->columns[info->keys[0]]);
	if (info->nkeys > 1)
		appendStringInfo(&sql, ", \"%s\"", info->columns[info->keys[1]]);
	appendStringInfoString(&sql, ") DO UPDATE SET (");
	write_columns(&sql, info, "", "", ", ");
	appendStringInfoString(&sql, ") = ROW (");
	write_columns(&sql, info, "EXCLUDED.", "", ", ");
	appendStringInfoString(&sql, ")");
	return sql.data;
}

static char *
write_remove_statement(StateTable table)
{
	const StateTableInfo *info = &state_tables[table];
	char	  **types = state_rows_types(table);
	StringInfoData sql;

	initStringInfo(&sql);
	/* as write_trims() */
	appendStringInfo(&sql, "DELETE FROM medchain.%s WHERE ctid = ANY (ARRAY(SELECT y.at FROM ",
					 info->name);
	write_unnest(&sql, info->nkeys);
	appendStringInfo(&sql, ", LATERAL (SELECT x.ctid AS at FROM medchain.%s x", info->name);
	for (int i = 0; i < info->nkeys; i++)
		appendStringInfo(&sql, " %s x.\"%s\" = u.c%d::%s", i > 0 ? "AND" : "WHERE",
						 info->columns[info->keys[i]], i, types[info->keys[i]]);
	appendStringInfoString(&sql, " OFFSET 0) y))");
	return sql.data;
}

/* Rows to be written, column by column. */
typedef struct WriteBatch
{
	const char **columns[STATE_COLUMNS_MAX];
	int			ncolumns;
	size_t		count;
} WriteBatch;

static void
batch_begin(WriteBatch *batch, int ncolumns)
{
	batch->ncolumns = ncolumns;
	batch->count = 0;
	for (int i = 0; i < ncolumns; i++)
		batch->columns[i] = palloc(WRITE_ROWS * sizeof(char *));
}

/* Run a statement of a batch's columns as text[], and empty it. */
static void
batch_write(NodeStore *store, WriteBatch *batch, SPIPlanPtr *plan, const char *sql)
{
	Oid			types[STATE_COLUMNS_MAX];
	Datum		values[STATE_COLUMNS_MAX];
	MemoryContext old = MemoryContextSwitchTo(store->temp);

	for (int i = 0; i < batch->ncolumns; i++)
	{
		types[i] = TEXTARRAYOID;
		values[i] = fold_texts(batch->columns[i], batch->count);
	}
	(void) trusted_execute(plan, sql, batch->ncolumns, types, values, NULL, false);
	batch->count = 0;
	MemoryContextSwitchTo(old);
	MemoryContextReset(store->temp);
}

static void
write_put(NodeStore *store, StateTable table, WriteBatch *batch)
{
	SPIPlanPtr *plan = &write_plans[table].put;

	if (batch->count > 0)
		batch_write(store, batch, plan, *plan == NULL ? write_put_statement(table) : NULL);
}

static void
batch_add(NodeStore *store, StateTable table, WriteBatch *batch, const StateRow *row)
{
	for (int i = 0; i < batch->ncolumns; i++)
		batch->columns[i][batch->count] = row->values[i];
	if (++batch->count == WRITE_ROWS)
		write_put(store, table, batch);
}

/* ----- writing what waits ----- */

static void
write_removals(NodeStore *store, StateTable table)
{
	const StateTableInfo *info = &state_tables[table];
	SPIPlanPtr *plan = &write_plans[table].remove;
	WriteBatch	batch;

	batch_begin(&batch, info->nkeys);
	for (const WaitingRow *waiting = store->row_list[table]; waiting != NULL;
		 waiting = waiting->next)
	{
		if (waiting->remove)
		{
			for (int i = 0; i < info->nkeys; i++)
				batch.columns[i][batch.count] = waiting->row.values[info->keys[i]];
			batch.count++;
		}
		if (batch.count == WRITE_ROWS || (batch.count > 0 && waiting->next == NULL))
			batch_write(store, &batch, plan, *plan == NULL ? write_remove_statement(table) : NULL);
	}
}

static void
write_trims(NodeStore *store, StateTable table)
{
	SPIPlanPtr *plan = &write_plans[table].trim;

	/* a plan of when the table was empty must not compare all of its rows with each protocol */
	const char *sql = psprintf("DELETE FROM medchain.%1$s WHERE ctid = ANY (ARRAY("
							   "SELECT y.at FROM unnest($1, $2) u(protocol, first), "
							   "LATERAL (SELECT x.ctid AS at FROM medchain.%1$s x "
							   "WHERE x.protocol = u.protocol::uuid AND x.ordinal >= "
							   "u.first::bigint OFFSET 0) y))", state_tables[table].name);
	WriteBatch	batch;

	batch_begin(&batch, 2);
	for (const WaitingTrim *trim = store->trim_list[table]; trim != NULL; trim = trim->next)
	{
		batch.columns[0][batch.count] = trim->protocol;
		batch.columns[1][batch.count] = state_number(store->waiting, trim->first);
		if (++batch.count == WRITE_ROWS || trim->next == NULL)
			batch_write(store, &batch, plan, sql);
	}
}

static void
write_rows(NodeStore *store, StateTable table)
{
	WriteBatch	batch;

	batch_begin(&batch, state_tables[table].ncolumns);
	for (const WaitingRow *waiting = store->row_list[table]; waiting != NULL;
		 waiting = waiting->next)
		if (!waiting->remove)
			batch_add(store, table, &batch, &waiting->row);
	write_put(store, table, &batch);
}

static void
write_facts(NodeStore *store)
{
	static SPIPlanPtr plan = NULL;
	static const char *const sql = "INSERT INTO medchain.fact (question, answer) "
	"SELECT decode(u.question, 'hex'), u.answer "
	"FROM (SELECT unnest($1) AS question, unnest($2) AS answer) u "
	"ON CONFLICT DO NOTHING";
	WriteBatch	batch;

	batch_begin(&batch, 2);
	for (const WaitingFact *fact = store->facts; fact != NULL; fact = fact->next)
	{
		char	   *hex = pool_alloc(store->waiting, ENCODE_HEX_SIZE(HASH_LEN));

		encode_hex(fact->question, HASH_LEN, hex);
		batch.columns[0][batch.count] = hex;
		batch.columns[1][batch.count] = fact->answer;
		if (++batch.count == WRITE_ROWS || fact->next == NULL)
			batch_write(store, &batch, &plan, sql);
	}
}

void
store_flush(NodeStore *store)
{
	MemoryContext context;
	MemoryContext old;

	if (store->claims == NULL)
		return;
	context = AllocSetContextCreate(CurrentMemoryContext, "medchain rules write",
									ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	store_concerned(store);
	MemoryContextReset(context);
	store_write_claims(store);
	for (int table = 0; table < STATE_TABLES; table++)
	{
		if (store->trim_list[table] != NULL)
			write_trims(store, (StateTable) table);
		if (store->row_list[table] != NULL)
		{
			write_removals(store, (StateTable) table);
			write_rows(store, (StateTable) table);
		}
		MemoryContextReset(context);
	}
	write_facts(store);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	waiting_forget(store);
	store->fresh = NULL;
	CommandCounterIncrement();
}
