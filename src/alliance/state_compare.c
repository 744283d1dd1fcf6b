/*
 * state_compare.c: rows of the state, and facts, as the tables have them and by the ledger.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "alliance/fold.h"
#include "alliance/state_check.h"
#include "core/encode.h"
#include "node/trusted.h"

#define CHECK_SHOWN 100			/* characters of a value */

/* ----- facts that are kept ----- */

void
check_facts(StateCheck *check)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[2] = {TEXTARRAYOID, TEXTARRAYOID};
	Datum		values[2];
	MemoryContext old;

	if (check->nfacts == 0)
		return;
	old = MemoryContextSwitchTo(check->step);
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
	MemoryContextSwitchTo(old);
	MemoryContextReset(check->step);
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

const RulesStore check_facts_store = {.fact_put = check_fact_put};

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
			return memory_store_row(check->part != NULL ? check->part : check->members, &key,
									&protocol) ? protocol.values[1] : check->node.node;
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
		case STATE_FORK:
		case STATE_EXAMINEE_KEY:
		case STATE_BREAK_GLASS:
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
		{
			/* for as long as the check goes on, not for this step */
			MemoryContext old = MemoryContextSwitchTo(check->context);

			check->types[here->table] = state_rows_types(here->table);
			MemoryContextSwitchTo(old);
		}
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

void
check_surplus(StateCheck *check, const StateRow *row)
{
	check_fault(check, check_origin(check, row),
				pool_format(check->pool, "%s: the ledger knows nothing of this row",
							check_name(check, row)));
	pool_reset(check->pool);
}

void
check_here(StateCheck *check, MemoryStore *store, const StateRow *row)
{
	StateRow	ledger;

	if (!memory_store_find(store, check->pool, row, &ledger))
		check_surplus(check, row);
	else
		check_differs(check, row, &ledger);
	pool_reset(check->pool);
}

void
check_missing(StateCheck *check, const StateRow *row)
{
	check_fault(check, check_origin(check, row),
				pool_format(check->pool, "%s: row is missing", check_name(check, row)));
	pool_reset(check->pool);
}
