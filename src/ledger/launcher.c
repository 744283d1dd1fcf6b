/*
 * launcher.c: one launcher for the server starts the workers of each database that has the
 * extension.
 *
 * It cannot see from outside which databases have it, so after a server start it
 * sends a sealer into each one once; a sealer that finds no extension leaves.  Later
 * ones are announced by sessions, through shared memory.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/procarray.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "ledger/sealer.h"
#include "ledger/shared.h"

#define LAUNCHER_RETRY 500		/* milliseconds between tries to start a worker again */
#define LAUNCHER_PAUSE 10000	/* milliseconds a database is left alone for DROP DATABASE and the
								 * like */
#define LAUNCHER_UP 10000		/* milliseconds a session waits for its sealer */

static const char *const worker_function[WORKER_KINDS] = {
	"medchain_sealer_main",
	"medchain_keeper_main"
};
static const char *const worker_name[WORKER_KINDS] = {"medchain sealer", "medchain keeper"};

static ProcessUtility_hook_type previous_utility_hook = NULL;

static bool
launcher_start_worker(Oid database, WorkerKind kind, BackgroundWorkerHandle **handle)
{
	BackgroundWorker worker = {0};

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;	/* the launcher sees to that */
	strlcpy(worker.bgw_library_name, "medchain", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, worker_function[kind], BGW_MAXLEN);
	snprintf(worker.bgw_name, BGW_MAXLEN, "%s for database %u", worker_name[kind], database);
	strlcpy(worker.bgw_type, worker_name[kind], BGW_MAXLEN);
	worker.bgw_main_arg = ObjectIdGetDatum(database);
	worker.bgw_notify_pid = MyProcPid;
	return RegisterDynamicBackgroundWorker(&worker, handle);
}

/* Send a sealer into every database once, to see whether the extension is there. */
static void
launcher_probe(void)
{
	List	   *databases = NIL;
	MemoryContext context = CurrentMemoryContext;
	ListCell   *cell;
	Relation	relation;
	TableScanDesc scan;
	HeapTuple	tuple;

	StartTransactionCommand();
	relation = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(relation, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database database = (Form_pg_database) GETSTRUCT(tuple);
		MemoryContext old;

		if (!database->datallowconn || database->datistemplate)
			continue;
		old = MemoryContextSwitchTo(context);
		databases = lappend_oid(databases, database->oid);
		MemoryContextSwitchTo(old);
	}
	table_endscan(scan);
	table_close(relation, AccessShareLock);
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);

	foreach(cell, databases)
	{
		BackgroundWorkerHandle *handle;
		pid_t		pid;

		if (launcher_start_worker(lfirst_oid(cell), WORKER_SEALER, &handle))
		{
			/* one at a time, not to use up max_worker_processes */
			WaitForBackgroundWorkerStartup(handle, &pid);
			pfree(handle);
		}
		CHECK_FOR_INTERRUPTS();
	}
	list_free(databases);
}

/* Start what is wanted and not there.  True if something has to be tried again soon. */
static bool
launcher_look(void)
{
	bool		again = false;

	for (int i = 0; i < SHARED_DATABASES; i++)
	{
		SharedDatabase *slot = &shared_state->databases[i];

		for (int kind = 0; kind < WORKER_KINDS; kind++)
		{
			BackgroundWorkerHandle *handle;
			Oid			database = InvalidOid;
			pid_t		pid;

			LWLockAcquire(shared_state->lock, LW_SHARED);
			if (slot->wanted && slot->worker_pid[kind] == 0)
			{
				again = true;
				if (slot->paused_until < GetCurrentTimestamp())
					database = slot->database;
			}
			LWLockRelease(shared_state->lock);
			if (OidIsValid(database) && launcher_start_worker(database, kind, &handle))
			{
				WaitForBackgroundWorkerStartup(handle, &pid);
				pfree(handle);
			}
		}
	}
	return again;
}

static void
launcher_release(int code, Datum arg)
{
	LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
	shared_state->launcher_latch = NULL;
	shared_state->launcher_pid = 0;
	LWLockRelease(shared_state->lock);
}

void
medchain_launcher_main(Datum unused)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	pgstat_report_appname("medchain launcher");

	before_shmem_exit(launcher_release, (Datum) 0);
	LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
	shared_state->launcher_latch = MyLatch;
	shared_state->launcher_pid = MyProcPid;
	LWLockRelease(shared_state->lock);

	launcher_probe();
	for (;;)
	{
		bool		again = launcher_look();

		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (again ? WL_TIMEOUT : 0),
						 LAUNCHER_RETRY, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();

		/* a worker that fails at once must not be started in a tight loop */
		if (again)
			pg_usleep(LAUNCHER_RETRY * 1000L / 2);
	}
}

void
shared_start_workers(void)
{
	SharedDatabase *slot;
	TimestampTz start = GetCurrentTimestamp();

	shared_require();
	slot = shared_database();
	ConditionVariablePrepareToSleep(&slot->changed);
	for (;;)
	{
		bool		up;

		LWLockAcquire(shared_state->lock, LW_SHARED);
		up = slot->worker_pid[WORKER_SEALER] != 0 && slot->state != SEALER_DOWN;
		LWLockRelease(shared_state->lock);
		if (up)
			break;
		shared_wake(slot, WORKER_SEALER);
		if (TimestampDifferenceExceeds(start, GetCurrentTimestamp(), LAUNCHER_UP))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("the sealer of this database did not start"),
				   errhint("CREATE EXTENSION must have been committed; max_worker_processes must "
						   "have room for two workers per database; see the server log.")));
		ConditionVariableTimedSleep(&slot->changed, 100, PG_WAIT_EXTENSION);
	}
	ConditionVariableCancelSleep();
}

PG_FUNCTION_INFO_V1(medchain_start_workers);

Datum
medchain_start_workers(PG_FUNCTION_ARGS)
{
	shared_start_workers();
	PG_RETURN_VOID();
}

/* Take our workers out of a database that somebody wants for himself. */
static void
launcher_clear_database(const char *name)
{
	Oid			database = get_database_oid(name, true);

	for (int i = 0; i < SHARED_DATABASES && OidIsValid(database); i++)
	{
		SharedDatabase *slot = &shared_state->databases[i];

		LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
		if (slot->database == database)
		{
			slot->paused_until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), LAUNCHER_PAUSE);
			for (int kind = 0; kind < WORKER_KINDS; kind++)
				if (slot->worker_pid[kind] != 0)
					kill(slot->worker_pid[kind], SIGTERM);
		}
		LWLockRelease(shared_state->lock);
	}
}

/*
 * DROP DATABASE, CREATE DATABASE ... TEMPLATE, ALTER DATABASE ... RENAME TO or SET TABLESPACE fail
 * while anybody is connected.  Our workers step aside for a while; PostgreSQL itself waits five
 * seconds for that.
 */
static void
launcher_utility(PlannedStmt *statement, const char *query, bool read_only_tree,
				 ProcessUtilityContext context,
				 ParamListInfo params, QueryEnvironment *environment, DestReceiver *dest,
				 QueryCompletion *completion)
{
	Node	   *node = statement->utilityStmt;

	if (shared_state != NULL && superuser())
	{
		if (IsA(node, DropdbStmt))
			launcher_clear_database(((DropdbStmt *) node)->dbname);
		else if (IsA(node, CreatedbStmt))
		{
			ListCell   *cell;

			foreach(cell, ((CreatedbStmt *) node)->options)
			{
				DefElem    *option = lfirst_node(DefElem, cell);

				if (strcmp(option->defname, "template") == 0 && option->arg != NULL &&
					IsA(option->arg, String))
					launcher_clear_database(strVal(option->arg));
			}
		}
		else if (IsA(node, AlterDatabaseStmt) && ((AlterDatabaseStmt *) node)->options != NIL &&
				 strcmp(linitial_node(DefElem, ((AlterDatabaseStmt *) node)->options)->defname,
						"tablespace") == 0)
			launcher_clear_database(((AlterDatabaseStmt *) node)->dbname);
		else if (IsA(node, RenameStmt) && ((RenameStmt *) node)->renameType == OBJECT_DATABASE)
			launcher_clear_database(((RenameStmt *) node)->subname);
	}

	if (previous_utility_hook)
		previous_utility_hook(statement, query, read_only_tree, context, params, environment, dest,
							  completion);
	else
		standard_ProcessUtility(statement, query, read_only_tree, context, params, environment,
								dest, completion);
}

void
launcher_install(void)
{
	BackgroundWorker worker = {0};

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = 1;
	strlcpy(worker.bgw_library_name, "medchain", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "medchain_launcher_main", BGW_MAXLEN);
	strlcpy(worker.bgw_name, "medchain launcher", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "medchain launcher", BGW_MAXLEN);
	RegisterBackgroundWorker(&worker);

	previous_utility_hook = ProcessUtility_hook;
	ProcessUtility_hook = launcher_utility;
}
