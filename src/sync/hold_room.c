/*
 * hold_room.c: how much of a source is held, and whether there is room for more.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "replication/logicalworker.h"
#include "replication/worker_internal.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "node/steady.h"
#include "node/trusted.h"
#include "rules/json_limits.h"
#include "sync/hold_room.h"
#include "sync/hold_rows.h"

#define HOLD_SLICE 100			/* milliseconds between looks while the keeper makes room */
#define HOLD_STUCK 2000			/* ... without its having accepted anything: it is no use */
#define HOLD_PATIENCE 20000		/* ... at most: the peer wants an answer within a minute */
#define HOLD_VAIN 60000			/* ... after having waited in vain: not again so soon */

typedef enum HoldClass
{
	HOLD_OWN,					/* of the source's own chain */
	HOLD_RELAYED,
	HOLD_CLASSES
} HoldClass;

/* What is held, at most: counted some time ago, and what this process has added since. */
typedef struct HoldCount
{
	bool		counted;
	int64		entries;
	int64		bytes;
	int64		blocks;
} HoldCount;

static HoldCount counts[HOLD_CLASSES];	/* of room_source, over transactions */
static char *room_source = NULL;

/* In the current transaction. */
static bool waited = false;		/* for room, and in vain */
static bool recounted[HOLD_CLASSES];	/* and there is no room */

void
hold_room_forget(void)
{
	memset(counts, 0, sizeof(counts));
}

void
hold_room_transaction(void)
{
	waited = false;
	memset(recounted, 0, sizeof(recounted));
}

static HoldClass
hold_class(const char *origin)
{
	return strcmp(origin, room_source) == 0 ? HOLD_OWN : HOLD_RELAYED;
}

void
hold_room_used(const char *origin, int64 entries, int64 bytes, int64 blocks)
{
	HoldCount  *count = &counts[hold_class(origin)];

	count->entries += entries;
	count->bytes += bytes;
	count->blocks += blocks;
}

#define HOLD_COUNTS(chains) \
	"SELECT count(*), (coalesce(sum(e.bytes), 0) + (SELECT coalesce(sum(coalesce(" \
	"octet_length(b.leaves), 0) + coalesce(octet_length(b.kinds), 0)), 0) " \
	"FROM medchain.held_block b WHERE b.source = $1 AND " chains "))::bigint, " \
	"(SELECT count(*) FROM medchain.held_block b WHERE b.source = $1 AND " chains ") "

static void
hold_count(HoldClass class)
{
	static SPIPlanPtr plan[HOLD_CLASSES] = {NULL, NULL};
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(room_source)};
	HoldCount  *count = &counts[class];
	bool		isnull;

	hold_rows_insert();
	if (class == HOLD_OWN)
		trusted_plan_anew(&plan[class],
						  HOLD_COUNTS("b.origin = $1")
						  "FROM medchain.held_entry e WHERE e.origin = $1 AND e.source = $1",
						  1, types);
	else
		trusted_plan_anew(&plan[class],
						  HOLD_COUNTS("b.origin <> $1")
						"FROM medchain.held_entry e WHERE e.source = $1 AND e.source <> e.origin",
						  1, types);
	trusted_execute(&plan[class], NULL, 1, types, values, NULL, false);
	count->counted = true;
	count->entries = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1,
												 &isnull));
	count->bytes = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2,
											   &isnull));
	count->blocks = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 3,
												&isnull));
	SPI_freetuptable(SPI_tuptable);
}

/* A run at hand is in nobody's way: it may never become rows. */
static bool
hold_is_above(const HoldCount *count, int part)
{
	HeldRun		run;
	int64		at_hand = hold_rows_run(&run) ? run.count : 0;

	return count->entries - at_hand >= HOLD_ENTRIES / part ||
		count->bytes >= HOLD_BYTES / part || count->blocks >= HOLD_BLOCKS / part;
}

/*
 * A peer that seals faster than our keeper accepts has to wait a little: what is dropped would have
 * to be fetched again.  Not for a chain that stands still, and not in the first copy, of which the
 * keeper sees nothing before its end.
 */
static void
hold_wait(HoldClass class, const HoldChain *chain)
{
	static TimestampTz vain = 0;
	TimestampTz start = steady_now();
	TimestampTz moved = start;
	HoldChain	now_at = *chain;

	waited = true;

	if (!IsLogicalWorker() || am_tablesync_worker() ||
		(vain != 0 && !TimestampDifferenceExceeds(vain, start, HOLD_VAIN)))
		return;
	while (hold_is_above(&counts[class], 2))
	{
		int64		height = now_at.height;
		TimestampTz now = steady_now();

		if (TimestampDifferenceExceeds(moved, now, HOLD_STUCK))
			vain = now;
		if (vain == now || TimestampDifferenceExceeds(start, now, HOLD_PATIENCE))
			break;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, HOLD_SLICE,
						 compat_wait_event("MedchainHold"));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		hold_look(&now_at);
		if (now_at.height != height)
		{
			moved = steady_now();
			hold_count(class);
		}
	}
}

static bool
hold_takes(const HoldCount *count, int64 bytes, bool is_block)
{
	return (is_block ? count->blocks < HOLD_BLOCKS : count->entries < HOLD_ENTRIES) &&
		count->bytes + bytes <= HOLD_BYTES;
}

/* Of whom counts are. */
static void
hold_room_source(void)
{
	const char *source = hold_source();

	if (room_source != NULL && strcmp(room_source, source) == 0)
		return;
	if (room_source != NULL)
		pfree(room_source);
	room_source = MemoryContextStrdup(TopMemoryContext, source);
	hold_room_forget();
}

bool
hold_room_for(const HoldChain *chain, int64 bytes, bool is_block)
{
	HoldClass	class;
	HoldCount  *count;

	hold_room_source();
	class = hold_class(chain->origin);
	count = &counts[class];
	if (!count->counted)
		hold_count(class);
	if (!waited && hold_is_above(count, 2))
	{
		hold_count(class);
		hold_wait(class, chain);
	}
	if (hold_takes(count, bytes, is_block))
		return true;
	if (recounted[class])
		return false;
	recounted[class] = true;

	hold_count(class);
	return hold_takes(count, bytes, is_block);
}

bool
hold_room_recount(const HoldChain *chain)
{
	HoldClass	class;

	hold_room_source();
	class = hold_class(chain->origin);
	hold_count(class);
	return !hold_is_above(&counts[class], 2);
}

bool
hold_room_is_plenty(const HoldChain *chain)
{
	const HoldCount *count = &counts[hold_class(chain->origin)];

	return !hold_is_above(count, 2) && hold_takes(count, JSON_TEXT_MAX, false);
}
