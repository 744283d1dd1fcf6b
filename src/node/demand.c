/*
 * demand.c: what sessions ask of the workers, and why they cannot have it.
 *
 * A session asks through shared memory and is told through shared memory: the launcher, or the
 * worker itself, writes down what became of it.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/condition_variable.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "compat.h"
#include "node/demand.h"
#include "node/steady.h"

#define DEMAND_PATIENCE 10000	/* milliseconds a session waits for its sealer, when nothing is
								 * known against it */
#define DEMAND_LAUNCHER 3000	/* milliseconds for the launcher, which is started again after one
								 * second */
#define DEMAND_GRACE 1000		/* and, whenever it went, at least so many from the call */
#define DEMAND_SLICE 100		/* milliseconds between looks */

void
demand_server(const char *call)
{
	if (shared_state != NULL && RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot execute %s during recovery", call),
			  errhint("This server is a standby, and medchain's workers run on its primary: call "
					  "it there.")));
	shared_require();
	if (!IsUnderPostmaster || IsBinaryUpgrade)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot execute %s in this mode of the server", call),
				 errdetail("No workers run in single-user mode and during pg_upgrade."),
				 errhint("Start the server as usual.")));
}

/* The launcher is not there, and has had the time to come. */
static bool
demand_launcher_missing(TimestampTz since)
{
	TimestampTz now = steady_now();
	TimestampTz gone;

	LWLockAcquire(shared_state->lock, LW_SHARED);
	gone = shared_state->launcher_pid == 0 ? shared_state->launcher_gone : 0;
	LWLockRelease(shared_state->lock);
	return gone != 0 && TimestampDifferenceExceeds(gone, now, DEMAND_LAUNCHER) &&
		TimestampDifferenceExceeds(since, now, DEMAND_GRACE);
}

/* What the launcher, or the worker, has answered is why there is none. */
static bool
demand_answer(WorkerKind kind, WorkerAnswer answer, DemandProblem *problem)
{
	switch (answer)
	{
		case WORKER_NO_ROOM:
			problem->sqlstate = ERRCODE_CONFIGURATION_LIMIT_EXCEEDED;
			problem->message = kind == WORKER_SEALER ?
				"there is no room for the sealer of this database" : kind == WORKER_AUDITOR ?
				"there is no room for the audit worker of this database" :
				"there is no room for the keeper of this database";
			problem->detail = psprintf("max_worker_processes is %d, and as many background "
									   "workers are running.", max_worker_processes);
			problem->hint = "Raise max_worker_processes in postgresql.conf and restart the "
				"server: medchain takes one for the server, and two for each database.";
			return true;
		case WORKER_NO_EXTENSION:
			problem->message = "the workers of this database find no extension \"medchain\"";
			problem->hint = "Commit CREATE EXTENSION first.";
			return true;
		case WORKER_NO_CONNECTIONS:
			problem->message = "this database takes no new connections";
			problem->hint = "Use ALTER DATABASE ... ALLOW_CONNECTIONS true.";
			return true;
		case WORKER_STARTED:
		case WORKER_NOT_NEEDED:
		case WORKER_DATABASE_LOCKED:
			break;				/* it may still come */
	}
	return false;
}

bool
demand_problem(SharedDatabase *slot, WorkerKind kind, uint64 *number, TimestampTz since,
			   DemandProblem *problem)
{
	SharedWorker *worker = &slot->workers[kind];
	WorkerAnswer answer;
	bool		answered;
	bool		gone;

	memset(problem, 0, sizeof(*problem));
	problem->sqlstate = ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
	if (!IsUnderPostmaster || IsBinaryUpgrade)
	{
		problem->message = "no workers run in this mode of the server";
		problem->hint = "Start the server as usual.";
		return true;
	}

	LWLockAcquire(shared_state->lock, LW_SHARED);
	gone = worker->pid == 0;
	answered = gone && *number > 0 && worker->answered >= *number;
	answer = worker->answer;
	LWLockRelease(shared_state->lock);
	if (gone && *number == 0)
		*number = shared_wake(slot, kind);
	if (answered && demand_answer(kind, answer, problem))
		return true;
	if (gone && demand_launcher_missing(since))
	{
		problem->sqlstate = ERRCODE_CONFIGURATION_LIMIT_EXCEEDED;
		problem->message = "medchain's launcher is not running";
		problem->detail = psprintf("max_worker_processes is %d.", max_worker_processes);
		problem->hint = "See the server log. If there was no room for it when the server started, "
			"raise max_worker_processes and restart the server.";
		return true;
	}
	return false;
}

const char *
demand_absence(SharedDatabase *slot, WorkerKind kind)
{
	SharedWorker *worker = &slot->workers[kind];
	WorkerAnswer answer = WORKER_STARTED;
	DemandProblem problem;

	if (RecoveryInProgress())
		return "this server is a standby: its primary seals";
	LWLockAcquire(shared_state->lock, LW_SHARED);
	if (worker->pid == 0 && slot->wanted && worker->answered > 0)
		answer = worker->answer;
	LWLockRelease(shared_state->lock);
	return demand_answer(kind, answer, &problem) ? problem.message : NULL;
}

void
demand_report(int elevel, const DemandProblem *problem)
{
	ereport(elevel,
			(errcode(problem->sqlstate),
			 errmsg("%s", problem->message),
			 problem->detail ? errdetail("%s", problem->detail) : 0,
			 errhint("%s", problem->hint)));
}

/* Ask for a worker that is not there. */
static uint64
demand_ask(SharedDatabase *slot, WorkerKind kind, bool at_once)
{
	if (at_once)
	{
		LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
		slot->workers[kind].retry = 0;
		LWLockRelease(shared_state->lock);
	}
	return shared_wake(slot, kind);
}

/* The sealer failed when it was started for us; or before, and is not to be started again soon. */
static bool
demand_failing(SharedDatabase *slot, uint64 number, bool at_once, DemandProblem *problem)
{
	SharedWorker *worker = &slot->workers[WORKER_SEALER];
	bool		failing;
	char		error[SHARED_ERROR_LEN];

	LWLockAcquire(shared_state->lock, LW_SHARED);
	failing = worker->pid == 0 && slot->state == SEALER_FAILED &&
		((number > 0 && worker->answered >= number) ||
		 (!at_once && worker->retry > steady_now()));
	strlcpy(error, slot->error, sizeof(error));
	LWLockRelease(shared_state->lock);
	if (!failing)
		return false;
	memset(problem, 0, sizeof(*problem));
	problem->sqlstate = ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
	problem->message = "the sealer of this database keeps failing";
	problem->detail = pstrdup(error);
	problem->hint = "See the server log. The sealer is started again after a while; "
		"medchain.start_workers() has it tried at once.";
	return true;
}

/* True when the sealer is there and has looked at its key. */
static bool
demand_sealer_is_up(SharedDatabase *slot)
{
	bool		up;

	LWLockAcquire(shared_state->lock, LW_SHARED);
	up = slot->workers[WORKER_SEALER].pid != 0 && slot->state != SEALER_DOWN;
	LWLockRelease(shared_state->lock);
	return up;
}

void
demand_sealer(const char *call, bool at_once)
{
	SharedDatabase *slot;
	TimestampTz start = steady_now();
	DemandProblem problem;
	uint64		number;

	demand_server(call);
	slot = shared_database();
	number = demand_ask(slot, WORKER_SEALER, at_once);
	ConditionVariablePrepareToSleep(&slot->changed);
	while (!demand_sealer_is_up(slot))
	{
		if (demand_problem(slot, WORKER_SEALER, &number, start, &problem) ||
			demand_failing(slot, number, at_once, &problem))
			demand_report(ERROR, &problem);
		if (TimestampDifferenceExceeds(start, steady_now(), DEMAND_PATIENCE))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("the sealer of this database did not start"),
					 errhint("See the server log.")));
		ConditionVariableTimedSleep(&slot->changed, DEMAND_SLICE,
									compat_wait_event("MedchainWorkerStart"));
	}
	ConditionVariableCancelSleep();
}

/* The keeper is not needed at once: a WARNING, if it cannot come. */
static void
demand_keeper(void)
{
	SharedDatabase *slot = shared_database();
	TimestampTz start = steady_now();
	uint64		number = demand_ask(slot, WORKER_KEEPER, true);
	DemandProblem problem;

	ConditionVariablePrepareToSleep(&slot->changed);
	while (number > 0)
	{
		bool		answered;

		if (demand_problem(slot, WORKER_KEEPER, &number, start, &problem))
		{
			demand_report(WARNING, &problem);
			break;
		}
		LWLockAcquire(shared_state->lock, LW_SHARED);
		answered = slot->workers[WORKER_KEEPER].answered >= number ||
			slot->workers[WORKER_KEEPER].pid != 0;
		LWLockRelease(shared_state->lock);
		if (answered || TimestampDifferenceExceeds(start, steady_now(), DEMAND_LAUNCHER))
			break;
		ConditionVariableTimedSleep(&slot->changed, DEMAND_SLICE,
									compat_wait_event("MedchainWorkerStart"));
	}
	ConditionVariableCancelSleep();
}

PG_FUNCTION_INFO_V1(medchain_start_workers);

/* start_workers() -> void */
Datum
medchain_start_workers(PG_FUNCTION_ARGS)
{
	demand_sealer("medchain.start_workers()", true);
	demand_keeper();
	PG_RETURN_VOID();
}
