/*
 * state_check.c: is the state what the ledger says?  For verify().
 *
 * The rules derive it once more, in memory, from what is in blocks, without asking for any fact
 * that was found out before; and each row of the tables is compared with theirs.  It writes
 * nothing, so that a standby can do it, too.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "alliance/fold.h"
#include "alliance/rules_memory.h"
#include "alliance/state_rows.h"
#include "core/encode.h"
#include "ledger/local_node.h"
#include "node/trusted.h"
#include "rules/memory_store.h"
#include "rules/rules.h"

#define CHECK_FETCH 200
#define CHECK_FACTS 1000		/* that are compared at once */
#define CHECK_SHOWN 100			/* characters of a value */

typedef struct StateCheck
{
	MemoryContext context;
	LocalNode	node;
	MemoryStore *store;
	Pool	   *pool;			/* of one row */
	char	  **types[STATE_TABLES];	/* NULL: not asked for yet */
	ReturnSetInfo *result;
	int			nfacts;
	char	   *questions[CHECK_FACTS]; /* hex */
	char	   *answers[CHECK_FACTS];
} StateCheck;

static void
check_fault(StateCheck *check, const char *origin, const char *detail)
{
	Datum		values[2] = {CStringGetTextDatum(origin), CStringGetTextDatum(detail)};
	bool		nulls[2] = {false, false};

	tuplestore_putvalues(check->result->setResult, check->result->setDesc, values, nulls);
}

/* ----- facts that are kept ----- */

static void
check_facts(StateCheck *check)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[2] = {TEXTARRAYOID, TEXTARRAYOID};
	Datum		values[2];

	if (check->nfacts == 0)
		return;
	values[0] = fold_texts((const char *const *) check->questions, (size_t) check->nfacts);
	values[1] = fold_texts((const char *const *) check->answers, (size_t) check->nfacts);
	trusted_read(&plan, "SELECT format('fact %s: the answer is %s, by the ledger %s', u.question, "
				 "to_jsonb(f.answer), to_jsonb(u.answer)) "
				 "FROM unnest($1, $2) u(question, answer) "
				 "JOIN medchain.fact f ON f.question = decode(u.question, 'hex') "
				 "WHERE f.answer <> u.answer", 2, types, values);
	for (uint64 i = 0; i < SPI_processed; i++)
		check_fault(check, check->node.node,
					SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1));
	SPI_freetuptable(SPI_tuptable);
	for (int i = 0; i < check->nfacts; i++)
	{
		pfree(check->questions[i]);
		pfree(check->answers[i]);
	}
	check->nfacts = 0;
}

static void
check_fact_put(void *state, const uint8_t question[HASH_LEN], const char *answer)
{
	StateCheck *check = state;
	char	   *hex = MemoryContextAlloc(check->context, ENCODE_HEX_SIZE(HASH_LEN));

	encode_hex(question, HASH_LEN, hex);
	check->questions[check->nfacts] = hex;
	check->answers[check->nfacts] = MemoryContextStrdup(check->context, answer);
	if (++check->nfacts == CHECK_FACTS)
		check_facts(check);
}

static const RulesStore check_facts_store = {.fact_put = check_fact_put};

/* ----- the state by the ledger ----- */

static const char *
check_entry_text(void *state, Pool *pool, const char *origin, int64_t seq, size_t *len)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[2] = {TEXTOID, INT8OID};
	Datum		values[2] = {CStringGetTextDatum(origin), Int64GetDatum(seq)};
	char	   *copy = NULL;

	trusted_read(&plan, "SELECT payload FROM medchain.entry WHERE origin = $1 AND seq = $2", 2,
				 types, values);
	if (SPI_processed > 0)
	{
		char	   *payload = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);

		*len = strlen(payload);
		copy = pool_copy(pool, payload, *len);
		pfree(payload);
	}
	SPI_freetuptable(SPI_tuptable);
	pfree(DatumGetPointer(values[0]));
	return copy;
}

/* All claims first: members are settled before what they say, and little is judged twice. */
static void
check_derive(StateCheck *check, Rules *rules)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "medchain state check",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Pool	   *pool = pool_new();
	const char **origins = NULL;
	size_t		norigins = 0;
	SPIPlanPtr	plan = SPI_prepare(fold_select("e.origin, ", "e.seq >= 0", "e.origin, e.seq"), 0,
								   NULL);
	Portal		portal;
	uint64		nrows;

	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed");
	portal = SPI_cursor_open(NULL, plan, NULL, NULL, true);
	do
	{
		SPITupleTable *rows;

		MemoryContextReset(context);
		SPI_cursor_fetch(portal, true, CHECK_FETCH);
		rows = SPI_tuptable;
		nrows = SPI_processed;
		for (uint64 i = 0; i < nrows; i++)
		{
			HeapTuple	row = rows->vals[i];
			TupleDesc	desc = rows->tupdesc;
			bool		isnull;
			char	   *origin = SPI_getvalue(row, desc, 1);
			char	   *payload = SPI_getvalue(row, desc, 3);

			if (norigins == 0 || strcmp(origins[norigins - 1], origin) != 0)
			{
				origins = pool_grow(pool, origins, norigins, sizeof(char *));
				origins[norigins++] = pool_text(pool, origin);
			}
			(void) rules_take(rules, payload, strlen(payload), origin,
							  DatumGetInt64(SPI_getbinval(row, desc, 2, &isnull)),
							  DatumGetInt64(SPI_getbinval(row, desc, 4, &isnull)),
							  DatumGetTimestampTz(SPI_getbinval(row, desc, 5, &isnull)));
		}
		SPI_freetuptable(rows);
		CHECK_FOR_INTERRUPTS();
	} while (nrows > 0);
	SPI_cursor_close(portal);
	SPI_freeplan(plan);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	for (size_t i = 0; i < norigins; i++)
		rules_settle(rules, origins[i], 0, INT64_MAX);
	pool_free(pool);
}

/* ----- comparing ----- */

/* On whose chain it is that a row is of. */
static const char *
check_origin(StateCheck *check, const StateRow *row)
{
	StateRow	key = {.table = STATE_PROTOCOL};
	StateRow	protocol;

	switch (row->table)
	{
		case STATE_MEMBER:
		case STATE_CONTRACT:
			return check->node.data_center;
		case STATE_PROTOCOL:
			return row->values[1];
		case STATE_PROTOCOL_GRANT:
		case STATE_DATA_INDEX:
			key.values[0] = row->values[0];
			return memory_store_row(check->store, &key, &protocol) ? protocol.values[1] :
				check->node.node;
		case STATE_ROLE_BINDING:
			return check->node.node;
		default:
			return row->values[0];
	}
}

static const char *
check_name(StateCheck *check, const StateRow *row)
{
	const char *table = state_tables[row->table].name;
	const char *const *values = row->values;

	switch (row->table)
	{
		case STATE_CLAIM:
			return pool_format(check->pool, "%s %s", table, values[1]);
		case STATE_LEDGER_KEY:
			return pool_format(check->pool, "%s %s from block %s", table, values[0], values[1]);
		case STATE_MEMBER_CERTIFICATE:
			return pool_format(check->pool, "%s %s, entry %s", table, values[8], values[9]);
		case STATE_EXCLUSION:
		case STATE_EXAMINEE_KEY:
			return pool_format(check->pool, "%s entry %s", table, values[1]);
		case STATE_PROTOCOL_GRANT:
			return pool_format(check->pool, "%s %s, grant %s", table, values[0], values[1]);
		case STATE_DATA_INDEX:
			return pool_format(check->pool, "%s %s, record %s", table, values[0], values[1]);
		case STATE_ROLE_BINDING:
			return pool_format(check->pool, "%s %s, entry %s", table, values[0], values[3]);
		default:
			return pool_format(check->pool, "%s %s", table, values[0]);
	}
}

/* Two values of a type as JSON has them, cut short. */
static const char *
check_values(StateCheck *check, const char *column, const char *type, const char *here,
			 const char *ledger)
{
	char	   *sql = psprintf("SELECT format('column %%s is %%s, by the ledger %%s', $3, "
							   "coalesce(left(to_jsonb($1::%s)::text, %d), 'null'), "
							   "coalesce(left(to_jsonb($2::%s)::text, %d), 'null'))",
							   type, CHECK_SHOWN, type, CHECK_SHOWN);
	Oid			types[3] = {TEXTOID, TEXTOID, TEXTOID};
	Datum		values[3];
	char		nulls[4] = "   ";
	const char *words;

	nulls[0] = here == NULL ? 'n' : ' ';
	nulls[1] = ledger == NULL ? 'n' : ' ';
	values[0] = here != NULL ? CStringGetTextDatum(here) : (Datum) 0;
	values[1] = ledger != NULL ? CStringGetTextDatum(ledger) : (Datum) 0;
	values[2] = CStringGetTextDatum(column);
	SPI_execute_with_args(sql, 3, types, values, nulls, true, 1);
	words = pool_text(check->pool, SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
	SPI_freetuptable(SPI_tuptable);
	return words;
}

static int
check_order(const void *a, const void *b)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

static void
check_differs(StateCheck *check, const StateRow *here, const StateRow *ledger)
{
	const StateTableInfo *info = &state_tables[here->table];
	const char *columns[STATE_COLUMNS_MAX];
	int			ncolumns = 0;
	PoolText	detail;

	for (int i = 0; i < info->ncolumns; i++)
	{
		const char *a = here->values[i];
		const char *b = ledger->values[i];

		if (a == b || (a != NULL && b != NULL && strcmp(a, b) == 0))
			continue;
		if (check->types[here->table] == NULL)
			check->types[here->table] = state_rows_types(here->table);
		/* begins with the name of the column */
		columns[ncolumns++] = check_values(check, info->columns[i],
										   check->types[here->table][i], a, b);
	}
	if (ncolumns == 0)
		return;
	qsort(columns, (size_t) ncolumns, sizeof(char *), check_order);
	pool_text_begin(&detail, check->pool);
	pool_text_puts(&detail, check_name(check, here));
	for (int i = 0; i < ncolumns; i++)
	{
		pool_text_puts(&detail, i == 0 ? ": " : "; ");
		pool_text_puts(&detail, columns[i]);
	}
	check_fault(check, check_origin(check, ledger), detail.data);
}

static void
check_here(void *state, const StateRow *row)
{
	StateCheck *check = state;
	StateRow	ledger;

	if (memory_store_find(check->store, check->pool, row, &ledger))
		check_differs(check, row, &ledger);
	else
		check_fault(check, check_origin(check, row),
					pool_format(check->pool, "%s: the ledger knows nothing of this row",
								check_name(check, row)));
	pool_reset(check->pool);
}

static void
check_missing(void *state, const StateRow *row)
{
	StateCheck *check = state;

	check_fault(check, check_origin(check, row),
				pool_format(check->pool, "%s: row is missing", check_name(check, row)));
	pool_reset(check->pool);
}

PG_FUNCTION_INFO_V1(medchain_state_faults);

/* state_faults() -> setof (origin text, detail text) */
Datum
medchain_state_faults(PG_FUNCTION_ARGS)
{
	MemoryContext context;
	StateCheck *check;
	TrustedScope scope;
	Facts	   *facts;
	Rules	   *rules;

	InitMaterializedSRF(fcinfo, 0);
	context = rules_memory_new(CurrentMemoryContext, "verify");
	check = MemoryContextAllocZero(context, sizeof(StateCheck));
	check->context = context;
	check->result = (ReturnSetInfo *) fcinfo->resultinfo;
	trusted_begin(&scope);
	if (local_node_read(&check->node))
	{
		/* entries and rows of one moment */
		PushActiveSnapshot(GetTransactionSnapshot());
		check->pool = pool_new();
		check->store = memory_store_new(false);
		memory_store_compact(check->store);
		memory_store_texts(check->store, check_entry_text, check);
		facts = facts_new(&check_facts_store, check);
		rules = rules_new(check->node.alliance, check->node.data_center, check->node.node, facts,
						  &memory_store, check->store);
		check_derive(check, rules);
		check_facts(check);
		for (int table = 0; table < STATE_TABLES; table++)
			state_rows_each((StateTable) table, check_here, check);
		memory_store_unfound(check->store, check_missing, check);
		PopActiveSnapshot();
	}
	trusted_end(&scope);
	MemoryContextDelete(context);
	return (Datum) 0;
}
