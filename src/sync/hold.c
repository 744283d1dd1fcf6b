/*
 * hold.c: keeping what arrives from a peer until the keeper judges it, within bounds.
 *
 * There are two bounds for each source: for its own chain, and for all others together, so that a
 * member who passes on what others say (a hub) has room for its own chain in any case.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "replication/logicalworker.h"
#include "replication/worker_internal.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "core/block.h"
#include "ledger/local_node.h"
#include "node/shared.h"
#include "node/steady.h"
#include "node/trusted.h"
#include "rules/json_text.h"
#include "sync/hold.h"
#include "sync/hold_dropped.h"
#include "sync/hold_rows.h"

/* Room for the block that is next, and for as much behind it. */
#define HOLD_ENTRIES (2 * BLOCK_ENTRIES_MAX)
#define HOLD_BYTES (INT64CONST(5) * BLOCK_BYTES_MAX / 4)
#define HOLD_BLOCKS 10000
#define HOLD_VERSIONS 4			/* of one block: the keeper judges each */

#define HOLD_CHAINS 1000		/* that one transaction remembers: who invents more, waits longer */

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

/* What this process knows in its current transaction. */
typedef struct HoldTransaction
{
	bool		begun;
	bool		is_node;
	LocalNode	node;
	char	   *source;
	HTAB	   *chains;			/* of HoldChain: that were asked about */
	bool		waited;			/* for room, and in vain */
	bool		recounted[HOLD_CLASSES];	/* and there is no room */
	bool		arrived;		/* blocks, for the keeper */
} HoldTransaction;

static HoldTransaction hold;

static HoldCount counts[HOLD_CLASSES];	/* of counts_source, over transactions */
static char *counts_source = NULL;

const LocalNode *
hold_node(void)
{
	if (!hold.begun)
	{
		MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);

		hold.begun = true;
		hold.is_node = local_node_read(&hold.node);
		MemoryContextSwitchTo(old);
	}
	return hold.is_node ? &hold.node : NULL;
}

void
hold_set_source(const char *source)
{
	hold.source = MemoryContextStrdup(TopTransactionContext, source);

	if (counts_source == NULL || strcmp(counts_source, source) != 0)
	{
		if (counts_source != NULL)
			pfree(counts_source);
		counts_source = MemoryContextStrdup(TopMemoryContext, source);
		memset(counts, 0, sizeof(counts));
	}
}

/* The member behind the subscription that this process applies. */
const char *
hold_source(void)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[1] = {TEXTOID};
	Datum		values[1];

	if (hold.source != NULL)
		return hold.source;

	values[0] = CStringGetTextDatum(MySubscription->name);
	trusted_execute(&plan, "SELECT member FROM medchain.peer WHERE subscription = $1", 1, types,
					values, NULL, false);
	hold_set_source(SPI_processed > 0 ?
					SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1) :
					MySubscription->name);
	return hold.source;
}

static void
hold_look(HoldChain *chain)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(chain->origin)};
	HeapTuple	row;
	TupleDesc	desc;
	bool		isnull;
	Datum		value;

	trusted_execute(&plan,
					"SELECT EXISTS (SELECT FROM medchain.known k WHERE k.name = $1), "
					"c.height, c.size FROM medchain.local_node n LEFT JOIN medchain.chain c ON "
					"c.origin = $1", 1, types, values, NULL, false);
	row = SPI_tuptable->vals[0];
	desc = SPI_tuptable->tupdesc;
	chain->known = DatumGetBool(SPI_getbinval(row, desc, 1, &isnull));
	value = SPI_getbinval(row, desc, 2, &isnull);
	chain->height = isnull ? -1 : DatumGetInt64(value);
	value = SPI_getbinval(row, desc, 3, &isnull);
	chain->size = isnull ? 0 : DatumGetInt64(value);
	SPI_freetuptable(SPI_tuptable);
}

const HoldChain *
hold_chain(const char *origin)
{
	static HoldChain stranger;	/* one that there is no place for */
	HoldChain  *chain;
	bool		found;

	if (hold.chains == NULL)
	{
		HASHCTL		control = {
			.keysize = sizeof(stranger.origin), .entrysize = sizeof(HoldChain),
			.hcxt = TopTransactionContext
		};

		hold.chains = hash_create("medchain held chains", HOLD_CHAINS, &control,
								  HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	}
	chain = hash_search(hold.chains, origin, HASH_FIND, NULL);
	if (chain != NULL)
		return chain;
	strlcpy(stranger.origin, origin, sizeof(stranger.origin));
	hold_look(&stranger);
	if (hash_get_num_entries(hold.chains) >= HOLD_CHAINS)
		return &stranger;
	chain = hash_search(hold.chains, origin, HASH_ENTER, &found);
	*chain = stranger;
	return chain;
}

static HoldClass
hold_class(const HoldChain *chain)
{
	return strcmp(chain->origin, hold_source()) == 0 ? HOLD_OWN : HOLD_RELAYED;
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
	Datum		values[1] = {CStringGetTextDatum(hold_source())};
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

static bool
hold_is_above(const HoldCount *count, int part)
{
	return count->entries >= HOLD_ENTRIES / part || count->bytes >= HOLD_BYTES / part ||
		count->blocks >= HOLD_BLOCKS / part;
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

	hold.waited = true;

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

/* Is there room for one more, of so many bytes? */
static bool
hold_has_room(const HoldChain *chain, int64 bytes, bool is_block)
{
	HoldClass	class = hold_class(chain);
	HoldCount  *count = &counts[class];

	if (!count->counted)
		hold_count(class);
	if (!hold.waited && hold_is_above(count, 2))
	{
		hold_count(class);
		hold_wait(class, chain);
	}
	if (hold_takes(count, bytes, is_block))
		return true;
	if (hold.recounted[class])
		return false;
	hold.recounted[class] = true;

	hold_count(class);
	return hold_takes(count, bytes, is_block);
}

bool
hold_recount(const HoldChain *chain)
{
	HoldClass	class = hold_class(chain);

	hold_count(class);
	return !hold_is_above(&counts[class], 2);
}

void
hold_drop(const HoldChain *chain, int entries, int blocks)
{
	/* whom it is counted for: the transaction's end is too late to ask */
	(void) hold_source();
	hold_dropped_add(chain->known ? chain->origin : "", entries, blocks);
}

void
hold_entry(const HoldChain *chain, int64 seq, Datum payload)
{
	int64		bytes = (int64) toast_raw_datum_size(payload) - VARHDRSZ;

	/* enough of it to be refused by everybody alike */
	if (bytes > JSON_TEXT_MAX)
	{
		bytes = JSON_TEXT_MAX + 1;
		payload = PointerGetDatum(DatumGetTextPSlice(payload, 0, (int32) bytes));
	}
	if (seq >= chain->size + HOLD_ENTRIES || !hold_has_room(chain, bytes, false))
	{
		hold_drop(chain, 1, 0);
		return;
	}
	hold_rows_add(hold_source(), chain->origin, seq, payload, (int32) bytes);
	counts[hold_class(chain)].entries++;
	counts[hold_class(chain)].bytes += bytes;
}

/* May one more version of a block be held?  False: as that is there, or too many others. */
static bool
hold_is_new_version(const HoldChain *chain, int64 height, const char *note, bool *there)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[4] = {TEXTOID, TEXTOID, INT8OID, TEXTOID};
	Datum		values[4];
	bool		isnull;
	int64		versions;

	values[0] = CStringGetTextDatum(hold_source());
	values[1] = CStringGetTextDatum(chain->origin);
	values[2] = Int64GetDatum(height);
	values[3] = CStringGetTextDatum(note);
	trusted_execute(&plan, "SELECT count(*), coalesce(bool_or(h.note = $4), false) FROM "
				  "medchain.held_block h WHERE h.origin = $2 AND h.height = $3 AND h.source = $1",
					4, types, values, NULL, false);
	versions = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1,
										   &isnull));
	*there = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2,
										&isnull));
	SPI_freetuptable(SPI_tuptable);
	return !*there && versions < HOLD_VERSIONS;
}

void
hold_block(const HoldChain *chain, const ArrivedBlock *block)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[7] = {TEXTOID, TEXTOID, INT8OID, TEXTOID, BYTEAOID, TEXTOID, TEXTOID};
	Datum		values[7];
	char		nulls[7] = {' ', ' ', ' ', ' ', 'n', 'n', 'n'};
	const BlockCarried *carried = &block->carried;
	bool		there = false;
	int64		bytes = 0;

	if (carried->leaves != NULL)
		bytes += (int64) VARSIZE_ANY_EXHDR(carried->leaves);
	if (carried->kinds != NULL)
		bytes += (int64) strlen(carried->kinds);
	if (block->height > chain->height + HOLD_BLOCKS || !hold_has_room(chain, bytes, true) ||
		!hold_is_new_version(chain, block->height, block->note, &there))
	{
		if (!there)
			hold_drop(chain, 0, 1);
		return;
	}
	values[0] = CStringGetTextDatum(hold_source());
	values[1] = CStringGetTextDatum(chain->origin);
	values[2] = Int64GetDatum(block->height);
	values[3] = CStringGetTextDatum(block->note);
	if (carried->leaves != NULL)
	{
		values[4] = PointerGetDatum(carried->leaves);
		nulls[4] = ' ';
	}
	if (carried->kinds != NULL)
	{
		values[5] = CStringGetTextDatum(carried->kinds);
		values[6] = CStringGetTextDatum(carried->kinds_note);
		nulls[5] = nulls[6] = ' ';
	}
	trusted_execute(&plan,
				  "INSERT INTO medchain.held_block (source, origin, height, note, leaves, kinds, "
					"kinds_note) VALUES ($1, $2, $3, $4, $5, $6, $7)", 7, types, values, nulls,
					false);
	counts[hold_class(chain)].blocks++;
	counts[hold_class(chain)].bytes += bytes;
	hold.arrived = true;
}

/* What the transaction has still to write. */
static void
hold_write(void)
{
	TrustedScope scope;

	if (hold.source == NULL)
		return;
	PushActiveSnapshot(GetTransactionSnapshot());
	trusted_begin(&scope);
	hold_rows_insert();
	hold_dropped_write(hold.source);
	trusted_end(&scope);
	PopActiveSnapshot();
}

static void
hold_forget(void)
{
	hold_rows_forget();
	hold_dropped_forget();
	memset(&hold, 0, sizeof(hold));
}

static void
hold_xact_callback(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			hold_write();
			break;
		case XACT_EVENT_PREPARE:
			hold_forget();
			break;
		case XACT_EVENT_COMMIT:

			/* the keeper accepts what has arrived, when it can see it; or fetches what has not */
			if (hold.arrived || hold_dropped_any())
			{
				SharedDatabase *slot = shared_database();

				if (slot != NULL)
					(void) shared_wake(slot, WORKER_KEEPER);
			}
			hold_forget();
			break;
		case XACT_EVENT_ABORT:
			hold_forget();
			memset(counts, 0, sizeof(counts));
			break;
		default:
			break;
	}
}

void
hold_install(void)
{
	RegisterXactCallback(hold_xact_callback, NULL);
}
