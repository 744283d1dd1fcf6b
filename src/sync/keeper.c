/*
 * keeper.c: the worker for what must not delay the sealer: accepting the blocks of others whose
 * turn has come, and chores (chores.h).
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "ledger/chain_advance.h"
#include "ledger/held.h"
#include "ledger/hooks.h"
#include "node/notify.h"
#include "node/shared.h"
#include "node/steady.h"
#include "node/trusted.h"
#include "node/worker.h"
#include "sync/chores.h"
#include "sync/copy.h"
#include "sync/due.h"
#include "sync/fork.h"
#include "sync/keeper.h"
#include "sync/oversee.h"
#include "sync/trouble.h"

#define KEEPER_IDLE 1000		/* milliseconds */
#define KEEPER_TURN 10000		/* entries after which it is another chain's turn */
#define KEEPER_TROUBLES 100		/* chains whose trouble is not told again and again */
#define KEEPER_BUSY 2000		/* milliseconds for which an apply worker may be at work on a chain
								 * (accept.h): a lock that lasts is trouble */

/* Chains that could not be moved forward, and what was said of it last. */
typedef struct KeeperTrouble
{
	char	   *origin;
	LastComplaint complaint;
	TimestampTz busy_since;		/* somebody else has the chain, ... */
	TimestampTz busy_last;		/* ... as was seen last */
} KeeperTrouble;

static List *troubles = NIL;

static KeeperTrouble *
keeper_trouble(const char *origin)
{
	MemoryContext old;
	KeeperTrouble *trouble;
	ListCell   *cell;

	foreach(cell, troubles)
	{
		trouble = lfirst(cell);
		if (strcmp(trouble->origin, origin) == 0)
			return trouble;
	}
	if (list_length(troubles) == KEEPER_TROUBLES)
		troubles = list_delete_first(troubles);
	old = MemoryContextSwitchTo(TopMemoryContext);
	trouble = palloc0(sizeof(KeeperTrouble));
	trouble->origin = pstrdup(origin);
	troubles = lappend(troubles, trouble);
	MemoryContextSwitchTo(old);
	return trouble;
}

/* Was that error that somebody else is at work on the chain, as may be for a moment? */
static bool
keeper_is_busy(const char *origin)
{
	KeeperTrouble *trouble;
	TimestampTz now = steady_now();

	if (geterrcode() != ERRCODE_LOCK_NOT_AVAILABLE)
		return false;
	trouble = keeper_trouble(origin);
	if (TimestampDifferenceExceeds(trouble->busy_last, now, KEEPER_IDLE + KEEPER_BUSY))
		trouble->busy_since = now;
	trouble->busy_last = now;
	return !TimestampDifferenceExceeds(trouble->busy_since, now, KEEPER_BUSY);
}

/* For the view: the chain of this round that could not be moved forward, if there is one. */
static void
keeper_tell(SharedDatabase *slot, const char *origin, const char *error)
{
	LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
	if (origin != NULL && strcmp(slot->stuck_origin, origin) != 0)
		slot->stuck_since = steady_now();
	strlcpy(slot->stuck_origin, origin ? origin : "", sizeof(slot->stuck_origin));
	strlcpy(slot->stuck_error, error ? error : "", sizeof(slot->stuck_error));
	LWLockRelease(shared_state->lock);
}

/*
 * A chain's turn, in a transaction of its own.  What fails in there concerns that chain alone, and
 * is tried again; *error is what it was, in that context.  True: there may be more to do for it.
 */
static bool
keeper_advance(SharedDatabase *slot, const char *origin, MemoryContext context, char **error)
{
	volatile bool more = false;

	PG_TRY();
	{
		TrustedScope scope;

		worker_begin(slot, "accepting held blocks");
		trusted_begin(&scope);
		more = chain_advance(origin, KEEPER_TURN);
		trusted_end(&scope);
		worker_commit();
	}
	PG_CATCH();
	{
		bool		busy;

		MemoryContextSwitchTo(context);
		busy = keeper_is_busy(origin);
		*error = worker_recover(context, busy ? NULL : &keeper_trouble(origin)->complaint,
								psprintf("chain \"%s\"", origin));
		if (busy)
			*error = NULL;
		more = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	return more;
}

/* Roles that act for members, as far as something may have become of them. */
static void
keeper_settle_roles(SharedDatabase *slot, MemoryContext context)
{
	static LastComplaint complaint = {0};

	PG_TRY();
	{
		TrustedScope scope;

		worker_begin(slot, "looking at roles that act for members");
		trusted_begin(&scope);
		ledger_hooks.settle_roles();
		trusted_end(&scope);
		worker_commit();
	}
	PG_CATCH();
	{
		(void) worker_recover(context, &complaint, "saying what became of roles");
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
}

/* The chains with something to do, in that context.  If it cannot be found out: none, for now. */
static List *
keeper_due(SharedDatabase *slot, MemoryContext context, bool changed)
{
	static LastComplaint complaint = {0};
	List	   *volatile origins = NIL;

	PG_TRY();
	{
		TrustedScope scope;

		worker_begin(slot, "looking for held blocks");
		trusted_begin(&scope);
		origins = due_chains(context, changed);
		trusted_end(&scope);
		worker_commit();
	}
	PG_CATCH();
	{
		(void) worker_recover(context, &complaint, "looking for held blocks");
		origins = NIL;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	return origins;
}

/*
 * Every chain with something to do has its turn, so that none waits for the end of another one's
 * backlog.  True: there is more.
 */
static bool
keeper_round(SharedDatabase *slot)
{
	static uint64 generation = 0;
	static TimestampTz looked = 0;
	uint64		current = pg_atomic_read_u64(&slot->grant_generation);
	TimestampTz now = steady_now();
	bool		changed = current != generation ||
	TimestampDifferenceExceeds(looked, now, KEEPER_IDLE);
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller, "medchain keeper round",
												  ALLOCSET_DEFAULT_SIZES);
	uint64		before;
	List	   *origins;
	ListCell   *cell;
	const char *stuck = NULL;
	const char *why = NULL;
	bool		more = false;

	origins = keeper_due(slot, context, changed);
	before = generation;
	if (changed)
	{
		generation = current;
		looked = now;
	}
	foreach(cell, origins)
	{
		char	   *error = NULL;

		more |= keeper_advance(slot, lfirst(cell), context, &error);
		if (error != NULL && stuck == NULL)
		{
			stuck = lfirst(cell);
			why = error;
		}
	}
	keeper_tell(slot, stuck, why);
	if (ledger_hooks.roles_due(current != before))
		keeper_settle_roles(slot, context);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	pg_atomic_fetch_add_u64(&slot->keeper_rounds, 1);
	return more;
}

static void
keeper_loop(SharedDatabase *slot)
{
	notify_start();
	for (;;)
	{
		bool		more = keeper_round(slot);

		chores_do(slot);
		copy_unsubscribe(slot);
		fork_look(slot);
		trouble_look(slot);
		oversee_look(slot);
		worker_sleep(slot, notify_send(slot, more ? 0 : KEEPER_IDLE), NULL);
	}
}

void
medchain_keeper_main(Datum database)
{
	worker_run(worker_start(database, WORKER_KEEPER, "medchain keeper"), keeper_loop, NULL);
}
