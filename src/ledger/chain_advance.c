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
#include "ledger/block_leaves.h"
#include "ledger/block_row.h"
#include "ledger/chain.h"
#include "ledger/chain_advance.h"
#include "ledger/chain_entry.h"
#include "ledger/chain_light.h"
#include "ledger/chain_terms.h"
#include "ledger/entry_writer.h"
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

#define CHAIN_KEEP (32 * 1024 * 1024)	/* bytes of payloads that are kept at hand */
#define CHAIN_ABSENT 1000		/* leaf hashes between looks whether we are to stop */

typedef enum ChainTrial
{
	TRIAL_ACCEPTED,
	TRIAL_WAITS,				/* nothing is wrong with it, but the author's certificate is
								 * missing */
	TRIAL_INCOMPLETE,			/* there is nothing to say yet */
	TRIAL_EARLY,				/* it was sealed in the future */
	TRIAL_REFUSED				/* provably wrong */
} ChainTrial;

/* An entry that was checked. */
typedef struct KeptEntry
{
	int64		seq;
	PayloadFields fields;
	char	   *payload;
	uint8_t		leaf[HASH_LEN];
} KeptEntry;

/* A held block that may be the next one, and what its trial has found. */
typedef struct Candidate
{
	const HeldBlock *held;
	NoteBlock	block;
	const Key  *key;			/* that has signed it */
	ChainLight	light;			/* what came beside its header */
	ChainCheck	after;			/* the frontier behind it */
	TileBatch	tiles;
	BlockLeaves leaves;			/* of the entries that are here */
	MemoryContext context;		/* of these */
	int64		newest;			/* id of the newest of its held entries */
	int64		first;			/* of its entries */
	int64		present;		/* of them, with their payload */
	KeptEntry  *kept;			/* these; NULL: they are too large to be kept at hand */
	EntryWriter *writer;		/* ... and are read once more, for this */
	bool		governance;		/* some of its entries are */
	bool		news;			/* ... and some are more than what others have witnessed */
	const char *reason;			/* why it is refused, and what there is to say of that, or NULL */
	const char *detail;
} Candidate;

/* Add the next leaf, and collect the tile hashes that this completes. */
static void
chain_add_leaf(Candidate *candidate, const uint8_t leaf[HASH_LEN])
{
	MemoryContext context = MemoryContextSwitchTo(candidate->context);

	if (!chain_check_leaf(&candidate->after, leaf))
		elog(ERROR, "could not compute SHA-256");
	tile_batch_add(&candidate->tiles, &candidate->after.range);
	MemoryContextSwitchTo(context);
}

/* ... of the entries up to seq whose payloads are not here. */
static void
chain_add_absent(Candidate *candidate, int64 seq)
{
	while ((int64) candidate->after.range.size < seq)
	{
		int64		at = (int64) candidate->after.range.size - candidate->first;

		if (at % CHAIN_ABSENT == 0)
			CHECK_FOR_INTERRUPTS();
		chain_add_leaf(candidate, candidate->light.hashes + at * HASH_LEN);
	}
}

/* Have it at hand when the block is accepted; there is a place for each that was counted. */
static void
chain_keep_entry(Candidate *candidate, int64 seq, const PayloadFields *fields, const char *payload,
				 const uint8_t leaf[HASH_LEN])
{
	MemoryContext old = MemoryContextSwitchTo(candidate->context);
	KeptEntry  *kept = &candidate->kept[candidate->present];

	kept->seq = seq;
	kept->payload = pstrdup(payload);
	memcpy(kept->leaf, leaf, HASH_LEN);
	kept->fields = *fields;
	kept->fields.kind = pstrdup(fields->kind);
	kept->fields.actor = pstrdup(fields->actor);
	kept->fields.origin = NULL; /* the chain's */
	MemoryContextSwitchTo(old);
}

static bool
chain_check_entry(const char *origin, int64 seq, const char *payload, void *arg,
				  const char **reason)
{
	Candidate  *candidate = arg;
	const uint8_t *hashes = candidate->light.hashes;
	PayloadFields fields;
	uint8_t		leaf[HASH_LEN];

	if (!chain_entry_read(origin, payload, &fields, leaf, reason))
		return false;
	if (hashes != NULL)
	{
		chain_add_absent(candidate, seq);
		if (!hash_equal(hashes + (seq - candidate->first) * HASH_LEN, leaf))
		{
			*reason = "payload has another leaf hash than the block carries";
			return false;
		}
		if (!chain_light_takes(&candidate->light, fields.kind))
			return true;		/* its hash stands for it */
	}
	chain_add_leaf(candidate, leaf);
	block_leaves_add(&candidate->leaves, leaf, fields.kind);
	if (candidate->kept != NULL)
		chain_keep_entry(candidate, seq, &fields, payload, leaf);
	candidate->present++;
	candidate->governance |= ledger_hooks.is_governance(fields.kind);
	candidate->news |= strcmp(fields.kind, "witness") != 0;
	return true;
}

/* It was checked before, in this transaction and by the same snapshot. */
static bool
chain_insert_entry(const char *origin, int64 seq, const char *payload, void *arg,
				   const char **reason)
{
	Candidate  *candidate = arg;
	PayloadFields fields;
	uint8_t		leaf[HASH_LEN];

	if (!chain_entry_read(origin, payload, &fields, leaf, reason))
		return false;
	if (candidate->light.hashes == NULL || chain_light_takes(&candidate->light, fields.kind))
		entry_writer_put(candidate->writer, origin, seq, &fields, payload, leaf);
	return true;
}

/* The entries of a block that is accepted: as they were kept, or read once more. */
static void
chain_insert_entries(const ChainAdvance *chain, Candidate *candidate)
{
	int64		size = (int64) candidate->block.size;
	EntryWriter writer;

	entry_writer_begin(&writer);
	if (candidate->kept == NULL)
	{
		candidate->writer = &writer;
		if (!chain_entries_walk(candidate->held->source, chain->origin, candidate->first, size,
								chain_insert_entry, candidate, &candidate->detail))
			elog(ERROR, "a checked entry changed: %s", candidate->detail);
	}
	else
		for (int64 i = 0; i < candidate->present; i++)
		{
			const KeptEntry *kept = &candidate->kept[i];

			entry_writer_put(&writer, chain->origin, kept->seq, &kept->fields, kept->payload,
							 kept->leaf);
		}
	entry_writer_end(&writer);
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
	candidate->key = key;
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

/* Are as many of its entries here as there have to be?  *there: so many, with so many bytes. */
static bool
chain_has_entries(const ChainAdvance *chain, Candidate *candidate, int64 *there, int64 *bytes)
{
	const HeldBlock *held = candidate->held;
	int64		first = (int64) chain->check.range.size;
	int64		size = (int64) candidate->block.size;
	uint8_t		hash[HASH_LEN];
	size_t		len;

	*there = held_count(held->source, chain->origin, first, size, bytes, &candidate->newest);
	/* what cannot be taken lightly comes when the source is asked for it, or never */
	if (*there < size - first && held->kinds == NULL)
		return false;
	if (!note_text_length(held->note, strlen(held->note), &len, NULL) ||
		!hash_sha256(held->note, len, hash))
		elog(ERROR, "could not compute SHA-256");
	chain_light_read(&chain->check, chain->origin, held, size - first, hash, candidate->key,
					 &candidate->light);
	return *there >= candidate->light.wanted;
}

/* What is kept beside its header: of entries that are all here, what they give themselves. */
static const BlockCarried *
chain_carried(Candidate *candidate)
{
	BlockCarried *carried = &candidate->light.carried;

	if (candidate->present < (int64) candidate->block.size - candidate->first)
		return carried;
	carried->leaves = block_leaves_bytes(&candidate->leaves);
	if (carried->kinds != NULL &&
		strcmp(carried->kinds, block_leaves_kinds(&candidate->leaves)) == 0)
		return carried;
	if (carried->kinds != NULL)
		ereport(LOG,
			  (errmsg("medchain: block %lld of \"%s\" has other kinds of entries than its author "
					  "says", (long long) candidate->block.height, candidate->block.name)));
	carried->kinds = block_leaves_kinds(&candidate->leaves);
	carried->kinds_note = NULL;
	return carried;
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
	int64		there;
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
	if (!chain_has_entries(chain, candidate, &there, &bytes))
		return TRIAL_INCOMPLETE;
	if (bytes > BLOCK_BYTES_MAX)
		return chain_refuse(candidate, chain_fault_name(CHAIN_BAD_SIZE),
							psprintf("entries of the block have more than %d bytes",
									 BLOCK_BYTES_MAX));
	candidate->after = chain->check;
	candidate->first = first;
	candidate->context = CurrentMemoryContext;
	tile_batch_init(&candidate->tiles);
	block_leaves_init(&candidate->leaves);
	if (bytes <= CHAIN_KEEP)
		candidate->kept = palloc_extended((Size) Max(1, there) * sizeof(KeptEntry),
										  MCXT_ALLOC_HUGE);
	if (!chain_entries_walk(held->source, chain->origin, first, size, chain_check_entry, candidate,
							&candidate->detail))
		return chain_refuse(candidate, "bad entry", candidate->detail);
	if (candidate->light.hashes != NULL)
	{
		/* others of its entries came in the place of those that are wanted: it is asked again */
		if (candidate->present < candidate->light.wanted)
		{
			held_drop_entries(held->source, chain->origin, first, size);
			return TRIAL_INCOMPLETE;
		}
		chain_add_absent(candidate, size);
		candidate->news |= candidate->present < size - first;
	}
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
chain_accept(ChainAdvance *chain, Candidate *candidate)
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
	if (chain.check.range.size > start)
		ledger_hooks.arrived(origin, (int64) start, (int64) chain.check.range.size - 1);
	cosign_due(origin, &chain.due);
	if (chain.folded)
		ledger_hooks.witness(origin, (int64) chain.check.range.size, chain.check.height,
							 chain.check.head);
	return more || again;
}
