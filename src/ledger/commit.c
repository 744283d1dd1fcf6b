/*
 * commit.c: what the commit of a transaction that appended entries does: it wakes the sealer, and
 * waits for it where asked to.
 *
 * Sessions share nothing for it but a flag, and a ticket where somebody waits.
 */
#include "postgres.h"

#include "access/xact.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "ledger/commit.h"
#include "ledger/home.h"
#include "node/demand.h"
#include "node/settings.h"
#include "node/shared.h"
#include "node/steady.h"
#include "node/trusted.h"

#define COMMIT_WAIT_SLICE 100	/* milliseconds between looks at cancel requests */

static bool appended = false;	/* in this transaction */
static bool wait_at_commit = false;
static uint64 own_blocks = SHARED_NO_BLOCKS;	/* of medchain.pending that we put rows into */
static bool callback_registered = false;

/*
 * For a while, or until somebody tells; true: the postmaster has ended.  ConditionVariableSleep()
 * would end the process then, which here is a PANIC.
 */
static bool
commit_sleep(void)
{
	int			events = WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_POSTMASTER_DEATH,
								   COMMIT_WAIT_SLICE, compat_wait_event("MedchainSeal"));

	ResetLatch(MyLatch);
	if ((events & WL_POSTMASTER_DEATH) == 0)
		return false;
	ProcDiePending = true;		/* as soon as the transaction is over */
	InterruptPending = true;
	return true;
}

/*
 * After our commit is visible: wait until the sealer has served our ticket.
 *
 * Locks are still held, interrupts are held off, and an error would be a PANIC, just as in
 * SyncRepWaitForLSN(): cancel and shutdown requests end the wait with a warning.
 */
static void
commit_wait(SharedDatabase *slot, uint64 ticket, uint64 number)
{
	DemandProblem trouble;
	TimestampTz start = steady_now();
	const char *problem = NULL;
	const char *hint = "The entries are sealed as soon as the sealer runs; see medchain.stat.";

	for (;;)
	{
		ConditionVariablePrepareToSleep(&slot->changed);
		if (pg_atomic_read_u64(&slot->sealed) >= ticket)
			break;
		if (ProcDiePending || QueryCancelPending)
		{
			problem = "the wait was canceled";
			if (QueryCancelPending)
				QueryCancelPending = false;
			break;
		}
		if (setting_seal_timeout > 0 &&
			TimestampDifferenceExceeds(start, steady_now(), setting_seal_timeout))
		{
			problem = "medchain.seal_timeout has passed";
			break;
		}
		if (demand_problem(slot, WORKER_SEALER, &number, start, &trouble))
		{
			problem = trouble.message;
			hint = trouble.hint;
			break;
		}
		if (commit_sleep())
		{
			problem = "the server is gone";
			break;
		}
	}
	ConditionVariableCancelSleep();

	if (problem)
	{
		char		error[SHARED_ERROR_LEN];

		LWLockAcquire(shared_state->lock, LW_SHARED);
		strlcpy(error, slot->error, sizeof(error));
		LWLockRelease(shared_state->lock);
		ereport(WARNING,
				(errmsg("transaction is committed, but its ledger entries are not sealed yet: %s",
						problem),
				 error[0] ? errdetail("The sealer reports: %s", error) : 0,
				 errhint("%s", hint)));
	}
}

/* Our rows are visible: the sealer has to look where they are. */
static void
commit_tell_blocks(SharedDatabase *slot)
{
	uint64		known = pg_atomic_read_u64(&slot->pending_blocks);

	while (shared_join_blocks(known, own_blocks) != known &&
		   !pg_atomic_compare_exchange_u64(&slot->pending_blocks, &known,
										   shared_join_blocks(known, own_blocks)))
		;
}

static void
commit_reset(void)
{
	appended = wait_at_commit = false;
	own_blocks = SHARED_NO_BLOCKS;
}

static void
commit_callback(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
			if (appended)
			{
				SharedDatabase *slot = shared_database();
				uint64		ticket = 0;
				uint64		number = 0;

				/* before anything by which the sealer sees that there is something to look for */
				commit_tell_blocks(slot);
				if (wait_at_commit)
					ticket = pg_atomic_add_fetch_u64(&slot->tickets, 1);

				/* Only the first one after a round has to wake the sealer. */
				if (pg_atomic_exchange_u32(&slot->dirty, 1) == 0)
				{
					pg_atomic_write_u64(&slot->dirty_since, (uint64) steady_now());
					number = shared_wake(slot, WORKER_SEALER);
				}
				else if (wait_at_commit)
					number = shared_wake(slot, WORKER_SEALER);
				if (wait_at_commit)
				{
					commit_reset();
					commit_wait(slot, ticket, number);
				}
			}
			commit_reset();
			break;
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			commit_reset();
			break;
		default:
			break;
	}
}

void
commit_note(bool wait)
{
	if (!callback_registered)
	{
		RegisterXactCallback(commit_callback, NULL);
		callback_registered = true;
	}
	appended = true;
	if (wait || setting_wait_for_seal)
		wait_at_commit = true;
}

void
commit_note_block(uint32 block)
{
	own_blocks = shared_join_blocks(own_blocks, (uint64) block << 32 | block);
}

/* Wait, as an ordinary interruptible statement, for everything committed before now. */
static void
commit_seal(SharedDatabase *slot)
{
	TimestampTz start = steady_now();
	uint64		ticket = pg_atomic_add_fetch_u64(&slot->tickets, 1);
	uint64		number = shared_wake(slot, WORKER_SEALER);
	DemandProblem problem;

	ConditionVariablePrepareToSleep(&slot->changed);
	while (pg_atomic_read_u64(&slot->sealed) < ticket)
	{
		char		error[SHARED_ERROR_LEN] = "";

		LWLockAcquire(shared_state->lock, LW_SHARED);
		if (slot->state == SEALER_FAILED)
			strlcpy(error, slot->error, sizeof(error));
		LWLockRelease(shared_state->lock);
		if (error[0])
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("the sealer cannot seal"),
					 errdetail("%s", error),
					 errhint("Nothing is lost: entries stay in medchain.pending until the sealer "
							 "can go on. When that is mended, SELECT pg_reload_conf().")));
		if (demand_problem(slot, WORKER_SEALER, &number, start, &problem))
			demand_report(ERROR, &problem);
		ConditionVariableTimedSleep(&slot->changed, COMMIT_WAIT_SLICE,
									compat_wait_event("MedchainSeal"));
	}
	ConditionVariableCancelSleep();
}

PG_FUNCTION_INFO_V1(medchain_seal);

Datum
medchain_seal(PG_FUNCTION_ARGS)
{
	demand_server("medchain.seal()");
	(void) home_require();
	commit_seal(shared_database());
	PG_RETURN_VOID();
}
