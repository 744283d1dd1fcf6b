/*
 * reserve.c: parallel queries leave room for the workers that a node needs.
 *
 * Background workers of all kinds share max_worker_processes.  What a session may take of them for
 * its parallel queries is by max_parallel_workers, which it sets as it likes, and it keeps them for
 * as long as a query lasts.  An apply worker ends whenever its peer is restarted, and has to find
 * room again; so may our own workers.  As long as a node is on this server, sessions get no more
 * parallel workers altogether than leaves room for all of these.  What is beyond that they do
 * without.
 *
 * PostgreSQL counts the parallel workers of the whole server, and compares them with the session's
 * setting when one is to start.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_subscription.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "tcop/utility.h"

#include "compat.h"
#include "node/reserve.h"
#include "node/shared.h"

#define RESERVE_SERVER 3		/* two launchers, and a worker that copies tables */

static ExecutorRun_hook_type next_executor_run = NULL;
static ProcessUtility_hook_type next_utility = NULL;

/* Subscriptions that have an apply worker; -1: it cannot be found out without waiting. */
static int
reserve_subscriptions(void)
{
	Relation	relation;
	TableScanDesc scan;
	HeapTuple	tuple;
	int			count = 0;

	if (!ConditionalLockRelationOid(SubscriptionRelationId, AccessShareLock))
		return -1;
	relation = table_open(SubscriptionRelationId, NoLock);
	scan = table_beginscan_catalog(relation, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
		count += ((Form_pg_subscription) GETSTRUCT(tuple))->subenabled;
	table_endscan(scan);
	table_close(relation, AccessShareLock);
	return count;
}

void
reserve_watch(void)
{
	int			nodes = 0;
	int			subscriptions = 0;

	LWLockAcquire(shared_state->lock, LW_SHARED);
	for (int i = 0; i < shared_state->slots; i++)
		nodes += OidIsValid(shared_state->databases[i].database) &&
			shared_state->databases[i].wanted;
	LWLockRelease(shared_state->lock);
	if (nodes > 0)
	{
		StartTransactionCommand();
		subscriptions = reserve_subscriptions();
		CommitTransactionCommand();
	}
	if (subscriptions >= 0)
		pg_atomic_write_u32(&shared_state->reserved, nodes == 0 ? 0 :
							RESERVE_SERVER + WORKER_KINDS * nodes + subscriptions);
}

/* As many parallel workers may run on this server. */
static int
reserve_allowed(void)
{
	return Max(0, max_worker_processes - (int) pg_atomic_read_u32(&shared_state->reserved));
}

static void
reserve_run(COMPAT_EXECUTOR_RUN_PARAMETERS)
{
	if (next_executor_run)
		next_executor_run(COMPAT_EXECUTOR_RUN_ARGUMENTS);
	else
		standard_ExecutorRun(COMPAT_EXECUTOR_RUN_ARGUMENTS);
}

static void
reserve_executor_run(COMPAT_EXECUTOR_RUN_PARAMETERS)
{
	volatile int asked;
	volatile int given;

	/* what is no parallel query does not even look */
	if (!queryDesc->plannedstmt->parallelModeNeeded)
	{
		reserve_run(COMPAT_EXECUTOR_RUN_ARGUMENTS);
		return;
	}
	asked = max_parallel_workers;
	given = Min(asked, reserve_allowed());
	max_parallel_workers = given;
	PG_TRY();
	{
		reserve_run(COMPAT_EXECUTOR_RUN_ARGUMENTS);
	}
	PG_FINALLY();
	{
		/* unless it was set in there */
		if (max_parallel_workers == given)
			max_parallel_workers = asked;
	}
	PG_END_TRY();
}

/* Commands that build indexes, or look through them, with parallel workers. */
static bool
reserve_is_parallel(Node *node)
{
	switch (nodeTag(node))
	{
		case T_IndexStmt:
		case T_ReindexStmt:
		case T_VacuumStmt:
		case T_AlterTableStmt:
		case COMPAT_T_CLUSTER:
		case T_RefreshMatViewStmt:
			return max_parallel_maintenance_workers > 0;
		default:
			return false;
	}
}

#define RESERVE_UTILITY_PARAMETERS PlannedStmt *statement, const char *query, \
	bool read_only_tree, ProcessUtilityContext context, ParamListInfo params, \
	QueryEnvironment *environment, DestReceiver *dest, QueryCompletion *completion
#define RESERVE_UTILITY_ARGUMENTS statement, query, read_only_tree, context, params, \
	environment, dest, completion

static void
reserve_command(RESERVE_UTILITY_PARAMETERS)
{
	if (next_utility)
		next_utility(RESERVE_UTILITY_ARGUMENTS);
	else
		standard_ProcessUtility(RESERVE_UTILITY_ARGUMENTS);
}

static void
reserve_utility(RESERVE_UTILITY_PARAMETERS)
{
	volatile int asked = max_parallel_workers;
	volatile int given = Min(asked, reserve_allowed());

	if (!reserve_is_parallel(statement->utilityStmt) || given == asked)
	{
		reserve_command(RESERVE_UTILITY_ARGUMENTS);
		return;
	}
	max_parallel_workers = given;
	PG_TRY();
	{
		reserve_command(RESERVE_UTILITY_ARGUMENTS);
	}
	PG_FINALLY();
	{
		if (max_parallel_workers == given)
			max_parallel_workers = asked;
	}
	PG_END_TRY();
}

/*
 * The class is PostgreSQL's own: whoever is in it is counted, and ends by an error of who has
 * started it, as parallel workers do.
 */
bool
reserve_start(BackgroundWorker *worker)
{
	volatile int asked = max_parallel_workers;
	BackgroundWorkerHandle *handle;
	volatile bool started = false;

	worker->bgw_flags |= BGWORKER_CLASS_PARALLEL;
	max_parallel_workers = Min(asked, reserve_allowed());
	PG_TRY();
	{
		started = RegisterDynamicBackgroundWorker(worker, &handle);
	}
	PG_FINALLY();
	{
		max_parallel_workers = asked;
	}
	PG_END_TRY();
	return started;
}

void
reserve_install(void)
{
	next_executor_run = ExecutorRun_hook;
	ExecutorRun_hook = reserve_executor_run;
	next_utility = ProcessUtility_hook;
	ProcessUtility_hook = reserve_utility;
}
