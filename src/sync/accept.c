/*
 * accept.c: making what a transaction of a peer's has brought part of the ledger where it ends.
 *
 * What arrives is held until the keeper judges it, as a transaction lasts as long as the peer likes
 * and whoever accepts something needs a lock on its chain (apply.c).  But where the peer has said
 * that it ends, nobody has to be waited for any more: blocks that are next, complete, without a
 * fault and without anything that the state depends on are accepted there and then.  So each
 * payload of a backlog is written once, where it stays.
 *
 * That takes a process that knows the members: not worth it for a few entries, in each of a
 * thousand apply workers.
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "replication/worker_internal.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "ledger/chain_advance.h"
#include "node/steady.h"
#include "node/trusted.h"
#include "sync/accept.h"
#include "sync/hold.h"

#define ACCEPT_MANY 200			/* entries in a transaction */
#define ACCEPT_PATIENCE 2000	/* milliseconds for the keeper, who has those before them */
#define ACCEPT_STUCK 300		/* ... without its having accepted anything */
#define ACCEPT_SLICE 10			/* ... between looks */
#define ACCEPT_SKIP_MAX 8		/* transactions that are held after one that was tried in vain */

typedef enum AcceptResult
{
	ACCEPT_DONE,
	ACCEPT_BUSY,				/* somebody else is at work on the chain */
	ACCEPT_VAIN
} AcceptResult;

static void
accept_pause(void)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, ACCEPT_SLICE,
					 compat_wait_event("MedchainHold"));
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/* Is the first of the run the next entry of its chain, or will it be in a moment? */
static bool
accept_is_next(const HeldRun *run, HoldChain *chain)
{
	TimestampTz start = steady_now();
	TimestampTz moved = start;

	for (;;)
	{
		int64		size = chain->size;
		TimestampTz now = steady_now();

		hold_look(chain);
		if (chain->size >= run->entries[0].seq)
			return chain->size == run->entries[0].seq;
		if (chain->size > size)
			moved = now;
		if (TimestampDifferenceExceeds(moved, now, ACCEPT_STUCK) ||
			TimestampDifferenceExceeds(start, now, ACCEPT_PATIENCE))
			return false;
		accept_pause();
	}
}

/* In a subtransaction: how many entries of the run were accepted. */
static int64
accept_try(const HeldRun *run)
{
	TrustedScope scope;
	HoldChain	chain;
	int64		taken = 0;

	trusted_begin(&scope);
	chain = *hold_chain(run->origin);
	if (accept_is_next(run, &chain))
		taken = chain_take(run);
	trusted_end(&scope);
	return taken;
}

/* The same, and whatever goes wrong is for the keeper to find out. */
static AcceptResult
accept_in_peace(const HeldRun *run)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile int64 taken = 0;
	volatile bool busy = false;

	BeginInternalSubTransaction(NULL);
	PushActiveSnapshot(GetTransactionSnapshot());
	PG_TRY();
	{
		taken = accept_try(run);
		PopActiveSnapshot();
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		busy = geterrcode() == ERRCODE_LOCK_NOT_AVAILABLE;
		MemoryContextSwitchTo(context);
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		taken = 0;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	if (taken > 0)
		hold_taken(run, taken);
	return taken > 0 ? ACCEPT_DONE : busy ? ACCEPT_BUSY : ACCEPT_VAIN;
}

/* The keeper has a chain for a moment only, and others as long as they like. */
static bool
accept_with_patience(const HeldRun *run)
{
	TimestampTz start = steady_now();

	for (;;)
	{
		AcceptResult result = accept_in_peace(run);

		if (result != ACCEPT_BUSY ||
			TimestampDifferenceExceeds(start, steady_now(), ACCEPT_STUCK))
			return result == ACCEPT_DONE;
		accept_pause();
	}
}

void
accept_run(void)
{
	static int	skip = 0;
	static int	pause = 1;
	HeldRun		run;

	if (am_tablesync_worker() || !hold_run(&run) || run.count < ACCEPT_MANY)
		return;
	if (skip > 0)
	{
		skip--;
		return;
	}
	if (accept_with_patience(&run))
		pause = 1;
	else
	{
		skip = pause;
		pause = Min(2 * pause, ACCEPT_SKIP_MAX);
	}
}
