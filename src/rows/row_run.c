/*
 * row_run.c: putting together what one statement does to the rows of one root table.
 *
 * A statement's row triggers fire when it ends: inside ExecutorFinish(), or of COPY inside
 * ProcessUtility().  So hooks there count how deeply such calls are nested, and what was captured
 * at a depth is appended when the call there returns.  That also takes in what foreign keys do to
 * other rows because of the statement, which is captured with it.
 *
 * Where nobody tells when a statement ends, in the apply workers of logical replication, all that a
 * transaction does to the rows of a table one after the other goes together, up to its commit, or
 * the end of the subtransaction.
 *
 * Within a subtransaction that has begun since, something captured can be appended only as that
 * subtransaction's: what is closed there is open again if it is rolled back.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "tcop/utility.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "rows/row_run.h"

/* That many tables at once; the others are closed, however often they are changed again. */
#define RUNS_MAX 32

typedef struct RowRun
{
	struct RowRun *next;		/* opened before */
	RowSet	   *set;
	Oid			root;
	int			depth;
	SubTransactionId subtransaction;
	SubTransactionId closed_in; /* Invalid: it is open */
	EarlyEntry *behind;			/* entries that have to be behind it */
} RowRun;

static RowRun *runs = NULL;		/* of this transaction, and in its context */
static int	depth = 0;
static bool installed = false;

static ExecutorRun_hook_type previous_executor_run = NULL;
static ExecutorFinish_hook_type previous_executor_finish = NULL;
static ProcessUtility_hook_type previous_utility = NULL;

static void
run_unlink(RowRun *run)
{
	RowRun	  **at = &runs;

	while (*at != run)
		at = &(*at)->next;
	*at = run->next;
	row_set_free(run->set);
	pfree(run);
}

/* Append what a run has.  What a subscription copies or applies commits without a snapshot. */
static void
run_close(RowRun *run)
{
	AppendedAt	at;
	bool		bare = !ActiveSnapshotSet();

	if (bare)
		PushActiveSnapshot(GetTransactionSnapshot());
	row_set_append(run->set, &at);
	if (bare)
		PopActiveSnapshot();
	row_order_move(run->behind);
	if (run->subtransaction == GetCurrentSubTransactionId())
		run_unlink(run);
	else
		run->closed_in = GetCurrentSubTransactionId();
}

/* Those that are open at this depth or a deeper one, oldest first. */
static bool
run_close_from(int from, SubTransactionId only)
{
	bool		some = false;

	for (;;)
	{
		RowRun	   *oldest = NULL;

		for (RowRun *run = runs; run != NULL; run = run->next)
			if (run->depth >= from && run->closed_in == InvalidSubTransactionId &&
				(only == InvalidSubTransactionId || run->subtransaction == only))
				oldest = run;
		if (oldest == NULL)
			return some;
		run_close(oldest);
		some = true;
	}
}

bool
row_run_close_all(void)
{
	return run_close_from(0, InvalidSubTransactionId);
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

/* ----- the ends of statements ----- */

static void
run_leave(const RowStatement *statement)
{
	row_order_leave(statement);
	if (runs == NULL)
		row_order_forget();
}

static bool
run_changes_rows(const QueryDesc *query)
{
	return query->operation != CMD_SELECT || query->plannedstmt->hasModifyingCTE;
}

static void
run_execute(COMPAT_EXECUTOR_RUN_PARAMETERS)
{
	if (previous_executor_run)
		previous_executor_run(COMPAT_EXECUTOR_RUN_ARGUMENTS);
	else
		standard_ExecutorRun(COMPAT_EXECUTOR_RUN_ARGUMENTS);
}

static void
run_executor_run(COMPAT_EXECUTOR_RUN_PARAMETERS)
{
	RowStatement statement;

	if (!run_changes_rows(queryDesc))
	{
		run_execute(COMPAT_EXECUTOR_RUN_ARGUMENTS);
		return;
	}
	row_order_enter(&statement, queryDesc->estate->es_output_cid);
	PG_TRY();
	{
		run_execute(COMPAT_EXECUTOR_RUN_ARGUMENTS);
	}
	PG_FINALLY();
	{
		row_order_leave(&statement);
	}
	PG_END_TRY();
}

static void
run_finish(QueryDesc *query)
{
	if (previous_executor_finish)
		previous_executor_finish(query);
	else
		standard_ExecutorFinish(query);
}

static void
run_executor_finish(QueryDesc *query)
{
	RowStatement statement;

	/* no trigger of its own fires: those of statements in functions have fired */
	if (!run_changes_rows(query))
	{
		run_finish(query);
		return;
	}
	depth++;
	row_order_enter(&statement, query->estate->es_output_cid);
	PG_TRY();
	{
		run_finish(query);
		if (runs != NULL)
			run_close_from(depth, GetCurrentSubTransactionId());
	}
	PG_FINALLY();
	{
		depth--;
		run_leave(&statement);
	}
	PG_END_TRY();
}

static void
run_utility(PlannedStmt *statement, const char *query, bool read_only_tree,
			ProcessUtilityContext context, ParamListInfo params, QueryEnvironment *environment,
			DestReceiver *dest, QueryCompletion *completion)
{
	RowStatement copy;

	depth++;
	row_order_enter(&copy, IsA(statement->utilityStmt, CopyStmt) ? GetCurrentCommandId(false) :
					InvalidCommandId);
	PG_TRY();
	{
		if (previous_utility)
			previous_utility(statement, query, read_only_tree, context, params, environment, dest,
							 completion);
		else
			standard_ProcessUtility(statement, query, read_only_tree, context, params,
									environment, dest, completion);
		if (runs != NULL)
			run_close_from(depth, GetCurrentSubTransactionId());
	}
	PG_FINALLY();
	{
		depth--;
		run_leave(&copy);
	}
	PG_END_TRY();
}

void
row_run_install(void)
{
	previous_executor_run = ExecutorRun_hook;
	ExecutorRun_hook = run_executor_run;
	previous_executor_finish = ExecutorFinish_hook;
	ExecutorFinish_hook = run_executor_finish;
	previous_utility = ProcessUtility_hook;
	ProcessUtility_hook = run_utility;
}

/* ----- the ends of transactions ----- */

static void
run_transaction(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			row_run_close_all();
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PREPARE:
		case XACT_EVENT_ABORT:
			/* with the transaction's context */
			runs = NULL;
			break;
		default:
			break;
	}
}

/* A subtransaction is about to become part of another: what it has closed stays so. */
static void
run_subtransaction_commits(SubTransactionId subtransaction, SubTransactionId parent)
{
	RowRun	   *next;

	run_close_from(0, subtransaction);
	for (RowRun *run = runs; run != NULL; run = next)
	{
		next = run->next;
		if (run->closed_in != subtransaction)
			continue;
		if (run->subtransaction == parent)
			run_unlink(run);
		else
			run->closed_in = parent;
	}
}

static void
run_subtransaction_aborts(SubTransactionId subtransaction)
{
	RowRun	   *next;

	for (RowRun *run = runs; run != NULL; run = next)
	{
		next = run->next;
		if (run->subtransaction == subtransaction)
			run_unlink(run);
		else if (run->closed_in == subtransaction)
		{
			run->closed_in = InvalidSubTransactionId;
			row_order_restore(run->behind, run);
		}
	}
}

static void
run_subtransaction(SubXactEvent event, SubTransactionId subtransaction, SubTransactionId parent,
				   void *arg)
{
	if (runs == NULL)
		return;
	if (event == SUBXACT_EVENT_PRE_COMMIT_SUB)
		run_subtransaction_commits(subtransaction, parent);
	else if (event == SUBXACT_EVENT_ABORT_SUB)
		run_subtransaction_aborts(subtransaction);
}

/* ----- what comes ----- */

static RowRun *
run_open(const RowTable *table)
{
	RowRun	   *run;

	if (!installed)
	{
		RegisterXactCallback(run_transaction, NULL);
		RegisterSubXactCallback(run_subtransaction, NULL);
		installed = true;
	}
	run = MemoryContextAllocZero(TopTransactionContext, sizeof(RowRun));
	run->set = row_set_open(table, TopTransactionContext);
	run->root = table->root;
	run->depth = depth;
	run->subtransaction = GetCurrentSubTransactionId();
	run->next = runs;
	runs = run;
	return run;
}

/* Of other runs of the same table as well there is nothing that has to come before. */
static void
run_close_others(Oid root, const RowRun *but)
{
	RowRun	   *run = runs;

	while (run != NULL)
	{
		RowRun	   *next = run->next;

		if (run != but && run->root == root && run->closed_in == InvalidSubTransactionId)
			run_close(run);
		run = next;
	}
}

/* The one that what is captured now goes to; NULL: none is open. */
static RowRun *
run_find(const RowTable *table)
{
	RowRun	   *found = NULL;
	RowRun	   *oldest = NULL;
	int			count = 0;

	for (RowRun *run = runs; run != NULL; run = run->next)
	{
		if (run->depth != depth || run->subtransaction != GetCurrentSubTransactionId())
			continue;
		count++;
		oldest = run;
		if (run->root == table->root)
			found = run;
	}
	if (found == NULL && count >= RUNS_MAX)
		run_close(oldest);
	return found;
}

/* An entry of its own, at once. */
static void
run_append_early(const RowTable *table, RowOperation operation, const RowImage *now,
				 const RowImage *was, const RowOrder *change)
{
	RowSet	   *set = row_set_open(table, CurrentMemoryContext);
	AppendedAt	at;

	row_set_add(set, operation, now, was);
	row_set_append(set, &at);
	row_set_free(set);
	row_order_keep((now ? now : was)->id, change, &at);
}

void
row_run_add(Relation relation, const RowTable *table, RowOperation operation, const RowImage *now,
			const RowImage *was, RowOrder *change)
{
	const uint8_t *id = (now ? now : was)->id;
	RowRun	   *run = run_find(table);
	EarlyEntry *behind;

	change->inserts = !row_item_has_previous(operation);
	change->deletes = !row_item_has_commitment(operation);
	run_close_others(table->root, run);
	if (row_order_is_early(relation, id, change))
	{
		run_append_early(table, operation, now, was, change);
		return;
	}
	if (run != NULL &&
		(row_set_version(run->set) != table->version || row_order_is_with(id, run)))
	{
		run_close(run);
		run = NULL;
	}
	if (run == NULL)
		run = run_open(table);
	row_set_add(run->set, operation, now, was);
	behind = row_order_release(id, change, run);
	if (behind != NULL)
		run->behind = row_order_join(behind, run->behind);
}
