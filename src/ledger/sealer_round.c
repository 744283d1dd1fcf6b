/*
 * sealer_round.c: from committed entries to blocks.
 *
 * One round is one transaction: take what medchain.pending shows, in order, into
 * medchain.entry; grow the tree, and its tiles; sign and write a block (more for a backlog); move
 * the frontier; fold governance entries.  Exactly once through any crash follows from that.  The
 * order is that of pending.seq among the rows the round's snapshot sees: a row whose transaction
 * committed before another's began always has the smaller number, and a row still uncommitted
 * simply goes into a later block.
 */
#include "postgres.h"

#include "access/twophase.h"
#include "executor/spi.h"
#include "utils/timestamp.h"

#include "core/block.h"
#include "core/chain_check.h"
#include "core/keycache.h"
#include "ledger/block_leaves.h"
#include "ledger/block_row.h"
#include "ledger/chain.h"
#include "ledger/chain_advance.h"
#include "ledger/chain_terms.h"
#include "ledger/hooks.h"
#include "ledger/local_node.h"
#include "ledger/pending.h"
#include "ledger/seal_block.h"
#include "ledger/sealer_internal.h"
#include "ledger/tile.h"
#include "node/notify.h"
#include "node/settings.h"
#include "node/steady.h"
#include "node/trusted.h"
#include "node/worker.h"

#define SEALER_BLOCKS_PER_ROUND 16
#define SEALER_ROUND_BYTES (64 * 1024 * 1024)	/* of payloads: far from what a block may have */
#define SEALER_LOOK 10000		/* milliseconds between looks at all of medchain.pending */
#define SEALER_MARGIN (60 * USECS_PER_SEC)	/* before the certificate expires */

static uint64 pending_blocks = SHARED_ALL_BLOCKS;	/* of medchain.pending: there is nothing to
													 * seal in others */

/*
 * Is ours the key the ledger of this node is configured with?  Before it is configured, any key
 * may start it.
 */
static bool
sealer_key_fits(SharedDatabase *slot, const LocalNode *node, const ChainTerms *terms, int64 height)
{
	const ChainKey *chosen = chain_terms_key(terms, height);
	CoreError	error = {0};
	const Key  *configured;

	if (height > terms->last_height)
	{
		sealer_report(slot, SEALER_FAILED,
					  psprintf("\"%s\" was expelled: its chain ended with block %lld", node->node,
							   (long long) terms->last_height));
		return false;
	}
	if (chosen == NULL)
		return true;
	configured = keycache_get(chosen->pem, strlen(chosen->pem), &error);
	if (configured != NULL && key_same(configured, sealer_key))
		return true;
	sealer_report(slot, SEALER_FAILED,
				  psprintf("medchain.signing_key is not the key that the ledger of \"%s\" is "
						   "configured with", node->node));
	return false;
}

/*
 * Peers take no block that was sealed without a certificate for that time; a moment later is the
 * same to them.
 */
static bool
sealer_may_seal(SharedDatabase *slot, const LocalNode *node, int64 first)
{
	TimestampTz now = GetCurrentTimestamp();

	if (strcmp(node->node, node->data_center) == 0 ||
		(ledger_hooks.may_seal(node->node, first, now) &&
		 ledger_hooks.may_seal(node->node, first, now + SEALER_MARGIN)))
		return true;
	sealer_report(slot, SEALER_FAILED,
				  psprintf("the certificate of \"%s\" has expired or was revoked", node->node));
	return false;
}

/* What becomes of the entries of one round. */
typedef struct SealerRound
{
	const LocalNode *node;
	ChainCheck *check;
	TileBatch	tiles;
	BlockLeaves leaves;			/* of the block that is being filled */
	int64		entries;
	int64		bytes;			/* of their payloads */
	bool		governance;		/* the state depends on one of them */
	bool		more;			/* there may be more pending than a round takes */
	bool		key_change;		/* one of them may change the key: the block with it is the last of
								 * the round */
} SealerRound;

/* A PendingMoved: grow the tree, and close over it where a block is full or the round ends. */
static void
sealer_entry(void *state, const PendingEntry *entry)
{
	SealerRound *round = state;

	if (!chain_check_leaf(round->check, entry->leaf))
		elog(ERROR, "could not compute SHA-256");
	tile_batch_add(&round->tiles, &round->check->range);
	block_leaves_add(&round->leaves, entry->leaf, entry->kind);
	round->entries++;
	round->bytes += entry->payload_length;
	round->governance = round->governance || ledger_hooks.is_governance(entry->kind);
	round->key_change = round->key_change || ledger_hooks.changes_key(entry->kind);
	if ((round->entries % setting_block_max_entries == 0 && !round->key_change) || entry->last)
		seal_block(round->node, round->check, &round->leaves, sealer_key);
}

/*
 * As many entries as a round takes: blocks that are full, and no more than one block may have, as
 * a change of key leaves the round with one.
 */
static int64
sealer_round_entries(void)
{
	int			blocks = Min(BLOCK_ENTRIES_MAX / setting_block_max_entries,
							 SEALER_BLOCKS_PER_ROUND);

	return (int64) setting_block_max_entries * blocks;
}

/* Move pending rows over and write the blocks and tiles over them, as the one who may. */
static void
sealer_move(SealerRound *round)
{
	ledger_writing = true;
	PG_TRY();
	{
		tile_batch_init(&round->tiles);
		block_leaves_init(&round->leaves);
		round->more = pending_move(round->node->node, (int64) round->check->range.size,
								   sealer_round_entries(), SEALER_ROUND_BYTES,
								   setting_block_max_entries, pending_blocks, sealer_entry, round);
		if (!round->more)
			pending_blocks = SHARED_NO_BLOCKS;
		tile_batch_write(&round->tiles, round->node->node);
	}
	PG_FINALLY();
	{
		ledger_writing = false;
	}
	PG_END_TRY();
}

/*
 * Seal what is pending.  Returns the number of entries, -1 if sealing is not possible now; more:
 * it may not have been all.
 */
static int64
sealer_seal(SharedDatabase *slot, int64 *bytes, bool *more)
{
	LocalNode	node;
	ChainAdvance chain = {.node = &node};
	SealerRound round = {.node = &node, .check = &chain.check};
	int64		first;

	if (!local_node_read(&node))
		return 0;
	if (!node.at_home)
	{
		/* it was no node when the key was loaded: a dump has been restored meanwhile */
		sealer_drop_key(slot);
		return -1;
	}
	chain.origin = node.node;
	chain_load(&node, node.node, CHAIN_LOCK, &chain.check);
	chain_terms(&node, node.node, &chain.terms);
	if (!sealer_key_fits(slot, &node, &chain.terms, chain.check.height + 1))
		return -1;
	if (chain_cut_superseded(&chain))
		pending_blocks = SHARED_ALL_BLOCKS;
	if (!sealer_may_seal(slot, &node, (int64) chain.check.range.size))
		return -1;

	first = (int64) chain.check.range.size;
	sealer_move(&round);
	*bytes = round.bytes;
	*more = round.more;
	if (round.entries == 0)
		return 0;

	chain_store(&node, node.node, &chain.check);
	notify_block(node.node, (int64) chain.check.range.size);
	if (chain.check.height == 0 && strcmp(node.node, node.data_center) == 0)
	{
		SPIPlanPtr	plan = NULL;

		trusted_execute(&plan,
						"UPDATE medchain.local_node SET genesis_hash = "
						"(SELECT hash FROM medchain.block WHERE origin = node AND height = 0) "
						"WHERE genesis_hash IS NULL",
						0, NULL, NULL, NULL, false);
	}
	if (round.governance)
	{
		ledger_hooks.fold(node.node, first, first + round.entries - 1);
		shared_state_changed();
	}
	return round.entries;
}

/*
 * Count entries by the time from the first commit among them to their block: for each, that is the
 * most it can be.
 */
static void
sealer_latency(SharedDatabase *slot, int64 entries, TimestampTz since)
{
	double		micros = (double) Max(0, steady_now() - since);
	double		end = SHARED_LATENCY_FIRST;
	int			n = 0;

	for (; n < SHARED_LATENCIES - 1 && micros > end; n++)
		end *= SHARED_LATENCY_STEP;
	pg_atomic_fetch_add_u64(&slot->latency[n], entries);
	if (micros > (double) pg_atomic_read_u64(&slot->latency_max))
		pg_atomic_write_u64(&slot->latency_max, (uint64) micros);
}

/*
 * Rows that were moved stay where they were, dead, as long as anybody's old transaction might still
 * look at them: to read past all of them in each round would make a round as long as somebody
 * likes.  So who commits says where he has put rows, after they can be seen and before he tells us;
 * what we have looked through has nothing more.
 */
static void
sealer_look_in(SharedDatabase *slot)
{
	static Oid	file = InvalidOid;
	static TimestampTz looked = 0;
	uint64		told = pg_atomic_exchange_u64(&slot->pending_blocks, SHARED_NO_BLOCKS);
	Oid			now = pending_file();

	/*
	 * COMMIT PREPARED says nothing; who rewrites the table moves what is in it; and who writes it
	 * otherwise than we do is not left out for ever
	 */
	if (max_prepared_xacts > 0 || now != file ||
		TimestampDifferenceExceeds(looked, steady_now(), SEALER_LOOK))
		told = SHARED_ALL_BLOCKS;
	if (told == SHARED_ALL_BLOCKS)
		looked = steady_now();
	file = now;
	pending_blocks = shared_join_blocks(pending_blocks, told);
}

bool
sealer_round(SharedDatabase *slot)
{
	uint64		ticket = pg_atomic_read_u64(&slot->tickets);
	static TimestampTz backlog_since =
	0;							/* a round that was full leaves what was committed as early */
	TimestampTz since = (TimestampTz) pg_atomic_exchange_u64(&slot->dirty_since, 0);
	TrustedScope scope;
	int64		taken;
	int64		bytes = 0;
	bool		more = false;

	if (backlog_since != 0)
		since = backlog_since;
	pg_atomic_write_u32(&slot->dirty, 0);
	pg_memory_barrier();
	worker_begin(slot, "sealing");
	sealer_look_in(slot);
	trusted_begin(&scope);
	taken = sealer_seal(slot, &bytes, &more);
	trusted_end(&scope);
	worker_commit();

	if (taken < 0)
		return true;
	if (taken > 0)
	{
		pg_atomic_fetch_add_u64(&slot->blocks,
							 (taken + setting_block_max_entries - 1) / setting_block_max_entries);
		pg_atomic_fetch_add_u64(&slot->entries, taken);
		pg_atomic_fetch_add_u64(&slot->bytes, bytes);
		if (since != 0)
			sealer_latency(slot, taken, since);
	}
	sealer_report(slot, SEALER_RUNNING, "");
	backlog_since = 0;
	if (more)
	{
		backlog_since = since;
		return false;
	}
	pg_atomic_write_u64(&slot->sealed, ticket);
	ConditionVariableBroadcast(&slot->changed);
	return true;
}
