/*
 * worker.c: what the workers of one database have in common.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"

#include "ledger/trusted.h"
#include "ledger/worker.h"

static WorkerKind my_kind;

static void
worker_release(int code, Datum arg)
{
	SharedDatabase *slot = (SharedDatabase *) DatumGetPointer(arg);

	LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
	if (slot->worker_pid[my_kind] == MyProcPid)
	{
		slot->worker_pid[my_kind] = 0;
		slot->worker_latch[my_kind] = NULL;
		if (my_kind == WORKER_SEALER)
		{
			if (slot->state == SEALER_RUNNING)
				slot->state = SEALER_DOWN;
			slot->key_fingerprint[0] = '\0';
		}
		if (shared_state->launcher_latch != NULL)
			SetLatch(shared_state->launcher_latch);
	}
	LWLockRelease(shared_state->lock);
	ConditionVariableBroadcast(&slot->changed);
}

/* The extension is not (any more) in this database: nothing to do here until somebody asks. */
static void
worker_retire(SharedDatabase *slot)
{
	LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
	slot->wanted = false;
	LWLockRelease(shared_state->lock);
	proc_exit(0);
}

SharedDatabase *
worker_start(Datum database, WorkerKind kind, const char *name)
{
	SharedDatabase *slot;
	bool		mine = false;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(database), InvalidOid, 0);
	pgstat_report_appname(name);

	StartTransactionCommand();
	if (!OidIsValid(trusted_schema(true)))
		proc_exit(0);
	CommitTransactionCommand();

	slot = shared_database();
	if (slot == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("medchain serves at most %d databases of one server", SHARED_DATABASES)));
	my_kind = kind;
	LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
	if (slot->worker_pid[kind] == 0)
	{
		mine = true;
		slot->worker_pid[kind] = MyProcPid;
		slot->worker_latch[kind] = MyLatch;
		slot->wanted = true;
	}
	LWLockRelease(shared_state->lock);
	if (!mine)
		proc_exit(0);
	before_shmem_exit(worker_release, PointerGetDatum(slot));
	return slot;
}

void
worker_sleep(long timeout, bool *reloaded)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (timeout >= 0 ? WL_TIMEOUT : 0),
					 timeout, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
		if (reloaded)
			*reloaded = true;
	}
}

void
worker_begin(SharedDatabase *slot, const char *activity)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	if (!OidIsValid(trusted_schema(true)))
		worker_retire(slot);
	PushActiveSnapshot(GetTransactionSnapshot());
	pgstat_report_activity(STATE_RUNNING, activity);
}

void
worker_commit(void)
{
	PopActiveSnapshot();
	CommitTransactionCommand();
	pgstat_report_stat(true);
	pgstat_report_activity(STATE_IDLE, NULL);
}
