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
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "ledger/hooks.h"
#include "ledger/sealer.h"
#include "ledger/shared.h"
#include "ledger/trusted.h"
#include "ledger/worker.h"

#define KEEPER_IDLE 1000		/* milliseconds */
#define KEEPER_SMALL 512		/* pages of medchain.pending that are no trouble */
#define KEEPER_BATCH 5000		/* entries sealed since the last time that are worth a vacuum */
#define KEEPER_REST 20			/* times as long as the last vacuum took; it has nothing to remove
								 * while an old transaction can still see the rows */

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

	StartTransactionCommand();
	pgstat_report_activity(STATE_RUNNING, "vacuuming medchain.pending");
	MemoryContextSwitchTo(PortalContext);
	compat_vacuum(list_make1(relation), &params, PortalContext);
	CommitTransactionCommand();
	pgstat_report_stat(true);
	pgstat_report_activity(STATE_IDLE, NULL);
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

static void
keeper_loop(SharedDatabase *slot)
{
	for (;;)
	{
		TrustedScope scope;

		worker_begin(slot, "accepting held blocks");
		trusted_begin(&scope);
		ledger_hooks.keep();
		trusted_end(&scope);
		worker_commit();
		keeper_clean(slot);
		worker_sleep(slot, KEEPER_IDLE, NULL);
	}
}

void
medchain_keeper_main(Datum database)
{
	worker_run(worker_start(database, WORKER_KEEPER, "medchain keeper"), keeper_loop, NULL);
}
