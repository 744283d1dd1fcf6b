/*
 * row_run.c: putting together what one statement does to the rows of one root table.
 *
 * A statement's row triggers fire when it ends: inside ExecutorFinish(), or of COPY inside
 * ProcessUtility().  What they do, and what functions do that the statement calls, is done by
 * statements within it.  All that is captured of a table meanwhile goes together, in the order in
 * which its rows were changed, and is appended when the outermost statement ends that changes rows.
 * So does what a transaction captures while no such statement is at work, in the apply workers of
 * logical replication, or by triggers that were deferred: up to its commit.
 *
 * What is captured within a subtransaction that has begun since may have to be forgotten without
 * the rest.  So it makes a run of its own, on top of the others of the table, and is kept as a list
 * of changes, until it becomes a part of the one below: when something comes at the level of that
 * one, or if it is closed.  A list that gets long is made a set of its own, those below being
 * closed before.
 *
 * Within a subtransaction, what others have captured can be appended only as that subtransaction's:
 * what is closed there is open again if it is rolled back.
 *
 * Subtransactions are numbered as they begin: those that the current one has taken over, and it
 * alone, have higher numbers than it and are still there.
 */
#include "postgres.h"

#include "access/xact.h"
#include "fmgr.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "ledger/append.h"
#include "rows/row_captured.h"
#include "rows/row_run.h"
#include "rows/row_store.h"

/* That many at once; the oldest are closed, however often their tables are changed again. */
#define RUNS_MAX 32

/* So many changes are kept as a list, at most. */
#define RUN_LIST_MAX ROW_PART_ITEMS

typedef struct RunChange
{
	struct RunChange *next;
	RowChange  *change;
} RunChange;

typedef struct RowRun
{
	struct RowRun *next;		/* opened before */
	const RowTable *table;
	SubTransactionId subtransaction;
	SubTransactionId closed_in; /* Invalid: it is open */
	RowSet	   *set;			/* or, if there are open ones of the table below it, */
	MemoryContext context;		/* this, */
	RunChange  *first;			/* with these */
	RunChange **end;
	int			count;
} RowRun;

static RowRun *runs = NULL;		/* of this transaction, and in its context */
static bool some_captured = false;	/* since the outermost statement began, or longer */
static bool installed = false;

static void run_close(RowRun *run);

static void
run_unlink(RowRun *run)
{
	RowRun	  **at = &runs;

	while (*at != run)
		at = &(*at)->next;
	*at = run->next;
	if (run->set != NULL)
		row_set_free(run->set);
	if (run->context != NULL)
		MemoryContextDelete(run->context);
	pfree(run);
}

/* Is it of the current subtransaction, or of one that this has taken over? */
static bool
run_is_ours(const RowRun *run)
{
	return run->subtransaction >= GetCurrentSubTransactionId();
}

/* The newest open one of the table among these. */
static RowRun *
run_find(RowRun *among, Oid root)
{
	while (among != NULL &&
		   (among->table->root != root || among->closed_in != InvalidSubTransactionId))
		among = among->next;
	return among;
}

/* ----- sets and lists ----- */

/* Oldest first: up to this one, or all. */
static void
run_close_root(Oid root, const RowRun *but)
{
	for (;;)
	{
		RowRun	   *oldest = NULL;

		for (RowRun *run = run_find(runs, root); run != NULL; run = run_find(run->next, root))
			oldest = run;
		if (oldest == NULL || oldest == but)
			return;
		run_close(oldest);
	}
}

static RowSet *
run_list_set(const RowRun *run, MemoryContext context)
{
	RowSet	   *set = row_set_open(run->table, context);

	for (const RunChange *item = run->first; item != NULL; item = item->next)
		row_set_add(set, item->change);
	return set;
}

static void
run_become_set(RowRun *run)
{
	run_close_root(run->table->root, run);
	run->set = run_list_set(run, TopTransactionContext);
	MemoryContextDelete(run->context);
	run->context = NULL;
}

static void
run_add(RowRun *run, const RowChange *change)
{
	RunChange  *item;

	if (run->set == NULL && run->count == RUN_LIST_MAX)
		run_become_set(run);
	if (run->set != NULL)
	{
		row_set_add(run->set, change);
		return;
	}
	item = MemoryContextAlloc(run->context, sizeof(RunChange));
	item->change = row_change_copy(change, run->context);
	item->next = NULL;
	*run->end = item;
	run->end = &item->next;
	run->count++;
}

/* It and those below it are one, as far as they have the same fate now; returns that one. */
static RowRun *
run_merge(RowRun *run)
{
	RowRun	   *below;

	while ((below = run_find(run->next, run->table->root)) != NULL && run_is_ours(below))
	{
		for (const RunChange *item = run->first; item != NULL; item = item->next)
			run_add(below, item->change);
		run_unlink(run);
		run = below;
	}
	run->subtransaction = GetCurrentSubTransactionId();
	return run;
}

/* ----- closing ----- */

/* Append what a run has.  What a subscription copies or applies commits without a snapshot. */
static void
run_close(RowRun *run)
{
	bool		bare = !ActiveSnapshotSet();
	RowSet	   *set = run->set != NULL ? run->set : run_list_set(run, CurrentMemoryContext);

	if (bare)
		PushActiveSnapshot(GetTransactionSnapshot());
	row_set_append(set);
	if (bare)
		PopActiveSnapshot();
	if (run->set == NULL)
		row_set_free(set);
	if (run_is_ours(run))
		run_unlink(run);
	else
		run->closed_in = GetCurrentSubTransactionId();
}

/* Those that would be one if something came are one. */
static void
run_merge_all(void)
{
	RowRun	   *run = runs;

	while (run != NULL)
	{
		if (run->closed_in == InvalidSubTransactionId && run_is_ours(run))
			run = run_merge(run);
		run = run->next;
	}
}

bool
row_run_close_all(void)
{
	bool		some = false;

	run_merge_all();
	for (;;)
	{
		RowRun	   *oldest = NULL;

		for (RowRun *run = runs; run != NULL; run = run->next)
			if (run->closed_in == InvalidSubTransactionId)
				oldest = run;
		if (oldest == NULL)
			return some;
		run_close(oldest);
		some = true;
	}
}

void
row_run_settle(void)
{
	(void) row_run_close_all();
}

bool
row_run_read_begin(void)
{
	if (!row_run_close_all())
		return false;
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	return true;
}

void
row_run_read_end(bool appended)
{
	if (appended)
		PopActiveSnapshot();
}

PG_FUNCTION_INFO_V1(medchain_append_captured);

/* append_captured() -> void */
Datum
medchain_append_captured(PG_FUNCTION_ARGS)
{
	(void) row_run_close_all();
	PG_RETURN_VOID();
}

/* ----- what comes ----- */

static RowRun *
run_open(const RowTable *table, bool as_list)
{
	RowRun	   *run = MemoryContextAllocZero(TopTransactionContext, sizeof(RowRun));

	run->table = table;
	run->subtransaction = GetCurrentSubTransactionId();
	if (as_list)
	{
		append_require();
		run->context = AllocSetContextCreate(TopTransactionContext, "medchain row changes",
											 ALLOCSET_SMALL_SIZES);
		run->end = &run->first;
	}
	else
		run->set = row_set_open(table, TopTransactionContext);
	run->next = runs;
	runs = run;
	return run;
}

/* There is room for one more. */
static void
run_make_room(void)
{
	const RowRun *oldest = NULL;
	int			count = 0;

	for (const RowRun *run = runs; run != NULL; run = run->next)
		if (run->closed_in == InvalidSubTransactionId)
		{
			count++;
			oldest = run;
		}
	if (count >= RUNS_MAX)
		run_close_root(oldest->table->root, NULL);
}

/* The one that what is captured now goes to. */
static RowRun *
run_get(const RowTable *table)
{
	RowRun	   *run = run_find(runs, table->root);

	if (run != NULL && run->table->version != table->version)
	{
		run_close_root(table->root, NULL);
		run = NULL;
	}
	if (run != NULL && run_is_ours(run))
		return run_merge(run);
	run_make_room();
	return run_open(table, run_find(runs, table->root) != NULL);
}

static void
run_put(const RowChange *change, const RowChange *then)
{
	RowRun	   *run = run_get(change->table);

	run_add(run, change);
	if (then != NULL)
		run_add(run, then);
}

static void
run_put_held(HeldChange *held)
{
	for (; held != NULL; held = row_order_next(held))
		run_put(held->change, held->then);
}

/* Nothing comes any more that belongs to what was captured. */
static void
run_end(void)
{
	/* statements of our own end meanwhile */
	some_captured = false;
	run_put_held(row_order_release_all());
	(void) row_run_close_all();
	row_order_forget();
}

void
row_run_statement_ended(void)
{
	if (some_captured && row_order_is_idle())
		run_end();
}

/* ----- the ends of transactions ----- */

static void
run_transaction(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			run_end();
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PREPARE:
		case XACT_EVENT_ABORT:
			/* with the transaction's context */
			runs = NULL;
			some_captured = false;
			break;
		default:
			break;
	}
}

/* What was closed by a subtransaction and is its parent's now stays so with it. */
static void
run_subtransaction_committed(SubTransactionId parent)
{
	RowRun	   *next;

	for (RowRun *run = runs; run != NULL; run = next)
	{
		next = run->next;
		if (run->closed_in != InvalidSubTransactionId && run->subtransaction >= parent)
			run_unlink(run);
	}
	row_captured_commit(parent);
}

static void
run_subtransaction_aborts(SubTransactionId subtransaction)
{
	RowRun	   *next;

	for (RowRun *run = runs; run != NULL; run = next)
	{
		next = run->next;
		if (run->subtransaction >= subtransaction)
			run_unlink(run);
		else if (run->closed_in >= subtransaction)
			run->closed_in = InvalidSubTransactionId;
	}
	row_captured_abort(subtransaction);
}

static void
run_subtransaction(SubXactEvent event, SubTransactionId subtransaction, SubTransactionId parent,
				   void *arg)
{
	if (event == SUBXACT_EVENT_COMMIT_SUB)
		run_subtransaction_committed(parent);
	else if (event == SUBXACT_EVENT_ABORT_SUB)
		run_subtransaction_aborts(subtransaction);
}

static void
run_watch(void)
{
	if (installed)
		return;
	RegisterXactCallback(run_transaction, NULL);
	RegisterSubXactCallback(run_subtransaction, NULL);
	installed = true;
}

void
row_run_add(Relation relation, const RowChange *change, const RowChange *then,
			const RowOrder *order)
{
	run_watch();
	some_captured = true;
	if (row_order_some_wait())
		row_change_hash(change);	/* they are known by the id */
	if (row_order_is_early(relation, change->id, order))
		row_order_hold(order, change, then);
	else
	{
		run_put(change, then);
		run_put_held(row_order_release(change->id, order));
	}
	if (ItemPointerIsValid(&order->made_at))
		row_captured_note(order->relation, &order->made_at);
}
