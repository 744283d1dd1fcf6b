/*
 * wait.c: what the workers wait for longer than is good, in the log and for the views.
 *
 * A worker that waits cannot say so: PostgreSQL sleeps in there.  So the launcher looks at the
 * others' processes in shared memory.  Locks that one process waits for another one holds, and
 * which, PostgreSQL knows.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/proc.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "node/demand.h"
#include "node/shared.h"
#include "node/steady.h"
#include "node/wait.h"
#include "node/worker.h"

#define WAIT_MENDED 15000		/* milliseconds after which a worker is not about to fail again */
#define WAIT_COMPLAINTS 64		/* processes whose waits are not told again and again */

/* Whose wait was last said in the log. */
typedef struct WaitComplaint
{
	pid_t		pid;
	LastComplaint last;
} WaitComplaint;

static WaitComplaint complaints[WAIT_COMPLAINTS];

static bool
wait_complaint_is_due(pid_t pid, const char *message)
{
	static int	next = 0;
	WaitComplaint *complaint = NULL;

	for (int i = 0; i < WAIT_COMPLAINTS && complaint == NULL; i++)
		if (complaints[i].pid == pid)
			complaint = &complaints[i];
	if (complaint == NULL)
	{
		complaint = &complaints[next];
		next = (next + 1) % WAIT_COMPLAINTS;
		memset(complaint, 0, sizeof(*complaint));
		complaint->pid = pid;
	}
	return worker_complaint_is_due(&complaint->last, message);
}

/* The processes that hold what this one waits for, or wait for it before him; 0: nobody's. */
static char *
wait_blockers(pid_t pid)
{
	ArrayType  *array = DatumGetArrayTypeP(DirectFunctionCall1(pg_blocking_pids,
															   Int32GetDatum(pid)));
	Datum	   *pids;
	bool	   *nulls;
	int			count;
	StringInfoData text;

	deconstruct_array(array, INT4OID, sizeof(int32), true, TYPALIGN_INT, &pids, &nulls, &count);
	initStringInfo(&text);
	for (int i = 0; i < count; i++)
		if (DatumGetInt32(pids[i]) == 0)
			appendStringInfo(&text, "%sa prepared transaction", i > 0 ? ", " : "");
		else
			appendStringInfo(&text, "%sprocess %d", i > 0 ? ", " : "", DatumGetInt32(pids[i]));
	return text.data;
}

/* Does that database have workers of ours? */
static bool
wait_concerns(Oid database)
{
	bool		ours = false;

	LWLockAcquire(shared_state->lock, LW_SHARED);
	for (int i = 0; i < shared_state->slots && !ours; i++)
		ours = OidIsValid(database) && shared_state->databases[i].database == database;
	LWLockRelease(shared_state->lock);
	return ours;
}

static void
wait_look_at(pid_t pid, Oid database, TimestampTz since)
{
	const char *type = GetBackgroundWorkerTypeByPid(pid);
	long		seconds = TimestampDifferenceMilliseconds(since, GetCurrentTimestamp()) / 1000;
	char	   *blockers;

	/* the type of a background worker is what the program says that registered it */
	if (type == NULL || !wait_concerns(database) ||
		(strncmp(type, "medchain ", 9) != 0 && strncmp(type, "logical replication ", 20) != 0))
		return;
	type = pstrdup(type);
	blockers = wait_blockers(pid);
	if (blockers[0] != '\0' && wait_complaint_is_due(pid, blockers))
		ereport(LOG,
				(errmsg("medchain: %s %d of database %u has waited %ld s for a lock of %s", type,
						(int) pid, database, seconds, blockers),
				 errhint("As long as it waits, what others have revoked may still have effect "
						 "here.")));
}

void
wait_watch(void)
{
	TimestampTz now = GetCurrentTimestamp();
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "medchain waits",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);

	for (uint32 i = 0; i < ProcGlobal->allProcCount; i++)
	{
		PGPROC	   *process = &ProcGlobal->allProcs[i];
		TimestampTz since = (TimestampTz) pg_atomic_read_u64(&process->waitStart);

		if (since != 0 && TimestampDifferenceExceeds(since, now, WAIT_LIMIT) && process->pid != 0)
			wait_look_at(process->pid, process->databaseId, since);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/*
 * Of those that are there only while they have something to do: what is wrong if one is not; NULL:
 * nothing.
 */
static const char *
wait_absence(SharedDatabase *slot, WorkerKind kind, int failures)
{
	const char *absence = demand_absence(slot, kind);

	if (absence == NULL && kind != WORKER_SEALER && kind != WORKER_KEEPER)
		return failures > 0 ? "it is started again, as it did not last" : NULL;
	return absence != NULL ? absence : "it is not running";
}

static void
wait_put(ReturnSetInfo *result, const char *name, pid_t pid, const char *problem,
		 TimestampTz since, const char *origin, int64 rounds, int failures)
{
	Datum		values[7];
	bool		nulls[7] = {false};

	values[0] = CStringGetTextDatum(name);
	values[1] = Int32GetDatum(pid);
	nulls[1] = pid == 0;
	nulls[2] = problem == NULL || problem[0] == '\0';
	values[2] = nulls[2] ? (Datum) 0 : CStringGetTextDatum(problem);
	values[3] = TimestampTzGetDatum(steady_date(since));
	nulls[3] = nulls[2];
	nulls[4] = origin[0] == '\0';
	values[4] = nulls[4] ? (Datum) 0 : CStringGetTextDatum(origin);
	values[5] = Int64GetDatum(rounds);
	nulls[5] = rounds < 0;
	values[6] = Int32GetDatum(failures);
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

static void
wait_put_worker(ReturnSetInfo *result, SharedDatabase *slot, WorkerKind kind)
{
	static const char *const names[] = {"sealer", "keeper", "fetcher", "auditor", "follower"};
	SharedWorker *worker = &slot->workers[kind];
	char		origin[SHARED_ORIGIN_LEN] = "";
	char		stuck[SHARED_ERROR_LEN] = "";
	const char *problem = NULL;
	int			failures;
	pid_t		pid;
	TimestampTz since;

	LWLockAcquire(shared_state->lock, LW_SHARED);
	pid = worker->pid;
	since = worker->gone;

	/* one that has lasted for a while has made up for those before */
	failures = pid != 0 && TimestampDifferenceExceeds(worker->started, steady_now(),
													  WAIT_MENDED) ? 0 : worker->failures;
	if (pid != 0 && kind == WORKER_KEEPER && slot->stuck_origin[0] != '\0')
	{
		strlcpy(origin, slot->stuck_origin, sizeof(origin));
		strlcpy(stuck, slot->stuck_error, sizeof(stuck));
		problem = stuck;
		since = slot->stuck_since;
	}
	LWLockRelease(shared_state->lock);
	if (pid == 0)
		problem = wait_absence(slot, kind, failures);
	wait_put(result, names[kind], pid, problem, since, origin, kind != WORKER_KEEPER ? -1 :
			 (int64) pg_atomic_read_u64(&slot->keeper_rounds), failures);
}

static void
wait_put_launcher(ReturnSetInfo *result)
{
	pid_t		pid;
	TimestampTz gone;

	LWLockAcquire(shared_state->lock, LW_SHARED);
	pid = shared_state->launcher_pid;
	gone = shared_state->launcher_gone;
	LWLockRelease(shared_state->lock);
	wait_put(result, "launcher", pid, pid == 0 ? "it is not running" : NULL, gone, "", -1, 0);
}

PG_FUNCTION_INFO_V1(medchain_workers);

/* workers(OUT worker, OUT pid, OUT problem, OUT since, OUT origin, OUT rounds, OUT failures) */
Datum
medchain_workers(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	SharedDatabase *slot = shared_database();

	InitMaterializedSRF(fcinfo, 0);
	if (slot == NULL)
		return (Datum) 0;
	wait_put_launcher(result);
	for (int kind = 0; kind < WORKER_KINDS; kind++)
		wait_put_worker(result, slot, kind);
	return (Datum) 0;
}
