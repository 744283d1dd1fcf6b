/*
 * chain_trial.c: may a held block become the next one of its chain?
 *
 * Its header, its entries and the two together are checked as chain_check.h says.  An entry is read
 * and hashed once: what was checked is kept, and becomes the row.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "core/block.h"
#include "core/keycache.h"
#include "ledger/chain_entry.h"
#include "ledger/chain_trial.h"
#include "ledger/hooks.h"
#include "ledger/local_node.h"
#include "ledger/payload.h"
#include "ledger/quarantine.h"
#include "node/settings.h"

#define CHAIN_KEEP (32 * 1024 * 1024)	/* bytes of payloads that are kept at hand */
#define CHAIN_ABSENT 1000		/* leaf hashes between looks whether we are to stop */

/* An entry that was checked. */
typedef struct KeptEntry
{
	int64		seq;
	PayloadFields fields;
	char	   *payload;
	uint8_t		leaf[HASH_LEN];
} KeptEntry;

/* Add the next leaf, and collect the tile hashes that this completes. */
static void
chain_add_leaf(ChainCandidate *candidate, const uint8_t leaf[HASH_LEN])
{
	MemoryContext context = MemoryContextSwitchTo(candidate->context);

	if (!chain_check_leaf(&candidate->after, leaf))
		elog(ERROR, "could not compute SHA-256");
	tile_batch_add(&candidate->tiles, &candidate->after.range);
	MemoryContextSwitchTo(context);
}

/* ... of the entries up to seq whose payloads are not here. */
static void
chain_add_absent(ChainCandidate *candidate, int64 seq)
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
chain_keep_entry(ChainCandidate *candidate, int64 seq, const PayloadFields *fields,
				 const char *payload, const uint8_t leaf[HASH_LEN])
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
	ChainCandidate *candidate = arg;
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
	ChainCandidate *candidate = arg;
	PayloadFields fields;
	uint8_t		leaf[HASH_LEN];

	if (!chain_entry_read(origin, payload, &fields, leaf, reason))
		return false;
	if (candidate->light.hashes == NULL || chain_light_takes(&candidate->light, fields.kind))
		entry_writer_put(candidate->writer, origin, seq, &fields, payload, leaf);
	return true;
}

/* Its entries up to that one, in order. */
static bool
chain_walk(const ChainAdvance *chain, ChainCandidate *candidate, int64 size, ChainEntryVisit visit)
{
	if (chain->run != NULL)
		return chain_run_walk(chain->run, candidate->first, size, visit, candidate,
							  &candidate->detail);
	return chain_entries_walk(candidate->held->source, chain->origin, candidate->first, size, visit,
							  candidate, &candidate->detail);
}

void
chain_insert_entries(const ChainAdvance *chain, ChainCandidate *candidate)
{
	int64		size = (int64) candidate->block.size;
	EntryWriter writer;

	entry_writer_begin(&writer);
	if (candidate->kept == NULL)
	{
		candidate->writer = &writer;
		if (!chain_walk(chain, candidate, size, chain_insert_entry))
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

TimestampTz
chain_sealed_time(const NoteBlock *block)
{
	return DatumGetTimestampTz(DirectFunctionCall3(timestamptz_in, CStringGetDatum(block->sealed),
												   ObjectIdGetDatum(InvalidOid),
												   Int32GetDatum(-1)));
}

static ChainTrial
chain_refuse(ChainCandidate *candidate, const char *reason, const char *detail)
{
	candidate->reason = reason;
	candidate->detail = detail;
	return TRIAL_REFUSED;
}

/* Its header alone: note, signature, size. */
static ChainFault
chain_try_header(const ChainAdvance *chain, ChainCandidate *candidate, CoreError *error)
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
chain_fault(ChainCandidate *candidate, ChainFault fault, const CoreError *error)
{
	if (fault == CHAIN_FAILED)
		ereport(ERROR,
				(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
				 errmsg("could not check block: %s", error->message)));
	return chain_refuse(candidate, chain_fault_name(fault), pstrdup(error->message));
}

/* So many of them are in the run, with so many bytes. */
static int64
chain_count_run(const HeldRun *run, int64 first, int64 size, int64 *bytes)
{
	int64		start = run->entries[0].seq;
	int64		end = Min(size, start + run->count);

	*bytes = 0;
	if (first < start)
		return 0;
	for (int64 seq = first; seq < end; seq++)
		*bytes += run->entries[seq - start].bytes;
	return Max(0, end - first);
}

/* Are as many of its entries here as there have to be?  *there: so many, with so many bytes. */
static bool
chain_has_entries(const ChainAdvance *chain, ChainCandidate *candidate, int64 *there, int64 *bytes)
{
	const HeldBlock *held = candidate->held;
	int64		first = (int64) chain->check.range.size;
	int64		size = (int64) candidate->block.size;
	uint8_t		hash[HASH_LEN];
	size_t		len;

	if (chain->run != NULL)
		*there = chain_count_run(chain->run, first, size, bytes);
	else
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

const BlockCarried *
chain_carried(ChainCandidate *candidate)
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

ChainTrial
chain_try(const ChainAdvance *chain, ChainCandidate *candidate)
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
	if (!chain_walk(chain, candidate, size, chain_check_entry))
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
