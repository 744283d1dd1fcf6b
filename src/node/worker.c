/*
 * worker.c: what the workers of one database have in common.
 */
#include "postgres.h"

#include <signal.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_db_role_setting.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "compat.h"
#include "node/steady.h"
#include "node/trusted.h"
#include "node/worker.h"

#define WORKER_STEADY 60000		/* milliseconds after which a worker counts as one that lasts */
#define WORKER_COMPLAINT 60000	/* milliseconds between two log lines about one fault */
#define WORKER_MESSAGE 500		/* bytes of an error that may have somebody else's words in it */
#define WORKER_STATS 1000		/* milliseconds until one with nothing to do reports what it did */

static WorkerKind my_kind;
static Oid	my_database;
static SharedDatabase *my_slot = NULL;
static volatile sig_atomic_t in_peace = false;	/* we leave because somebody wants us to, not
												 * because something is wrong */
static bool connected = false;
static uint64 calls_seen = 0;	/* SharedDatabase.calls when we looked last whether to stay */
static char *own_settings = NULL;
static bool stats_pending = false;	/* of what was done, for pg_stat_user_tables and others */

/* Who has us terminated wants us to go, or to start afresh; that is no fault. */
static void
worker_terminate(SIGNAL_ARGS)
{
	in_peace = true;
	die(COMPAT_SIGNAL_ARGUMENTS);
}

bool
worker_complaint_is_due(LastComplaint *last, const char *message)
{
	TimestampTz now = steady_now();
	uint64		hash = hash_bytes_extended((const unsigned char *) message,
										   (int) strlen(message), 0);

	if (last->hash == hash && !TimestampDifferenceExceeds(last->at, now, WORKER_COMPLAINT))
		return false;
	last->hash = hash;
	last->at = now;
	return true;
}

void
worker_complain(LastComplaint *last)
{
	MemoryContext context = MemoryContextSwitchTo(TopMemoryContext);
	ErrorData  *error = CopyErrorData();

	if (worker_complaint_is_due(last, error->message))
		EmitErrorReport();
	FreeErrorData(error);
	MemoryContextSwitchTo(context);
}

/* Somebody wants the database for himself, or the workers are not wanted. */
static bool
worker_is_unwanted(void)
{
	bool		unwanted;

	LWLockAcquire(shared_state->lock, LW_SHARED);
	unwanted = my_slot->barred > 0 || !my_slot->wanted;
	calls_seen = my_slot->calls;
	LWLockRelease(shared_state->lock);
	return unwanted;
}

/* That statement was cancelled by who waits for us to go (yield.c): go, without a word. */
static void
worker_heed_cancel(const ErrorData *error)
{
	if (error->sqlerrcode == ERRCODE_QUERY_CANCELED && worker_is_unwanted())
		worker_retire();
}

char *
worker_recover(MemoryContext context, LastComplaint *last, const char *what)
{
	char	   *message;
	ErrorData  *error;
	int			len;

	HOLD_INTERRUPTS();
	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	FlushErrorState();
	AbortOutOfAnyTransaction();
	worker_heed_cancel(error);
	MemoryContextSwitchTo(context);
	len = (int) strlen(error->message);
	message = pnstrdup(error->message, len > WORKER_MESSAGE ?
					   pg_mbcliplen(error->message, len, WORKER_MESSAGE) : len);
	FreeErrorData(error);
	if (last != NULL && worker_complaint_is_due(last, message))
		ereport(LOG, (errmsg("medchain: %s has to wait: %s", what, message)));
	pgstat_report_activity(STATE_IDLE, NULL);
	RESUME_INTERRUPTS();
	return message;
}

/*
 * The last thing that this process does in shared memory, when nobody counts it among those
 * connected to the database any more: who waits for it to go can go on at once.
 */
static void
worker_release(int code, Datum arg)
{
	SharedDatabase *slot = (SharedDatabase *) DatumGetPointer(arg);
	SharedWorker *worker = &slot->workers[my_kind];

	LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
	if (slot->database == my_database && worker->pid == MyProcPid)
	{
		worker->pid = 0;
		worker->latch = NULL;
		worker->gone = steady_now();
		if (in_peace || slot->barred > 0)
			worker->failures = 0;
		else if (TimestampDifferenceExceeds(worker->started, steady_now(), WORKER_STEADY))
			worker->failures = 0;
		if (worker->failures == 0)
			worker->retry = 0;
		if (my_kind == WORKER_SEALER)
		{
			if (!connected && !in_peace && slot->barred == 0)
			{
				slot->state = SEALER_FAILED;
				strlcpy(slot->error, "the sealer could not connect to this database",
						SHARED_ERROR_LEN);
			}
			else if (slot->state == SEALER_RUNNING)
				slot->state = SEALER_DOWN;
			slot->key_fingerprint[0] = '\0';
		}
		shared_release(slot, false);
		if (shared_state->launcher_latch != NULL)
			SetLatch(shared_state->launcher_latch);
	}
	LWLockRelease(shared_state->lock);
	ConditionVariableBroadcast(&slot->changed);
}

static void
worker_leave(SharedDatabase *slot, WorkerAnswer answer)
{
	SharedWorker *worker = &slot->workers[my_kind];

	COMPAT_INJECTION_POINT("medchain-worker-leaves");
	LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
	worker->answer = answer;
	worker->settled = false;

	/* somebody who has asked since we were started, or called since we looked, may know better */
	if (worker->asked <= worker->answered && slot->calls == calls_seen)
		slot->wanted = false;
	LWLockRelease(shared_state->lock);
	in_peace = true;
	proc_exit(0);
}

void
worker_dismiss(SharedDatabase *slot)
{
	worker_leave(slot, WORKER_NOT_NEEDED);
}

void
worker_retire(void)
{
	in_peace = true;
	proc_exit(0);
}

/* Take the place of this worker; NULL if there is one, or none is to be. */
static SharedDatabase *
worker_claim(void)
{
	SharedDatabase *slot;
	SharedWorker *worker;

	LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
	slot = shared_slot(my_database, false);
	worker = slot ? &slot->workers[my_kind] : NULL;
	if (slot != NULL && (worker->pid != 0 || slot->barred > 0))
		slot = NULL;
	if (slot != NULL)
	{
		worker->pid = MyProcPid;
		worker->latch = MyLatch;
		worker->settled = false;
		calls_seen = slot->calls;
		if (my_kind == WORKER_SEALER)
			slot->state = SEALER_DOWN;
	}
	LWLockRelease(shared_state->lock);
	my_slot = slot;
	return slot;
}

/*
 * All that ALTER DATABASE and ALTER ROLE ... SET say about this process, palloc'd.  In a
 * transaction.
 */
static char *
worker_settings(void)
{
	const Oid	databases[] = {my_database, my_database, InvalidOid};
	const Oid	roles[] = {GetAuthenticatedUserId(), InvalidOid, GetAuthenticatedUserId()};
	Relation	relation = table_open(DbRoleSettingRelationId, AccessShareLock);
	StringInfoData text;

	initStringInfo(&text);
	for (size_t i = 0; i < lengthof(databases); i++)
	{
		ScanKeyData keys[2];
		SysScanDesc scan;
		HeapTuple	tuple;

		ScanKeyInit(&keys[0], Anum_pg_db_role_setting_setdatabase, BTEqualStrategyNumber, F_OIDEQ,
					ObjectIdGetDatum(databases[i]));
		ScanKeyInit(&keys[1], Anum_pg_db_role_setting_setrole, BTEqualStrategyNumber, F_OIDEQ,
					ObjectIdGetDatum(roles[i]));
		scan = systable_beginscan(relation, DbRoleSettingDatidRolidIndexId, true, NULL, 2, keys);
		while ((tuple = systable_getnext(scan)) != NULL)
		{
			bool		isnull;
			Datum		config = heap_getattr(tuple, Anum_pg_db_role_setting_setconfig,
											  RelationGetDescr(relation), &isnull);

			if (!isnull)
				appendStringInfo(&text, "%zu: %s\n", i, OidOutputFunctionCall(F_ARRAY_OUT, config));
		}
		systable_endscan(scan);
	}
	table_close(relation, AccessShareLock);
	return text.data;
}

/* Settings of the database and the role are read when a process starts, and only then. */
static void
worker_check_settings(void)
{
	bool		same;

	StartTransactionCommand();
	same = strcmp(worker_settings(), own_settings) == 0;
	CommitTransactionCommand();
	if (!same)
	{
		worker_retire();
	}
}

SharedDatabase *
worker_start(Datum database, WorkerKind kind, const char *name)
{
	SharedDatabase *slot;

	my_kind = kind;
	my_database = DatumGetObjectId(database);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, worker_terminate);

	/* before connecting: who wants the database for himself must find us, and see us go */
	COMPAT_INJECTION_POINT("medchain-worker-starts");
	slot = worker_claim();
	if (slot == NULL)
		proc_exit(0);
	on_shmem_exit(worker_release, PointerGetDatum(slot));
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(my_database, InvalidOid, 0);
	connected = true;

	/* ALTER DATABASE ... SET role would make us somebody else */
	SetConfigOption("role", "none", PGC_USERSET, PGC_S_OVERRIDE);
	trusted_pin_settings();
	pgstat_report_appname(name);

	StartTransactionCommand();
	COMPAT_INJECTION_POINT("medchain-worker-connected");
	if (!OidIsValid(trusted_schema(true)))
		worker_leave(slot, WORKER_NO_EXTENSION);
	own_settings = MemoryContextStrdup(TopMemoryContext, worker_settings());
	CommitTransactionCommand();

	LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
	slot->workers[kind].settled = true;
	slot->wanted = true;
	if (shared_state->launcher_latch != NULL)
		SetLatch(shared_state->launcher_latch);
	LWLockRelease(shared_state->lock);
	return slot;
}

/*
 * Has our schema been dropped meanwhile?  Then that is what was wrong, whatever the error says: a
 * table whose number was just found is gone, for instance.  The transaction of the error is over
 * after this.
 */
static bool
worker_is_left(void)
{
	bool		left;

	FlushErrorState();
	AbortOutOfAnyTransaction();
	StartTransactionCommand();
	left = !OidIsValid(trusted_schema(true));
	CommitTransactionCommand();
	return left;
}

/* Complains of an error that was caught and copied before worker_is_left() cleared it away. */
static void
worker_complain_of(SharedDatabase *slot, ErrorData *error)
{
	PG_TRY();
	{
		ReThrowError(error);
	}
	PG_CATCH();
	{
		worker_complain(&slot->workers[my_kind].complaint);
	}
	PG_END_TRY();
}

void
worker_run(SharedDatabase *slot, void (*work) (SharedDatabase *slot),
		   void (*failed) (SharedDatabase *slot, const char *message))
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "medchain worker",
												  ALLOCSET_DEFAULT_SIZES);

	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		work(slot);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		HOLD_INTERRUPTS();
		MemoryContextSwitchTo(context);
		error_context_stack = NULL;
		error = CopyErrorData();
		if (worker_is_left())
			worker_leave(slot, WORKER_NO_EXTENSION);
		worker_heed_cancel(error);
		worker_complain_of(slot, error);
		if (failed)
			failed(slot, error->message);
		proc_exit(0);
	}
	PG_END_TRY();
}

/* Between two transactions. */
static void
worker_yield(void)
{
	if (worker_is_unwanted())
		worker_retire();
}

bool
worker_sleep(SharedDatabase *slot, long timeout, bool *reloaded)
{
	int			events;

	if (stats_pending && (timeout < 0 || timeout > WORKER_STATS))
		timeout = WORKER_STATS;
	events = WaitLatch(MyLatch,
					   WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (timeout >= 0 ? WL_TIMEOUT : 0),
					   timeout, compat_wait_event("MedchainWorkerMain"));
	ResetLatch(MyLatch);
	if (stats_pending && (events & WL_TIMEOUT) != 0)
		stats_pending = pgstat_report_stat(true) > 0;
	worker_yield();
	CHECK_FOR_INTERRUPTS();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
		worker_check_settings();
		if (reloaded)
			*reloaded = true;
	}
	return (events & WL_LATCH_SET) != 0;
}

void
worker_begin(SharedDatabase *slot, const char *activity)
{
	worker_yield();
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	if (!OidIsValid(trusted_schema(true)))
		worker_leave(slot, WORKER_NO_EXTENSION);
	PushActiveSnapshot(GetTransactionSnapshot());
	pgstat_report_activity(STATE_RUNNING, activity);
}

void
worker_commit(void)
{
	PopActiveSnapshot();
	CommitTransactionCommand();
	/* once a second at most; the rest when there is nothing else to do (worker_sleep) */
	stats_pending = pgstat_report_stat(false) > 0;
	pgstat_report_activity(STATE_IDLE, NULL);
}
