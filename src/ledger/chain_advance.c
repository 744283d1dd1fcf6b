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

#include "core/block.h"
#include "core/keycache.h"
#include "ledger/block_row.h"
#include "ledger/chain.h"
#include "ledger/chain_advance.h"
#include "ledger/chain_terms.h"
#include "ledger/held.h"
#include "ledger/hooks.h"
#include "ledger/local_node.h"
#include "ledger/payload.h"
#include "ledger/quarantine.h"
#include "ledger/screen.h"
#include "ledger/tile.h"
#include "node/settings.h"
#include "node/shared.h"
#include "node/trusted.h"

#define CHAIN_FETCH 1000		/* entries read from a cursor at once */

typedef enum ChainTrial
{
	TRIAL_ACCEPTED,
	TRIAL_WAITS,				/* nothing is wrong with it, but the author's certificate is
								 * missing */
	TRIAL_INCOMPLETE,			/* there is nothing to say yet */
	TRIAL_EARLY,				/* it was sealed in the future */
	TRIAL_REFUSED				/* provably wrong */
} ChainTrial;

/* A held block that may be the next one, and what its trial has found. */
typedef struct Candidate
{
	const HeldBlock *held;
	NoteBlock	block;
	ChainCheck	after;			/* the frontier behind it */
	TileBatch	tiles;
	MemoryContext context;		/* of these */
	int64		newest;			/* id of the newest of its held entries */
	bool		governance;		/* some of its entries are */
	bool		news;			/* ... and some are more than what others have witnessed */
	const char *reason;			/* why it is refused, and what there is to say of that, or NULL */
	const char *detail;
} Candidate;

/* What is done with each held entry of a block; false, and a reason: it is none of this chain. */
typedef bool (*EntryVisit) (const char *origin, int64 seq, const char *payload, void *arg,
							const char **reason);

/*
 * Walk the held entries first .. last - 1 in order, each in a context of its own.  False: visit
 * said so, and *detail is why.
 */
static bool
chain_walk_entries(const char *source, const char *origin, int64 first, int64 last,
				   EntryVisit visit, void *arg, const char **detail)
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
			HeapTuple	row = batch->vals[i];
			const char *reason = NULL;
			bool		isnull;
			int64		seq = DatumGetInt64(SPI_getbinval(row, batch->tupdesc, 1, &isnull));

			CHECK_FOR_INTERRUPTS();
			MemoryContextReset(context);
			MemoryContextSwitchTo(context);
			fine = visit(origin, seq,
						 TextDatumGetCString(SPI_getbinval(row, batch->tupdesc, 2, &isnull)),
						 arg, &reason);
			MemoryContextSwitchTo(caller);
			if (!fine)
				*detail = psprintf("entry %lld: %s", (long long) seq, reason);
		}
		SPI_freetuptable(batch);
		if (rows < CHAIN_FETCH || !fine)
			break;
	}
	SPI_cursor_close(cursor);
	MemoryContextDelete(context);
	return fine;
}

/* An entry as its payload says; its leaf hash. */
static bool
chain_read_entry(const char *origin, const char *payload, PayloadFields *fields,
				 uint8_t leaf[HASH_LEN], const char **reason)
{
	if (!hash_leaf(payload, strlen(payload), leaf))
		elog(ERROR, "could not compute SHA-256");
	if (!payload_parse(payload, strlen(payload), fields, reason))
		return false;
	if (strcmp(fields->origin, origin) != 0)
		*reason = "payload is of another origin";
	return strcmp(fields->origin, origin) == 0;
}

/* Add its leaf, and collect the tile hashes that this completes.  The batch is of the caller. */
static bool
chain_check_entry(const char *origin, int64 seq, const char *payload, void *arg,
				  const char **reason)
{
	Candidate  *candidate = arg;
	MemoryContext context;
	PayloadFields fields;
	uint8_t		leaf[HASH_LEN];

	if (!chain_read_entry(origin, payload, &fields, leaf, reason))
		return false;
	if (!chain_check_leaf(&candidate->after, leaf))
		elog(ERROR, "could not compute SHA-256");
	context = MemoryContextSwitchTo(candidate->context);
	tile_batch_add(&candidate->tiles, &candidate->after.range);
	MemoryContextSwitchTo(context);
	candidate->governance |= ledger_hooks.is_governance(fields.kind);
	candidate->news |= strcmp(fields.kind, "witness") != 0;
	return true;
}

/* It was checked before, in this transaction and by the same snapshot. */
static bool
chain_insert_entry(const char *origin, int64 seq, const char *payload, void *arg,
				   const char **reason)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[9] = {
		TEXTOID, INT8OID, UUIDOID, TEXTOID, TIMESTAMPTZOID, TEXTOID, BYTEAOID,
		TEXTOID, BYTEAOID
	};
	Datum		values[9];
	char		nulls[9];
	PayloadFields fields;
	uint8_t		leaf[HASH_LEN];

	if (!chain_read_entry(origin, payload, &fields, leaf, reason))
		return false;
	memset(nulls, ' ', sizeof(nulls));
	values[0] = CStringGetTextDatum(origin);
	values[1] = Int64GetDatum(seq);
	values[2] = UUIDPGetDatum(&fields.id);
	values[3] = CStringGetTextDatum(fields.kind);
	values[4] = TimestampTzGetDatum(fields.time);
	values[5] = CStringGetTextDatum(fields.actor);
	values[6] = trusted_bytea(fields.subject, HASH_LEN);
	if (!fields.has_subject)
		nulls[6] = 'n';
	values[7] = CStringGetTextDatum(payload);
	values[8] = trusted_bytea(leaf, HASH_LEN);
	trusted_execute(&plan,
					"INSERT INTO medchain.entry (origin, seq, id, kind, \"time\", actor, subject, "
					"payload, leaf_hash) "
					"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
					9, types, values, nulls, false);
	return true;
}

static TimestampTz
chain_sealed_time(const NoteBlock *block)
{
	return DatumGetTimestampTz(DirectFunctionCall3(timestamptz_in, CStringGetDatum(block->sealed),
												   ObjectIdGetDatum(InvalidOid),
												   Int32GetDatum(-1)));
}

static ChainTrial
chain_refuse(Candidate *candidate, const char *reason, const char *detail)
{
	candidate->reason = reason;
	candidate->detail = detail;
	return TRIAL_REFUSED;
}

/* Its header alone: note, signature, size. */
static ChainFault
chain_try_header(const ChainAdvance *chain, Candidate *candidate, CoreError *error)
{
	const char *note = candidate->held->note;
	const char *key_pem = chain_terms_key(&chain->terms, chain->check.height + 1)->pem;
	const Key  *key = keycache_get(key_pem, strlen(key_pem), error);
	uint64		size = chain->check.range.size;

	if (key == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("ledger key of \"%s\" is unusable: %s", chain->origin, error->message)));
	if (!note_parse_block(note, strlen(note), &candidate->block, error))
		return CHAIN_BAD_NOTE;
	if (note_verify(note, strlen(note), chain->check.name, key, error) != KEY_VALID)
	{
		if (error->message[0] == '\0')
			error_set(error, CORE_MALFORMED, "no valid signature by the configured key of \"%s\"",
					  chain->check.name);
		return CHAIN_BAD_SIGNATURE;
	}
	if (candidate->block.size < size)
	{
		error_set(error, CORE_MALFORMED, "tree shrinks from %llu to %llu entries",
				  (unsigned long long) size, (unsigned long long) candidate->block.size);
		return CHAIN_BAD_SIZE;
	}
	if (candidate->block.size - size > BLOCK_ENTRIES_MAX)
	{
		error_set(error, CORE_MALFORMED, "block has more than %d entries", BLOCK_ENTRIES_MAX);
		return CHAIN_BAD_SIZE;
	}
	return CHAIN_FINE;
}

static ChainTrial
chain_fault(Candidate *candidate, ChainFault fault, const CoreError *error)
{
	if (fault == CHAIN_FAILED)
		ereport(ERROR,
				(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
				 errmsg("could not check block: %s", error->message)));
	return chain_refuse(candidate, chain_fault_name(fault), pstrdup(error->message));
}

/* One held block against the frontier. */
static ChainTrial
chain_try(const ChainAdvance *chain, Candidate *candidate)
{
	const LocalNode *node = chain->node;
	const HeldBlock *held = candidate->held;
	const uint8_t *named = chain_terms_hash(&chain->terms, chain->check.height + 1);
	int64		first = (int64) chain->check.range.size;
	bool		is_center = strcmp(chain->origin, node->data_center) == 0;
	int64		size;
	int64		bytes;
	CoreError	error = {0};
	ChainFault	fault;

	if (chain->check.height >= chain->terms.last_height)
		return chain_refuse(candidate, "chain is closed",
							psprintf("the member was expelled; its last block is %lld",
									 (long long) chain->terms.last_height));
	fault = chain_try_header(chain, candidate, &error);
	if (fault != CHAIN_FINE)
		return chain_fault(candidate, fault, &error);
	if (held->waits && named == NULL &&
		!ledger_hooks.may_seal(chain->origin, first, chain_sealed_time(&candidate->block)))
		return TRIAL_INCOMPLETE;	/* without all of its entries being read again, and again */

	/* whether it is now, the clock alone says: all others come to the same, sooner or later */
	if (setting_max_clock_skew > 0 &&
		chain_sealed_time(&candidate->block) >
	TimestampTzPlusMilliseconds(GetCurrentTimestamp(), INT64CONST(1000) * setting_max_clock_skew))
	{
		candidate->reason = HELD_EARLY;
		candidate->detail = psprintf("its author's clock said %s", candidate->block.sealed);
		return TRIAL_EARLY;
	}
	size = (int64) candidate->block.size;
	if (held_count(held->source, chain->origin, first, size, &bytes, &candidate->newest) <
		size - first)
		return TRIAL_INCOMPLETE;
	if (bytes > BLOCK_BYTES_MAX)
		return chain_refuse(candidate, chain_fault_name(CHAIN_BAD_SIZE),
							psprintf("entries of the block have more than %d bytes",
									 BLOCK_BYTES_MAX));
	candidate->after = chain->check;
	candidate->context = CurrentMemoryContext;
	tile_batch_init(&candidate->tiles);
	if (!chain_walk_entries(held->source, chain->origin, first, size, chain_check_entry, candidate,
							&candidate->detail))
		return chain_refuse(candidate, "bad entry", candidate->detail);
	fault = chain_check_block(&candidate->after, held->note, strlen(held->note), NULL,
							  &candidate->block, &error);
	if (fault != CHAIN_FINE)
		return chain_fault(candidate, fault, &error);
	if (candidate->block.height == 0 && node->has_genesis && is_center &&
		!hash_equal(candidate->after.head, node->genesis_hash))
		return chain_refuse(candidate, "not the genesis block", NULL);
	if (named != NULL && !hash_equal(candidate->after.head, named))
		return chain_refuse(candidate, "not the block that counts",
							psprintf("the data centre names another block %lld",
									 (long long) candidate->block.height));

	/* last, as what is provably wrong must not wait */
	if (!is_center &&
		!ledger_hooks.may_seal(chain->origin, first, chain_sealed_time(&candidate->block)))
		return TRIAL_WAITS;
	return TRIAL_ACCEPTED;
}

/* Put a verified block and its entries into the ledger, and fold them. */
static void
chain_accept(ChainAdvance *chain, Candidate *candidate)
{
	const HeldBlock *held = candidate->held;
	int64		first = (int64) chain->check.range.size;
	int64		size = (int64) candidate->block.size;

	ledger_writing = true;
	PG_TRY();
	{
		if (!chain_walk_entries(held->source, chain->origin, first, size, chain_insert_entry, NULL,
								&candidate->detail))
			elog(ERROR, "a checked entry changed: %s", candidate->detail);
		tile_batch_write(&candidate->tiles, chain->origin);
		block_insert(chain->origin, &candidate->block, candidate->after.head, held->note);
	}
	PG_FINALLY();
	{
		ledger_writing = false;
	}
	PG_END_TRY();
	chain->check = candidate->after;
	chain_store(chain->node, chain->origin, &chain->check);
	if (candidate->news)
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
		Candidate	candidate = {.held = held};
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

bool
chain_advance(const char *origin, int64 enough)
{
	MemoryContext caller = CurrentMemoryContext;
	LocalNode	node;
	ChainAdvance chain = {.node = &node, .origin = origin, .due = COSIGN_NOTHING};
	uint64		start;
	bool		more = true;
	bool		again = false;

	if (!local_node_read(&node) || !node.at_home || strcmp(origin, node.node) == 0)
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
	if (chain.check.range.size > start)
		ledger_hooks.arrived(origin, (int64) start, (int64) chain.check.range.size - 1);
	cosign_due(origin, &chain.due);
	if (chain.folded)
		ledger_hooks.witness(origin, (int64) chain.check.range.size, chain.check.height,
							 chain.check.head);
	return more || again;
}
