/*
 * verify_progress.c: slots in shared memory that tell how far verifications are.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "node/shared.h"
#include "verify/verify_progress.h"

static const char *const phase_names[] = {"folding the ledger", "walking the chains", "comparing"};

/* A session that is terminated in the middle never comes to verify_progress_end(). */
static void
verify_progress_exit(int code, Datum arg)
{
	LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
	for (int i = 0; i < SHARED_VERIFICATIONS; i++)
		if (shared_state->verifications[i].pid == MyProcPid)
			shared_state->verifications[i].pid = 0;
	LWLockRelease(shared_state->lock);
}

int
verify_progress_begin(void)
{
	static bool exit_registered = false;
	int			slot = -1;

	if (shared_state == NULL)
		return -1;
	if (!exit_registered)
		before_shmem_exit(verify_progress_exit, (Datum) 0);
	exit_registered = true;
	LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
	for (int i = 0; i < SHARED_VERIFICATIONS && slot < 0; i++)
		if (shared_state->verifications[i].pid == 0)
			slot = i;
	if (slot >= 0)
	{
		SharedVerification *verification = &shared_state->verifications[slot];

		verification->pid = MyProcPid;
		verification->database = MyDatabaseId;
		verification->started = GetCurrentTimestamp();
		verification->phase = VERIFY_FOLD;
		verification->workers = 0;
		verification->chains = 0;
		verification->entries_total = 0;
		pg_atomic_write_u64(&verification->entries, 0);
		pg_atomic_write_u64(&verification->blocks, 0);
		pg_atomic_write_u64(&verification->items, 0);
		pg_atomic_write_u64(&verification->faults, 0);
	}
	LWLockRelease(shared_state->lock);
	return slot;
}

void
verify_progress_walk(int slot, int chains, int64 entries)
{
	if (slot < 0)
		return;
	LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
	shared_state->verifications[slot].phase = VERIFY_WALK;
	shared_state->verifications[slot].chains = chains;
	shared_state->verifications[slot].entries_total = entries;
	LWLockRelease(shared_state->lock);
}

void
verify_progress_workers(int slot, int workers)
{
	if (slot < 0)
		return;
	LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
	shared_state->verifications[slot].workers = workers;
	LWLockRelease(shared_state->lock);
}

void
verify_progress_compare(int slot)
{
	if (slot < 0)
		return;
	LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
	shared_state->verifications[slot].phase = VERIFY_COMPARE;
	LWLockRelease(shared_state->lock);
}

void
verify_progress_end(int slot)
{
	if (slot < 0)
		return;
	LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
	shared_state->verifications[slot].pid = 0;
	LWLockRelease(shared_state->lock);
}

PG_FUNCTION_INFO_V1(medchain_verify_progress);

/*
 * verifications() -> setof (pid, started, phase, workers, chains, entries_total, entries_done,
 * blocks_done, faults, items_done): those of this database.
 */
Datum
medchain_verify_progress(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	if (shared_state == NULL)
		return (Datum) 0;
	for (int i = 0; i < SHARED_VERIFICATIONS; i++)
	{
		SharedVerification *slot = &shared_state->verifications[i];
		Datum		values[10];
		bool		nulls[10] = {false};
		bool		ours;

		LWLockAcquire(shared_state->lock, LW_SHARED);
		ours = slot->pid != 0 && slot->database == MyDatabaseId;
		values[0] = Int32GetDatum(slot->pid);
		values[1] = TimestampTzGetDatum(slot->started);
		values[2] = (Datum) slot->phase;
		values[3] = Int32GetDatum(slot->workers);
		values[4] = Int32GetDatum(slot->chains);
		values[5] = Int64GetDatum(slot->entries_total);
		values[6] = Int64GetDatum((int64) pg_atomic_read_u64(&slot->entries));
		values[7] = Int64GetDatum((int64) pg_atomic_read_u64(&slot->blocks));
		values[8] = Int64GetDatum((int64) pg_atomic_read_u64(&slot->faults));
		values[9] = Int64GetDatum((int64) pg_atomic_read_u64(&slot->items));
		LWLockRelease(shared_state->lock);
		if (!ours)
			continue;
		values[2] = CStringGetTextDatum(phase_names[values[2]]);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
