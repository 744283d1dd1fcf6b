/*
 * chain_advance.c: moving a chain forward over what peers sent.
 *
 * One held block after the other, each with all its entries, is tried (chain_trial.h) and then
 * becomes part of the ledger, with its entries folded into the state, or goes to quarantine.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "ledger/block_row.h"
#include "ledger/chain.h"
#include "ledger/chain_advance.h"
#include "ledger/chain_light.h"
#include "ledger/chain_terms.h"
#include "ledger/chain_trial.h"
#include "ledger/held.h"
#include "ledger/hooks.h"
#include "ledger/local_node.h"
#include "ledger/quarantine.h"
#include "ledger/screen.h"
#include "ledger/tile.h"
#include "node/shared.h"
#include "node/trusted.h"

/* What had been sealed, as it turns out, is not sealed again. */
static void
chain_settle_pending(const char *origin, int64 first)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[2] = {TEXTOID, INT8OID};
	Datum		values[2] = {CStringGetTextDatum(origin), Int64GetDatum(first)};

	trusted_execute(&plan, "DELETE FROM medchain.pending p USING medchain.entry e WHERE "
					"e.origin = $1 AND e.seq >= $2 AND e.id = p.id AND e.leaf_hash = p.leaf_hash",
					2, types, values, NULL, false);
}

/* Put a verified block and its entries into the ledger, and fold them. */
static void
chain_accept(ChainAdvance *chain, ChainCandidate *candidate)
{
	const HeldBlock *held = candidate->held;
	int64		first = (int64) chain->check.range.size;
	int64		size = (int64) candidate->block.size;

	ledger_writing = true;
	PG_TRY();
	{
		chain_insert_entries(chain, candidate);
		tile_batch_write(&candidate->tiles, chain->origin);
		block_insert(chain->origin, &candidate->block, candidate->after.head, held->note,
					 chain_carried(candidate));
		if (chain->own)
			chain_settle_pending(chain->origin, first);
	}
	PG_FINALLY();
	{
		ledger_writing = false;
	}
	PG_END_TRY();
	chain->check = candidate->after;
	chain_store(chain->node, chain->origin, &chain->check);
	chain_light_count(chain->origin, size - first - candidate->present);
	if (candidate->news && !chain->own)
		cosign_note_block(&chain->due, chain->check.height, chain_sealed_time(&candidate->block));
	if (candidate->governance)
	{
		ledger_hooks.fold(chain->origin, first, size - 1);
		shared_state_changed();
		chain->folded = true;
	}
}

/* Judge the candidates for the next block of a chain; true: one of them became part of it. */
static bool
chain_next(ChainAdvance *chain)
{
	const char *origin = chain->origin;
	int64		first = (int64) chain->check.range.size;
	int64		height = chain->check.height + 1;
	HeldBlock  *blocks;
	int			nblocks = held_candidates(origin, height, &blocks);
	bool		accepted = false;

	for (int i = 0; i < nblocks && !accepted; i++)
	{
		const HeldBlock *held = &blocks[i];
		ChainCandidate candidate = {.held = held};
		Refused		refused = {
			.source = held->source, .origin = origin, .height = height, .note = held->note,
			.first = first
		};

		CHECK_FOR_INTERRUPTS();
		switch (chain_try(chain, &candidate))
		{
			case TRIAL_ACCEPTED:
				chain_accept(chain, &candidate);
				held_clear_blocks(chain->node, origin, &chain->check);
				held_clear_entries(held->source, origin, &chain->check, candidate.newest);
				accepted = true;
				break;
			case TRIAL_REFUSED:
				held_drop_block(origin, height, held->id);
				refused.reason = candidate.reason;
				refused.detail = candidate.detail;
				refused.last = Max(first, (int64) candidate.block.size);
				refused.is_signed = screen_signed(chain->node, origin, height, held->note);
				quarantine_add(&refused);
				break;
			case TRIAL_EARLY:
				refused.reason = candidate.reason;
				refused.detail = candidate.detail;
				refused.last = first;
				refused.is_signed = true;
				quarantine_add(&refused);
				break;
			case TRIAL_WAITS:
				held_let_wait(origin, height, held->id);
				break;
			case TRIAL_INCOMPLETE:
				break;
		}
	}
	return accepted;
}

/*
 * Tell of what has become part of the chain since the last time, whoever accepted it.  True: there
 * is more.
 */
static bool
chain_tell(const char *origin, int64 enough)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[2] = {TEXTOID, INT8OID};
	Datum		values[2] = {CStringGetTextDatum(origin), Int64GetDatum(enough)};
	int64		first = 0;
	int64		end = 0;
	int64		size = 0;

	/* what was taken back, and comes again, is no news */
	trusted_execute(&plan, "UPDATE medchain.chain c SET told = least(c.size, c.told + $2) "
					"FROM medchain.chain o WHERE c.origin = $1 AND o.origin = $1 "
					"AND c.told <> c.size RETURNING o.told, c.told, c.size", 2, types, values,
					NULL, false);
	if (SPI_processed > 0)
	{
		HeapTuple	row = SPI_tuptable->vals[0];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;

		first = DatumGetInt64(SPI_getbinval(row, desc, 1, &isnull));
		end = DatumGetInt64(SPI_getbinval(row, desc, 2, &isnull));
		size = DatumGetInt64(SPI_getbinval(row, desc, 3, &isnull));
	}
	SPI_freetuptable(SPI_tuptable);
	if (first < end)
		ledger_hooks.arrived(origin, first, end - 1);
	return end < size;
}

bool
chain_advance(const char *origin, int64 enough)
{
	MemoryContext caller = CurrentMemoryContext;
	LocalNode	node;
	ChainAdvance chain = {.node = &node, .origin = origin, .due = COSIGN_NOTHING};
	uint64		start;
	bool		more = true;
	bool		again = false;

	if (!local_node_read(&node) || !node.at_home)
		return false;
	chain.own = strcmp(origin, node.node) == 0;
	if (chain.own && pg_atomic_read_u32(&shared_database()->recovered) != 0)
		return false;
	if (!node.has_genesis && strcmp(origin, node.data_center) != 0)
		return false;
	chain_load(&node, origin, CHAIN_LOCK_NOWAIT, &chain.check);
	start = chain.check.range.size;
	if (held_has_late(origin, chain.check.height))
		held_clear_blocks(&node, origin, &chain.check);
	while (more && (int64) (chain.check.range.size - start) < enough)
	{
		MemoryContext round = AllocSetContextCreate(caller, "medchain advance",
													ALLOCSET_DEFAULT_SIZES);

		MemoryContextSwitchTo(round);
		chain_terms(&node, origin, &chain.terms);

		/* what is held again, this transaction's snapshot does not show */
		again = chain_cut_superseded(&chain);
		more = !again && chain.terms.keys != NIL && chain_next(&chain);
		if (!more && !again && chain.terms.keys != NIL)
			again = chain_reconsider(&chain);
		MemoryContextSwitchTo(caller);
		MemoryContextDelete(round);
	}
	if (chain.own)
		return more || again;
	again |= chain_tell(origin, enough);
	cosign_due(origin, &chain.due);
	if (chain.folded)
		ledger_hooks.witness(origin, (int64) chain.check.range.size, chain.check.height,
							 chain.check.head);
	return more || again;
}

/* The next block, if it is one that needs nobody's judgement; true: it is part of the chain. */
static bool
chain_take_next(ChainAdvance *chain)
{
	HeldBlock  *blocks;
	int			nblocks = held_candidates(chain->origin, chain->check.height + 1, &blocks);

	for (int i = 0; i < nblocks; i++)
	{
		ChainCandidate candidate = {.held = &blocks[i]};

		if (strcmp(blocks[i].source, chain->run->source) == 0 && blocks[i].kinds == NULL &&
			chain_try(chain, &candidate) == TRIAL_ACCEPTED && !candidate.governance)
		{
			chain_accept(chain, &candidate);
			held_clear_blocks(chain->node, chain->origin, &chain->check);
			return true;
		}
	}
	return false;
}

int64
chain_take(const HeldRun *run)
{
	MemoryContext caller = CurrentMemoryContext;
	LocalNode	node;
	ChainAdvance chain = {
		.node = &node, .origin = run->origin, .due = COSIGN_NOTHING, .run = run
	};
	int64		start;
	bool		more = true;

	if (!local_node_read(&node) || !node.at_home || !node.has_genesis ||
		strcmp(run->origin, node.node) == 0)
		return 0;
	chain_load(&node, run->origin, CHAIN_LOCK_NOWAIT, &chain.check);
	start = (int64) chain.check.range.size;

	/* where there is no row yet, nothing is locked */
	if (chain.check.height < 0 || run->entries[0].seq != start)
		return 0;
	while (more)
	{
		MemoryContext round = AllocSetContextCreate(caller, "medchain take",
													ALLOCSET_DEFAULT_SIZES);

		MemoryContextSwitchTo(round);
		chain_terms(&node, run->origin, &chain.terms);
		more = chain.terms.keys != NIL && chain_take_next(&chain);
		MemoryContextSwitchTo(caller);
		MemoryContextDelete(round);
	}
	cosign_due(run->origin, &chain.due);
	return (int64) chain.check.range.size - start;
}
