/*
 * chain_advance.c: moving a chain forward over what peers sent.
 *
 * One held block after the other, each with all its entries, is checked as
 * chain_check.h says and then becomes part of the ledger, with its entries
 * folded into the state, or goes to quarantine.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "core/keycache.h"
#include "ledger/chain.h"
#include "ledger/held.h"
#include "ledger/hooks.h"
#include "ledger/payload.h"
#include "ledger/quarantine.h"
#include "ledger/tile.h"
#include "node/shared.h"
#include "node/trusted.h"
#include "rules/block.h"

#define CHAIN_FETCH 1000		/* entries read from a cursor at once */

typedef enum ChainTrial
{
	TRIAL_ACCEPTED,
	TRIAL_WAITS,				/* nothing is wrong with it, but the author's certificate is
								 * missing */
	TRIAL_INCOMPLETE,			/* there is nothing to say yet */
	TRIAL_REFUSED				/* provably wrong */
} ChainTrial;

static void
chain_insert_entry(const char *origin, int64 seq, const PayloadFields *fields,
				   const char *payload, const uint8_t leaf[HASH_LEN])
{
	static SPIPlanPtr plan = NULL;
	Oid			types[9] = {
		TEXTOID, INT8OID, UUIDOID, TEXTOID, TIMESTAMPTZOID, TEXTOID, BYTEAOID,
		TEXTOID, BYTEAOID
	};
	Datum		values[9];
	char		nulls[9];

	memset(nulls, ' ', sizeof(nulls));
	values[0] = CStringGetTextDatum(origin);
	values[1] = Int64GetDatum(seq);
	values[2] = UUIDPGetDatum(&fields->id);
	values[3] = CStringGetTextDatum(fields->kind);
	values[4] = TimestampTzGetDatum(fields->time);
	values[5] = CStringGetTextDatum(fields->actor);
	values[6] = chain_bytea(fields->subject, HASH_LEN);
	if (!fields->has_subject)
		nulls[6] = 'n';
	values[7] = CStringGetTextDatum(payload);
	values[8] = chain_bytea(leaf, HASH_LEN);
	trusted_execute(&plan,
					"INSERT INTO medchain.entry (origin, seq, id, kind, \"time\", actor, subject, "
					"payload, leaf_hash) "
					"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
					9, types, values, nulls, false);
}

/*
 * Walk the held entries first .. last in order.  With check: add their leaves, collect the tile
 * hashes that these complete, and see that they are entries of this chain.  Without: they are
 * verified; insert them.
 */
static bool
chain_walk_entries(const char *source, const char *origin, int64 first, int64 last,
				   ChainCheck *check, TileBatch *tiles, bool *governance, const char **detail)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "medchain entries",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = CurrentMemoryContext;
	Portal		cursor = held_entries(source, origin, first, last);
	bool		fine = true;

	for (;;)
	{
		SPITupleTable *batch;
		uint64		rows;

		SPI_cursor_fetch(cursor, true, CHAIN_FETCH);
		batch = SPI_tuptable;
		rows = SPI_processed;
		for (uint64 i = 0; i < rows && fine; i++)
		{
			PayloadFields fields;
			const char *reason = NULL;
			uint8_t		leaf[HASH_LEN];
			bool		isnull;
			int64		seq = DatumGetInt64(SPI_getbinval(batch->vals[i], batch->tupdesc, 1,
														  &isnull));
			char	   *payload;

			CHECK_FOR_INTERRUPTS();
			MemoryContextReset(context);
			MemoryContextSwitchTo(context);
			payload = TextDatumGetCString(SPI_getbinval(batch->vals[i], batch->tupdesc, 2,
														&isnull));
			if (!hash_leaf(payload, strlen(payload), leaf))
				elog(ERROR, "could not compute SHA-256");
			if (!payload_parse(payload, strlen(payload), &fields, &reason))
				fine = false;
			else if (strcmp(fields.origin, origin) != 0)
			{
				fine = false;
				reason = "payload is of another origin";
			}
			if (fine && check == NULL)
				chain_insert_entry(origin, seq, &fields, payload, leaf);
			MemoryContextSwitchTo(caller);
			if (!fine)
				*detail = psprintf("entry %lld: %s", (long long) seq, reason);
			else if (check != NULL)
			{
				if (!chain_check_leaf(check, leaf))
					elog(ERROR, "could not compute SHA-256");
				tile_batch_add(tiles, &check->range);
				*governance |= ledger_hooks.is_governance(fields.kind);
			}
		}
		SPI_freetuptable(batch);
		if (rows < CHAIN_FETCH || !fine)
			break;
	}
	SPI_cursor_close(cursor);
	MemoryContextDelete(context);
	return fine;
}

static TimestampTz
chain_sealed_time(const NoteBlock *block)
{
	return DatumGetTimestampTz(DirectFunctionCall3(timestamptz_in, CStringGetDatum(block->sealed),
												   ObjectIdGetDatum(InvalidOid),
												   Int32GetDatum(-1)));
}

/* One held block against the frontier. */
static ChainTrial
chain_try(const LocalNode *node, const char *origin, const HeldBlock *held,
		  const ChainTerms *terms,
		  ChainCheck *check, NoteBlock *block, TileBatch *tiles, bool *governance,
		  const char **reason, const char **detail)
{
	const char *note = held->note;
	CoreError	error = {0};
	ChainCheck	trial = *check;
	const char *key_pem = chain_terms_key(terms, check->height + 1)->pem;
	const Key  *key = keycache_get(key_pem, strlen(key_pem), &error);
	const uint8_t *named = chain_terms_hash(terms, check->height + 1);
	int64		first = (int64) check->range.size;
	ChainFault	fault;

	if (check->height >= terms->last_height)
	{
		*reason = "chain is closed";
		*detail = psprintf("the member was expelled; its last block is %lld",
						   (long long) terms->last_height);
		return TRIAL_REFUSED;
	}
	if (key == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("ledger key of \"%s\" is unusable: %s", origin, error.message)));
	if (!note_parse_block(note, strlen(note), block, &error))
		fault = CHAIN_BAD_NOTE;
	else if (note_verify(note, strlen(note), check->name, key, &error) != KEY_VALID)
	{
		fault = CHAIN_BAD_SIGNATURE;
		if (error.message[0] == '\0')
			error_set(&error, CORE_MALFORMED, "no valid signature by the configured key of \"%s\"",
					  check->name);
	}
	else if (block->size < check->range.size)
	{
		fault = CHAIN_BAD_SIZE;
		error_set(&error, CORE_MALFORMED, "tree shrinks from %llu to %llu entries",
				  (unsigned long long) check->range.size, (unsigned long long) block->size);
	}
	else if (block->size - check->range.size > BLOCK_ENTRIES_MAX)
	{
		fault = CHAIN_BAD_SIZE;
		error_set(&error, CORE_MALFORMED, "block has more than %d entries", BLOCK_ENTRIES_MAX);
	}
	else if (held->waits && named == NULL &&
			 !ledger_hooks.may_seal(origin, first, chain_sealed_time(block)))
		return TRIAL_INCOMPLETE;	/* without all of its entries being read again, and again */
	else
	{
		int64		bytes;

		if (held_count(held->source, origin, first, (int64) block->size, &bytes) <
			(int64) block->size - first)
			return TRIAL_INCOMPLETE;
		if (bytes > BLOCK_BYTES_MAX)
		{
			*reason = chain_fault_name(CHAIN_BAD_SIZE);
			*detail = psprintf("entries of the block have more than %d bytes", BLOCK_BYTES_MAX);
			return TRIAL_REFUSED;
		}
		*governance = false;
		tile_batch_init(tiles);
		if (!chain_walk_entries(held->source, origin, first, (int64) block->size, &trial, tiles,
								governance, detail))
		{
			*reason = "bad entry";
			return TRIAL_REFUSED;
		}
		fault = chain_check_block(&trial, note, strlen(note), NULL, block, &error);
		if (fault == CHAIN_FINE && block->height == 0 && node->has_genesis &&
			strcmp(origin, node->data_center) == 0 && !hash_equal(trial.head, node->genesis_hash))
		{
			*reason = "not the genesis block";
			return TRIAL_REFUSED;
		}
		if (fault == CHAIN_FINE && named != NULL && !hash_equal(trial.head, named))
		{
			*reason = "not the block that counts";
			*detail = psprintf("the data centre names another block %lld",
							   (long long) block->height);
			return TRIAL_REFUSED;
		}

		/* last, as what is provably wrong must not wait */
		if (fault == CHAIN_FINE && strcmp(origin, node->data_center) != 0 &&
			!ledger_hooks.may_seal(origin, first, chain_sealed_time(block)))
			return TRIAL_WAITS;
	}
	if (fault == CHAIN_FAILED)
		ereport(ERROR,
				(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
				 errmsg("could not check block: %s", error.message)));
	if (fault != CHAIN_FINE)
	{
		*reason = chain_fault_name(fault);
		*detail = pstrdup(error.message);
		return TRIAL_REFUSED;
	}
	*check = trial;
	return TRIAL_ACCEPTED;
}

/* Put a verified block and its entries into the ledger, and fold them. */
static void
chain_accept(const LocalNode *node, const char *origin, const char *source, const char *note,
			 const ChainCheck *check, const NoteBlock *block, TileBatch *tiles, int64 first,
			 bool governance)
{
	const char *detail;

	chain_writing = true;
	PG_TRY();
	{
		chain_walk_entries(source, origin, first, (int64) block->size, NULL, NULL, NULL, &detail);
		tile_batch_write(tiles, origin);
		chain_insert_block(origin, block, check->head, note);
	}
	PG_FINALLY();
	{
		chain_writing = false;
	}
	PG_END_TRY();
	chain_store(node, origin, check);
	if (governance)
	{
		ledger_hooks.fold(origin, first, (int64) block->size - 1);
		shared_state_changed();
	}
}

/* Judge the candidates for the next block of a chain; true: one of them became part of it. */
static bool
chain_next(const LocalNode *node, const char *origin, const ChainTerms *terms, ChainCheck *check)
{
	int64		first = (int64) check->range.size;
	int64		height = check->height + 1;
	HeldBlock  *candidates;
	int			ncandidates = held_candidates(origin, height, &candidates);
	bool		accepted = false;

	for (int i = 0; i < ncandidates && !accepted; i++)
	{
		const HeldBlock *held = &candidates[i];
		NoteBlock	block = {0};
		TileBatch	tiles;
		bool		governance = false;
		Refused		refused = {
			.source = held->source, .origin = origin, .height = height, .note = held->note,
			.first = first
		};

		CHECK_FOR_INTERRUPTS();
		switch (chain_try(node, origin, held, terms, check, &block, &tiles,
						  &governance, &refused.reason, &refused.detail))
		{
			case TRIAL_ACCEPTED:
				chain_accept(node, origin, held->source, held->note, check, &block, &tiles,
							 first, governance);
				held_clear_blocks(node, origin, check);
				held_clear_entries(held->source, origin, check);
				accepted = true;
				break;
			case TRIAL_REFUSED:
				held_drop_block(origin, height, held->id);
				refused.last = Max(first, (int64) block.size);
				refused.is_signed = chain_signed(node, origin, height, held->note);
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

bool
chain_advance(const char *origin, int64 enough)
{
	MemoryContext caller = CurrentMemoryContext;
	LocalNode	node;
	ChainCheck	check;
	uint64		start;
	bool		progress = true;

	if (!chain_local_node(&node) || !node.at_home || strcmp(origin, node.node) == 0)
		return false;
	if (!node.has_genesis && strcmp(origin, node.data_center) != 0)
		return false;
	chain_load(&node, origin, CHAIN_LOCK_NOWAIT, &check);
	start = check.range.size;
	if (held_has_late(origin, check.height))
		held_clear_blocks(&node, origin, &check);
	while (progress && (int64) (check.range.size - start) < enough)
	{
		MemoryContext round = AllocSetContextCreate(caller, "medchain advance",
													ALLOCSET_DEFAULT_SIZES);
		ChainTerms	terms;

		MemoryContextSwitchTo(round);
		chain_terms(&node, origin, &terms);

		/* what was taken back is held now, which this transaction's snapshot does not show */
		if (chain_cut_superseded(&node, origin, &terms, &check))
		{
			MemoryContextSwitchTo(caller);
			MemoryContextDelete(round);
			return true;
		}
		progress = terms.keys != NIL &&
			(chain_next(&node, origin, &terms, &check) ||
			 chain_reconsider(&node, origin, &terms, check.height + 1));
		MemoryContextSwitchTo(caller);
		MemoryContextDelete(round);
	}
	return progress;
}
