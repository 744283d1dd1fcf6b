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
#include "node/wait.h"
#include "node/worker.h"

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

static void
wait_put_worker(ReturnSetInfo *result, SharedDatabase *slot, WorkerKind kind)
{
	static const char *const names[] = {"sealer", "keeper"};
	SharedWorker *worker = &slot->workers[kind];
	const char *absence = demand_absence(slot, kind);
	char		origin[SHARED_ORIGIN_LEN] = "";
	char		problem[SHARED_ERROR_LEN] = "";
	Datum		values[6];
	bool		nulls[6] = {false};
	pid_t		pid;
	TimestampTz since;

	LWLockAcquire(shared_state->lock, LW_SHARED);
	pid = worker->pid;
	since = worker->gone;
	if (pid != 0 && kind == WORKER_KEEPER && slot->stuck_origin[0] != '\0')
	{
		strlcpy(origin, slot->stuck_origin, sizeof(origin));
		strlcpy(problem, slot->stuck_error, sizeof(problem));
		since = slot->stuck_since;
	}
	LWLockRelease(shared_state->lock);
	if (pid == 0)
		strlcpy(problem, absence ? absence : "it is not running", sizeof(problem));

	values[0] = CStringGetTextDatum(names[kind]);
	values[1] = Int32GetDatum(pid);
	nulls[1] = pid == 0;
	values[2] = CStringGetTextDatum(problem);
	nulls[2] = problem[0] == '\0';
	values[3] = TimestampTzGetDatum(since);
	nulls[3] = nulls[2];
	values[4] = CStringGetTextDatum(origin);
	nulls[4] = origin[0] == '\0';
	values[5] = Int64GetDatum((int64) pg_atomic_read_u64(&slot->keeper_rounds));
	nulls[5] = kind != WORKER_KEEPER;
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

PG_FUNCTION_INFO_V1(medchain_workers);

/* workers(OUT worker, OUT pid, OUT problem, OUT since, OUT origin, OUT rounds) */
Datum
medchain_workers(PG_FUNCTION_ARGS)
{
	SharedDatabase *slot = shared_database();

	InitMaterializedSRF(fcinfo, 0);
	if (slot != NULL)
		for (int kind = 0; kind <= WORKER_KEEPER; kind++)
			wait_put_worker((ReturnSetInfo *) fcinfo->resultinfo, slot, kind);
	return (Datum) 0;
}
