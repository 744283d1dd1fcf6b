/*
 * keeper.c: the worker for what must not delay the sealer: accepting the blocks of others whose
 * turn has come, and keeping medchain.pending small.
 *
 * Every entry passes through medchain.pending and leaves a dead row there, and the sealer looks
 * through all of it in each round.  Autovacuum comes once a minute; in that time a busy node would
 * add a hundred megabytes.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "commands/vacuum.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "ledger/chain_advance.h"
#include "ledger/held.h"
#include "ledger/hooks.h"
#include "node/shared.h"
#include "node/trusted.h"
#include "node/worker.h"
#include "sync/due.h"
#include "sync/keeper.h"

#define KEEPER_IDLE 1000		/* milliseconds */
#define KEEPER_TURN 10000		/* entries after which it is another chain's turn */
#define KEEPER_SWEEP 10000		/* milliseconds between looks at all that is held */
#define KEEPER_LOOK 60000		/* milliseconds between looks at certificates */
#define KEEPER_DAY 86400000		/* milliseconds between warnings of their ends */
#define KEEPER_TROUBLES 100		/* chains whose trouble is not told again and again */
#define KEEPER_SMALL 512		/* pages of medchain.pending that are no trouble */
#define KEEPER_BATCH 5000		/* entries sealed since the last time that are worth a vacuum */
#define KEEPER_REST 20			/* times as long as the last vacuum took; it has nothing to remove
								 * while an old transaction can still see the rows */
#define KEEPER_PATIENCE 10000	/* milliseconds for a vacuum: a cursor may stand on a page */

static BlockNumber
keeper_pending_pages(void)
{
	Relation	pending = table_open(get_relname_relid("pending", trusted_schema(false)),
									 AccessShareLock);
	BlockNumber pages = RelationGetNumberOfBlocks(pending);

	table_close(pending, AccessShareLock);
	return pages;
}

/* VACUUM (SKIP_LOCKED, TRUNCATE off) medchain.pending, outside of any transaction. */
static void
keeper_vacuum(void)
{
	static LastComplaint complaint = {0};
	MemoryContext caller = CurrentMemoryContext;
	VacuumParams params = {0};
	VacuumRelation *relation;

	/* vacuum() keeps what it needs over its transactions in a child of this */
	PortalContext = AllocSetContextCreate(TopMemoryContext, "medchain keeper vacuum",
										  ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(PortalContext);
	relation = makeVacuumRelation(makeRangeVar("medchain", "pending", -1), InvalidOid, NIL);
	params.options = VACOPT_VACUUM | VACOPT_SKIP_LOCKED;
	params.freeze_min_age = -1;
	params.freeze_table_age = -1;
	params.multixact_freeze_min_age = -1;
	params.multixact_freeze_table_age = -1;
	compat_vacuum_log_never(&params);
	params.index_cleanup = VACOPTVALUE_AUTO;

	/*
	 * giving pages back takes a lock that stops everybody; autovacuum does it when the table has
	 * grown
	 */
	params.truncate = VACOPTVALUE_DISABLED;
	params.nworkers = -1;

	enable_timeout_after(STATEMENT_TIMEOUT, KEEPER_PATIENCE);
	PG_TRY();
	{
		StartTransactionCommand();
		pgstat_report_activity(STATE_RUNNING, "vacuuming medchain.pending");
		MemoryContextSwitchTo(PortalContext);
		compat_vacuum(list_make1(relation), &params, PortalContext);
		CommitTransactionCommand();
		disable_timeout(STATEMENT_TIMEOUT, false);
		pgstat_report_stat(true);
		pgstat_report_activity(STATE_IDLE, NULL);
	}
	PG_CATCH();
	{
		disable_timeout(STATEMENT_TIMEOUT, false);
		(void) worker_recover(caller, &complaint, "vacuuming medchain.pending");
	}
	PG_END_TRY();
	QueryCancelPending = false; /* it came as we were done */
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(PortalContext);
	PortalContext = NULL;
}

static void
keeper_clean(SharedDatabase *slot)
{
	static uint64 entries = 0;	/* as many were sealed when we did it last */
	static TimestampTz next = 0;
	uint64		sealed = pg_atomic_read_u64(&slot->entries);
	TimestampTz now = GetCurrentTimestamp();
	BlockNumber pages;

	if (sealed - entries < KEEPER_BATCH || now < next)
		return;
	worker_begin(slot, "looking at medchain.pending");
	pages = keeper_pending_pages();
	worker_commit();
	entries = sealed;
	if (pages <= KEEPER_SMALL)
		return;
	keeper_vacuum();
	next = now + (GetCurrentTimestamp() - now) * KEEPER_REST;
}

/* Chains that could not be moved forward, and what was said of it last. */
typedef struct KeeperTrouble
{
	char	   *origin;
	LastComplaint complaint;
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

/* For the view: the chain of this round that could not be moved forward, if there is one. */
static void
keeper_tell(SharedDatabase *slot, const char *origin, const char *error)
{
	LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
	if (origin != NULL && strcmp(slot->stuck_origin, origin) != 0)
		slot->stuck_since = GetCurrentTimestamp();
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
		MemoryContextSwitchTo(context);
		*error = worker_recover(context, &keeper_trouble(origin)->complaint,
								psprintf("chain \"%s\"", origin));
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
	TimestampTz now = GetCurrentTimestamp();
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

/* Held entries that nobody needs any more. */
static void
keeper_sweep(SharedDatabase *slot)
{
	static TimestampTz swept = 0;
	TimestampTz now = GetCurrentTimestamp();
	TrustedScope scope;

	if (!TimestampDifferenceExceeds(swept, now, KEEPER_SWEEP))
		return;
	swept = now;
	worker_begin(slot, "removing held entries");
	trusted_begin(&scope);
	held_sweep();
	trusted_end(&scope);
	worker_commit();
}

/* Trust anchors, and the node's own certificate, of which the end is near: once a day. */
static void
keeper_warn(SharedDatabase *slot)
{
	static SPIPlanPtr plan = NULL;
	static LastComplaint complaint = {0};
	static TimestampTz looked = 0;
	static TimestampTz told = 0;
	TimestampTz now = GetCurrentTimestamp();
	MemoryContext caller = CurrentMemoryContext;

	if (!TimestampDifferenceExceeds(looked, now, KEEPER_LOOK) ||
		!TimestampDifferenceExceeds(told, now, KEEPER_DAY))
		return;
	looked = now;
	PG_TRY();
	{
		TrustedScope scope;

		worker_begin(slot, "looking at certificates");
		trusted_begin(&scope);
		trusted_execute(&plan, "SELECT w.warning, w.hint FROM medchain.certificate_warnings() w",
						0, NULL, NULL, NULL, false);
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			told = now;
			ereport(WARNING,
					(errmsg("medchain: %s",
							SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1)),
				   errhint("%s", SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2))));
		}
		SPI_freetuptable(SPI_tuptable);
		trusted_end(&scope);
		worker_commit();
	}
	PG_CATCH();
	{
		(void) worker_recover(caller, &complaint, "looking at certificates");
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
}

static void
keeper_loop(SharedDatabase *slot)
{
	for (;;)
	{
		bool		more = keeper_round(slot);

		keeper_sweep(slot);
		keeper_clean(slot);
		keeper_warn(slot);
		worker_sleep(slot, more ? 0 : KEEPER_IDLE, NULL);
	}
}

void
medchain_keeper_main(Datum database)
{
	worker_run(worker_start(database, WORKER_KEEPER, "medchain keeper"), keeper_loop, NULL);
}
