/*
 * chores.c: what a node's keeper does now and then (see chores.h).
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
#include "ledger/held.h"
#include "node/steady.h"
#include "node/trusted.h"
#include "node/worker.h"
#include "sync/chores.h"

#define CHORES_SWEEP 10000		/* milliseconds between looks at all that is held */
#define CHORES_LOOK 60000		/* milliseconds between looks at certificates */
#define CHORES_DAY 86400000		/* milliseconds between warnings of their ends */
#define CHORES_SMALL 512		/* pages of medchain.pending that are no trouble */
#define CHORES_BATCH 5000		/* entries sealed since the last time that are worth a vacuum */
#define CHORES_REST 20			/* times as long as the last vacuum took; it has nothing to remove
								 * while an old transaction can still see the rows */
#define CHORES_PATIENCE 10000	/* milliseconds for a vacuum: a cursor may stand on a page */

static BlockNumber
chores_pending_pages(void)
{
	Relation	pending = table_open(get_relname_relid("pending", trusted_schema(false)),
									 AccessShareLock);
	BlockNumber pages = RelationGetNumberOfBlocks(pending);

	table_close(pending, AccessShareLock);
	return pages;
}

/* VACUUM (SKIP_LOCKED, TRUNCATE off) medchain.pending, outside of any transaction. */
static void
chores_vacuum(void)
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

	enable_timeout_after(STATEMENT_TIMEOUT, CHORES_PATIENCE);
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
chores_clean(SharedDatabase *slot)
{
	static uint64 entries = 0;	/* as many were sealed when we did it last */
	static TimestampTz next = 0;
	uint64		sealed = pg_atomic_read_u64(&slot->entries);
	TimestampTz now = steady_now();
	BlockNumber pages;

	if (sealed - entries < CHORES_BATCH || now < next)
		return;
	worker_begin(slot, "looking at medchain.pending");
	pages = chores_pending_pages();
	worker_commit();
	entries = sealed;
	if (pages <= CHORES_SMALL)
		return;
	chores_vacuum();
	next = now + (steady_now() - now) * CHORES_REST;
}

/* Held entries that nobody needs any more. */
static void
chores_sweep(SharedDatabase *slot)
{
	static TimestampTz swept = 0;
	TimestampTz now = steady_now();
	TrustedScope scope;

	if (!TimestampDifferenceExceeds(swept, now, CHORES_SWEEP))
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
chores_warn(SharedDatabase *slot)
{
	static SPIPlanPtr plan = NULL;
	static LastComplaint complaint = {0};
	static TimestampTz looked = 0;
	static TimestampTz told = 0;
	TimestampTz now = steady_now();
	MemoryContext caller = CurrentMemoryContext;

	if (!TimestampDifferenceExceeds(looked, now, CHORES_LOOK) ||
		!TimestampDifferenceExceeds(told, now, CHORES_DAY))
		return;
	looked = now;
	PG_TRY();
	{
		TrustedScope scope;

		worker_begin(slot, "looking at certificates");
		trusted_begin(&scope);
		trusted_execute(&plan,
						"SELECT w.warning, w.hint FROM "
						"medchain_internal.certificate_warnings() w",
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

void
chores_do(SharedDatabase *slot)
{
	chores_sweep(slot);
	chores_clean(slot);
	chores_warn(slot);
}
