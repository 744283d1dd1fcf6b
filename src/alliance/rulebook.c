/*
 * rulebook.c: the rules as this process has them.
 *
 * The sealer, the keeper and sessions that ask each have their own, and keep it between
 * transactions.  medchain.rules_state says whether it is still what the tables say: each change of
 * what is kept in memory has a number there, and each time that something is taken back a name of
 * its own.  What others have added is followed; otherwise all is read again.
 *
 * The tables may forget what the memory knows: when a transaction fails, or a part of one.  Then
 * the memory forgets as well.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/uuid.h"

#include "alliance/rulebook.h"
#include "alliance/rules_memory.h"
#include "node/lock.h"
#include "node/trusted.h"

/* What the tables say that the memory depends on. */
typedef struct RulebookState
{
	Oid			extension;
	char	   *alliance;
	char	   *data_center;
	char	   *node;
	char	   *epoch;			/* empty: nothing was folded yet */
	int64		generation;
} RulebookState;

#define NEVER (-1)				/* generation of what was not read */

static Rulebook *current = NULL;
static RulebookState known;		/* of current, in its context */
static int64 members_generation = NEVER;	/* of what is in memory */
static int64 policies_generation = NEVER;
static bool in_use = false;
static bool uncommitted = false;	/* it has folded in this transaction */

static void
rulebook_forget(void)
{
	if (current != NULL)
		MemoryContextDelete(current->context);
	current = NULL;
	in_use = false;
	uncommitted = false;
	members_generation = NEVER;
	policies_generation = NEVER;
}

static void
rulebook_transaction(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT || event == XACT_EVENT_PARALLEL_ABORT)
	{
		if (in_use || uncommitted)
			rulebook_forget();
	}
	else if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_PREPARE)
		uncommitted = false;
}

static void
rulebook_subtransaction(SubXactEvent event, SubTransactionId mine, SubTransactionId parent,
						void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB && (in_use || uncommitted))
		rulebook_forget();
}

/* ----- what the tables say ----- */

static bool
rulebook_state(RulebookState *state)
{
	static SPIPlanPtr plan = NULL;
	bool		isnull;
	bool		found;

	trusted_read(&plan, "SELECT n.alliance, n.data_center, n.node, s.epoch, s.generation "
				 "FROM medchain.local_node n LEFT JOIN medchain.rules_state s ON true", 0, NULL,
				 NULL);
	found = SPI_processed > 0;
	if (found)
	{
		HeapTuple	row = SPI_tuptable->vals[0];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		Datum		generation = SPI_getbinval(row, desc, 5, &isnull);

		state->generation = isnull ? 0 : DatumGetInt64(generation);
		state->extension = get_extension_oid("medchain", false);
		state->alliance = SPI_getvalue(row, desc, 1);
		state->data_center = SPI_getvalue(row, desc, 2);
		state->node = SPI_getvalue(row, desc, 3);
		state->epoch = SPI_getvalue(row, desc, 4);
		if (state->epoch == NULL)
			state->epoch = pstrdup("");
	}
	SPI_freetuptable(SPI_tuptable);
	return found;
}

/* Is that of the same ledger, and a later one of its states, or the same? */
static bool
rulebook_continues(const RulebookState *state)
{
	return known.extension == state->extension &&
		strcmp(known.alliance, state->alliance) == 0 &&
		strcmp(known.data_center, state->data_center) == 0 &&
		strcmp(known.node, state->node) == 0 && strcmp(known.epoch, state->epoch) == 0 &&
		known.generation <= state->generation;
}

/* The state has changed in what is kept in memory; gone: not only by what was added. */
static void
rulebook_changed(bool gone)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[1] = {BOOLOID};
	Datum		values[1] = {BoolGetDatum(gone)};
	bool		isnull;
	char	   *epoch;

	(void) trusted_execute(&plan,
						   "INSERT INTO medchain.rules_state AS s (epoch, generation) "
						   "VALUES (gen_random_uuid(), 1) ON CONFLICT (singleton) DO UPDATE "
						   "SET generation = s.generation + 1, "
						   "epoch = CASE WHEN $1 THEN EXCLUDED.epoch ELSE s.epoch END "
						   "RETURNING epoch, generation", 1, types, values, NULL, false);
	epoch = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	known.epoch = MemoryContextStrdup(current->context, epoch);
	known.generation = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2,
												   &isnull));
	members_generation = known.generation;
	policies_generation = known.generation;
	SPI_freetuptable(SPI_tuptable);
	CommandCounterIncrement();
}

/* ----- opening and closing ----- */

/*
 * The tables grow while plans are kept, and what is looked for in them is always a few rows by a
 * key: as if they had been large from the beginning.
 */
static int
rulebook_plans(void)
{
	int			nestlevel = NewGUCNestLevel();

	trusted_plan_by_index();
	return nestlevel;
}

static void
rulebook_new(const RulebookState *state)
{
	MemoryContext context = rules_memory_new(TopMemoryContext, "between transactions");
	MemoryContext old = MemoryContextSwitchTo(context);

	current = palloc0(sizeof(Rulebook));
	current->context = context;
	current->store = node_store_new();
	current->rules = rules_new(state->alliance, state->data_center, state->node, NULL,
							   &node_store, current->store);
	known = *state;
	known.alliance = pstrdup(state->alliance);
	known.data_center = pstrdup(state->data_center);
	known.node = pstrdup(state->node);
	known.epoch = pstrdup(state->epoch);
	MemoryContextSwitchTo(old);
}

static void
rulebook_install(void)
{
	static bool done = false;

	if (done)
		return;
	RegisterXactCallback(rulebook_transaction, NULL);
	RegisterSubXactCallback(rulebook_subtransaction, NULL);
	done = true;
}

static Rulebook *
rulebook_open(bool write, bool members)
{
	RulebookState state;

	rulebook_install();
	if (in_use)
		rulebook_forget();		/* an error came between */
	PushActiveSnapshot(GetTransactionSnapshot());
	if (!rulebook_state(&state))
	{
		PopActiveSnapshot();
		return NULL;
	}
	if (current != NULL && !rulebook_continues(&state))
		rulebook_forget();
	in_use = true;
	if (current == NULL)
		rulebook_new(&state);
	else
		known.generation = state.generation;
	rules_memory_use(current->context);
	current->gone = false;
	current->write = write;
	current->nestlevel = rulebook_plans();
	node_store_begin(current->store, write);
	if (members && members_generation != state.generation)
	{
		node_store_follow(current->store, current->rules);
		members_generation = state.generation;
		policies_generation = state.generation;
	}
	else if (policies_generation != state.generation)
	{
		rules_known_policies(current->rules);
		policies_generation = state.generation;
	}
	return current;
}

Rulebook *
rulebook_write(void)
{
	lock_take(LEDGER_LOCK_FOLD);
	return rulebook_open(true, true);
}

Rulebook *
rulebook_read(bool members)
{
	return rulebook_open(false, members);
}

void
rulebook_close(Rulebook *book)
{
	uint32		kinds;

	node_store_end(book->store);
	kinds = node_store_kinds(book->store);
	PopActiveSnapshot();
	AtEOXact_GUC(true, book->nestlevel);
	in_use = false;
	if (!book->write)
		return;
	uncommitted = true;
	if ((kinds & (CLAIM_SET_MEMBER | CLAIM_SET(CLAIM_POLICY))) != 0 || (book->gone && kinds != 0))
		rulebook_changed(book->gone);
}
