/*
 * launcher.c: one launcher for the server starts the workers of each database that has the
 * extension.
 *
 * It cannot see from outside which databases have it, so after a server start it sends a sealer
 * into each one once; a sealer that finds no extension leaves.  Later ones are announced by
 * sessions, through shared memory.
 *
 * A worker that does not last is started again after a pause that doubles from one second to a
 * minute.  One that was asked to leave, or left because its settings had changed, did nothing
 * wrong and comes back at once.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "compat.h"
#include "node/launcher.h"
#include "node/quota.h"
#include "node/reserve.h"
#include "node/shared.h"
#include "node/spawn.h"
#include "node/steady.h"
#include "node/trusted.h"
#include "node/wait.h"
#include "node/worker.h"

#define LAUNCHER_PAUSE_FIRST 1000	/* milliseconds until a worker that failed is started again;
									 * doubles */
#define LAUNCHER_PAUSE_LAST 60000
#define LAUNCHER_LOCKED 200		/* milliseconds until the next look at a database that somebody
								 * holds */
#define LAUNCHER_CLOSED 10000	/* ... that takes no connections */
#define LAUNCHER_FULL 1000		/* ... when max_worker_processes is used up */
#define LAUNCHER_COMPLAINT 60000	/* milliseconds between two log lines about that */
#define LAUNCHER_PROBE 20		/* ... at the database that is being looked into */
#define LAUNCHER_REAPED 500		/* milliseconds until a gone worker's place is free */
#define LAUNCHER_IDLE WAIT_LIMIT	/* milliseconds between looks when nothing is due */

/* Databases that were there at the start and have yet to be looked into. */
static List *unprobed = NIL;
static bool launcher_listed = false;

/*
 * A worker is looking into one of them and will be gone in a moment.  Whoever has no room meanwhile
 * is told nothing, waits for that, and comes before the next of them.
 */
static bool probe_is_running = false;
static bool somebody_waits = false;

/* When the last of them was through: the postmaster gives its place away a little later. */
static TimestampTz probe_ended = 0;

/* One line for all databases that have to wait, and not again for a while. */
static void
launcher_complain(void)
{
	static TimestampTz complained = 0;
	TimestampTz now = steady_now();

	if (complained != 0 && !TimestampDifferenceExceeds(complained, now, LAUNCHER_COMPLAINT))
		return;
	complained = now;
	ereport(LOG,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("medchain: no room for the workers of every database"),
			 errdetail("max_worker_processes is %d, and as many background workers are running.",
					   max_worker_processes),
		errhint("Raise max_worker_processes: medchain takes one for the server, and two for each "
				"database.")));
}

static SpawnResult
launcher_try(Oid database, WorkerKind kind)
{
	MemoryContext context = CurrentMemoryContext;
	SpawnResult result;

	StartTransactionCommand();
	result = spawn_check(database);
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	if (result != SPAWN_STARTED)
		return result;
	if (spawn_worker(database, kind))
	{
		if (unprobed != NIL && database == linitial_oid(unprobed))
			probe_is_running = true;
		return result;
	}
	if (probe_is_running ||
		!TimestampDifferenceExceeds(probe_ended, steady_now(), LAUNCHER_REAPED))
	{
		somebody_waits = true;
		return SPAWN_LATER;
	}
	launcher_complain();
	return SPAWN_NO_ROOM;
}

/* Milliseconds until a worker that has failed so many times in a row is started again. */
static int
launcher_pause(int failures)
{
	int			pause = LAUNCHER_PAUSE_FIRST;

	for (int i = 1; i < failures && pause < LAUNCHER_PAUSE_LAST; i++)
		pause *= 2;
	return Min(pause, LAUNCHER_PAUSE_LAST);
}

/* Write down what became of it, for those who asked; number: how many had.  With the lock. */
static void
launcher_answer(SharedDatabase *slot, WorkerKind kind, uint64 number, SpawnResult result)
{
	SharedWorker *worker = &slot->workers[kind];
	TimestampTz now = steady_now();

	if (result == SPAWN_LATER)
	{
		worker->retry = TimestampTzPlusMilliseconds(now, LAUNCHER_PROBE);
		return;
	}

	/* one that found no extension has answered itself by now */
	worker->answered = Max(worker->answered, number);
	switch (result)
	{
		case SPAWN_STARTED:
		case SPAWN_LATER:
			break;
		case SPAWN_NO_ROOM:
			worker->answer = WORKER_NO_ROOM;
			worker->retry = TimestampTzPlusMilliseconds(now, LAUNCHER_FULL);
			break;
		case SPAWN_NO_CONNECTIONS:
			worker->answer = WORKER_NO_CONNECTIONS;
			worker->retry = TimestampTzPlusMilliseconds(now, LAUNCHER_CLOSED);
			break;
		case SPAWN_DATABASE_LOCKED:
			worker->answer = WORKER_DATABASE_LOCKED;
			worker->retry = TimestampTzPlusMilliseconds(now, LAUNCHER_LOCKED);
			break;
		case SPAWN_DROPPED:
			shared_release(slot, true);
			break;
	}
}

/* Start a worker whose time has come. */
static void
launcher_start(SharedDatabase *slot, WorkerKind kind)
{
	SharedWorker *worker = &slot->workers[kind];
	Oid			database;
	uint64		number;
	SpawnResult result;

	/*
	 * written down before it starts, as it may be quick: until it leaves in peace, this was a
	 * failure
	 */
	LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
	database = slot->database;
	number = worker->asked;
	worker->answer = WORKER_STARTED;
	worker->started = steady_now();
	worker->failures++;
	worker->retry = TimestampTzPlusMilliseconds(worker->started, launcher_pause(worker->failures));
	if (kind == WORKER_SEALER)
		slot->state = SEALER_DOWN;	/* that the one before failed is not the answer */
	LWLockRelease(shared_state->lock);

	result = OidIsValid(database) ? launcher_try(database, kind) : SPAWN_DROPPED;

	LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
	if (OidIsValid(database) && slot->database == database)
	{
		if (result != SPAWN_STARTED)
			worker->failures--;
		launcher_answer(slot, kind, number, result);
	}
	LWLockRelease(shared_state->lock);
	ConditionVariableBroadcast(&slot->changed);
}

/* Start all that is wanted, not there, and due.  Returns when the next of them will be due. */
static TimestampTz
launcher_look(void)
{
	TimestampTz next = DT_NOEND;

	somebody_waits = false;
	for (int i = 0; i < shared_state->slots; i++)
		for (int kind = 0; kind < WORKER_KINDS; kind++)
		{
			SharedDatabase *slot = &shared_state->databases[i];
			SharedWorker *worker = &slot->workers[kind];
			bool		wanted;
			TimestampTz due;

			LWLockAcquire(shared_state->lock, LW_SHARED);
			wanted = OidIsValid(slot->database) && slot->wanted && slot->barred == 0 &&
				worker->pid == 0 &&
				(kind == WORKER_SEALER || slot->workers[WORKER_SEALER].settled) &&
				(kind <= WORKER_KEEPER ||
				 worker->asked > worker->answered);
			due = worker->retry;
			LWLockRelease(shared_state->lock);
			if (!wanted)
				continue;
			if (due <= steady_now())
			{
				launcher_start(slot, kind);
				LWLockAcquire(shared_state->lock, LW_SHARED);
				due = worker->retry;
				LWLockRelease(shared_state->lock);
			}
			next = Min(next, due);
			CHECK_FOR_INTERRUPTS();
		}
	return next;
}

/* The databases that there are. */
static void
launcher_list(void)
{
	MemoryContext context = CurrentMemoryContext;
	Relation	relation;
	TableScanDesc scan;
	HeapTuple	tuple;

	StartTransactionCommand();
	relation = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(relation, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database form = (Form_pg_database) GETSTRUCT(tuple);
		MemoryContext old;

		if (!form->datallowconn || database_is_invalid_form(form))
			continue;
		old = MemoryContextSwitchTo(TopMemoryContext);
		unprobed = lappend_oid(unprobed, form->oid);
		MemoryContextSwitchTo(old);
	}
	table_endscan(scan);
	table_close(relation, AccessShareLock);
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
}

/*
 * Have the next database looked into when the one before is through, so that this takes one
 * background worker and one slot at a time.  True: there is another one.
 */
static bool
launcher_probe(void)
{
	static Oid	probing = InvalidOid;
	SharedDatabase *slot;
	SharedWorker *sealer;
	bool		begins;
	bool		through = false;

	if (unprobed == NIL)
		return false;
	begins = probing != linitial_oid(unprobed);
	if (begins && somebody_waits)
		return true;
	probing = linitial_oid(unprobed);
	probe_is_running = false;

	LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
	slot = shared_slot(probing, begins);
	sealer = slot ? &slot->workers[WORKER_SEALER] : NULL;
	if (slot == NULL || sealer->settled)
		through = true;			/* nothing there, of no use, or the sealer is up */
	else if (begins)
	{
		sealer->asked++;
		slot->wanted = true;
	}
	else if (sealer->answered > 0 && sealer->answer == WORKER_STARTED)
	{
		through = TimestampDifferenceExceeds(sealer->started, steady_now(),
											 LAUNCHER_PAUSE_FIRST);
		probe_is_running = !through;
	}
	else if (sealer->answered > 0)
		through = sealer->answer != WORKER_NO_ROOM;
	if (through && (slot == NULL || sealer->pid == 0))
		probe_ended = steady_now();
	LWLockRelease(shared_state->lock);
	if (through)
		unprobed = list_delete_first(unprobed);
	return unprobed != NIL;
}

static void
launcher_release(int code, Datum arg)
{
	LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
	shared_state->launcher_latch = NULL;
	shared_state->launcher_pid = 0;
	shared_state->launcher_gone = steady_now();
	LWLockRelease(shared_state->lock);
}

static void
launcher_sleep(TimestampTz until)
{
	long		timeout = TimestampDifferenceMilliseconds(steady_now(), until);

	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | WL_TIMEOUT,
					 Min(timeout, LAUNCHER_IDLE), compat_wait_event("MedchainLauncherMain"));
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
}

static void
launcher_work(void)
{
	TimestampTz next;

	if (!launcher_listed)
	{
		launcher_list();
		launcher_listed = true;
	}
	next = launcher_look();
	wait_watch();
	next = Min(next, quota_watch());
	reserve_watch();
	if (launcher_probe())
		next = Min(next, TimestampTzPlusMilliseconds(steady_now(), LAUNCHER_PROBE));
	launcher_sleep(next);
}

/* One round; false if it failed. */
static bool
launcher_round(LastComplaint *complaint)
{
	volatile bool done = false;

	PG_TRY();
	{
		launcher_work();
		done = true;
	}
	PG_CATCH();
	{
		HOLD_INTERRUPTS();
		worker_complain(complaint);
		AbortCurrentTransaction();
		MemoryContextSwitchTo(TopMemoryContext);
		FlushErrorState();
		RESUME_INTERRUPTS();
	}
	PG_END_TRY();
	return done;
}

void
medchain_launcher_main(Datum unused)
{
	LastComplaint complaint = {0};
	int			failures = 0;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	trusted_pin_settings();
	pgstat_report_appname("medchain launcher");

	before_shmem_exit(launcher_release, (Datum) 0);
	LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
	shared_state->launcher_latch = MyLatch;
	shared_state->launcher_pid = MyProcPid;
	LWLockRelease(shared_state->lock);
	MemoryContextSwitchTo(TopMemoryContext);

	for (;;)
	{
		if (launcher_round(&complaint))
			failures = 0;
		else
		{
			int			pause = launcher_pause(++failures);

			launcher_sleep(TimestampTzPlusMilliseconds(steady_now(), pause));
		}
	}
}

void
launcher_install(void)
{
	BackgroundWorker worker = {0};

	/* pg_upgrade wants a server in which nothing happens but what it does */
	if (IsBinaryUpgrade)
		return;
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = 1;
	strlcpy(worker.bgw_library_name, "medchain", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "medchain_launcher_main", BGW_MAXLEN);
	strlcpy(worker.bgw_name, "medchain launcher", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "medchain launcher", BGW_MAXLEN);
	RegisterBackgroundWorker(&worker);
}
