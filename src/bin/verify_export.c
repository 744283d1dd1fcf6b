/*
 * verify_export.c: walk the chains of an export, in constant memory.
 *
 * The data centre's chain comes first, then the end nodes', then the others',
 * so that each chain's first key is known when its first block arrives, and what
 * the data centre says about keys and expulsions; a chain itself says which keys follow.
 */
#include <stdlib.h>
#include <string.h>

#include "core/encode.h"
#include "report.h"

#define EXPORT_PROGRESS 100000	/* entries between lines on the terminal */

/* A chain of the export; only the current one is walked. */
typedef struct Walk
{
	const Options *options;
	Evidence	evidence;
	ChainCheck	check;
	char	   *origin;			/* NULL: before the first chain */
	uint8_t		genesis[HASH_LEN];	/* hash of the first block */
	bool		has_genesis;
	json_t	   *learned;		/* entries since the last block that evidence_learn() wants, [seq, payload] */
	uint64_t	chain_entries;
	uint64_t	entries;
	uint64_t	blocks;
	uint64_t	chains;
	NoteBlock	kept;			/* the checkpoint kept elsewhere */
	uint8_t		kept_hash[HASH_LEN];
	bool		kept_seen;
	json_t	   *result;
} Walk;

static Verdict
walk_fail(Walk *walk, Verdict verdict, const char *where, CoreError *error)
{
	json_object_set_new(walk->result, "chain", json_string(walk->origin ? walk->origin : ""));
	json_object_set_new(walk->result, "where", json_string(where));
	json_object_set_new(walk->result, "fault", json_string(error->message));
	return verdict;
}

/* The chain that ends here must close with a block. */
static Verdict
walk_end_chain(Walk *walk, CoreError *error)
{
	char		head[ENCODE_HEX_SIZE(HASH_LEN)];
	json_t	   *chains = json_object_get(walk->result, "chains");

	if (walk->origin == NULL)
		return VERIFIED;
	if (json_array_size(walk->learned) > 0 || walk->chain_entries != walk->check.range.size || walk->check.height < 0)
	{
		error_set(error, CORE_MALFORMED, "the chain does not end with a block");
		return walk_fail(walk, NOT_VERIFIED, "end of chain", error);
	}
	encode_hex(walk->check.head, HASH_LEN, head);
	json_array_append_new(chains, json_pack("{s:s, s:I, s:I, s:s}", "origin", walk->origin, "blocks", (json_int_t) (walk->check.height + 1),
											"entries", (json_int_t) walk->check.range.size, "head", head));
	walk->chains++;
	return VERIFIED;
}

static Verdict
walk_start_chain(Walk *walk, const char *origin, CoreError *error)
{
	static const uint8_t zero[HASH_LEN] = {0};
	char		name[NOTE_NAME_MAX + 1];
	bool		center = strcmp(origin, walk->evidence.data_center) == 0;
	Verdict		verdict = walk_end_chain(walk, error);

	if (verdict != VERIFIED)
		return verdict;
	free(walk->origin);
	walk->origin = strdup(origin);
	if (center != !walk->has_genesis)
	{
		error_set(error, CORE_MALFORMED, "the data centre's chain must come first, and once");
		return walk_fail(walk, UNUSABLE, "start of chain", error);
	}
	snprintf(name, sizeof(name), "%s/%s", walk->evidence.alliance, origin);
	chain_check_init(&walk->check, name, center ? zero : walk->genesis);
	walk->chain_entries = 0;
	return VERIFIED;
}

static Verdict
walk_entry(Walk *walk, json_t *line, CoreError *error)
{
	static const char *const fields[] = {"type", "origin", "seq", "payload", NULL};
	const char *origin;
	const char *text;
	size_t		len;
	uint64_t	seq;
	uint8_t		leaf[HASH_LEN];
	json_t	   *payload;
	const char *claimed;
	char		where[64];

	if (!input_fields(line, fields, error) || !input_string(line, "origin", &origin, NULL, error) ||
		!input_number(line, "seq", &seq, error) || !input_string(line, "payload", &text, &len, error))
		return UNUSABLE;
	if (walk->origin == NULL || strcmp(origin, walk->origin) != 0)
	{
		Verdict		verdict = walk_start_chain(walk, origin, error);

		if (verdict != VERIFIED)
			return verdict;
	}
	snprintf(where, sizeof(where), "entry %llu", (unsigned long long) seq);
	if (seq != walk->chain_entries)
	{
		error_set(error, CORE_MALFORMED, "entry %llu was expected here", (unsigned long long) walk->chain_entries);
		return walk_fail(walk, NOT_VERIFIED, where, error);
	}
	payload = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	claimed = json_string_value(json_object_get(payload, "origin"));
	if (claimed == NULL || strcmp(claimed, origin) != 0)
	{
		json_decref(payload);
		error_set(error, CORE_MALFORMED, "payload is not an entry of this chain");
		return walk_fail(walk, NOT_VERIFIED, where, error);
	}
	if (!hash_leaf(text, len, leaf) || !chain_check_leaf(&walk->check, leaf))
	{
		json_decref(payload);
		error_set(error, CORE_INTERNAL, "could not compute SHA-256");
		return UNUSABLE;
	}
	claimed = json_string_value(json_object_get(payload, "kind"));
	if (claimed != NULL && evidence_wants(claimed))
		json_array_append_new(walk->learned, json_pack("[I, O]", (json_int_t) seq, payload));
	json_decref(payload);
	walk->chain_entries++;
	walk->entries++;
	if (walk->options->progress && walk->entries % EXPORT_PROGRESS == 0)
		fprintf(stderr, "\r%llu entries ...", (unsigned long long) walk->entries);
	return VERIFIED;
}

/* What the verified block's entries say about members and keys. */
static bool
walk_learn(Walk *walk, CoreError *error)
{
	size_t		i;
	json_t	   *item;

	json_array_foreach(walk->learned, i, item)
		if (!evidence_learn(&walk->evidence, walk->origin, (uint64_t) json_integer_value(json_array_get(item, 0)), walk->check.height,
							json_array_get(item, 1), error))
			return false;
	json_array_clear(walk->learned);
	return true;
}

/* Is this the height at which somebody kept the checkpoint?  Then it must be the same block. */
static bool
walk_compare_checkpoint(Walk *walk, const NoteBlock *block, CoreError *error)
{
	if (walk->options->checkpoint == NULL || strcmp(walk->kept.name, block->name) != 0 || walk->kept.height != block->height)
		return true;
	walk->kept_seen = true;
	return hash_equal(walk->check.head, walk->kept_hash) ||
		error_set(error, CORE_MALFORMED, "the block is not the one of the checkpoint kept elsewhere");
}

static Verdict
walk_block(Walk *walk, json_t *line, CoreError *error)
{
	static const char *const fields[] = {"type", "origin", "height", "note", NULL};
	const char *origin;
	const char *note;
	size_t		len;
	uint64_t	height;
	NoteBlock	block;
	Key		   *genesis_key = NULL;
	const Key  *key;
	const LedgerKey *known;
	const uint8_t *named;
	Member	   *member;
	ChainFault	fault;
	char		where[64];

	if (!input_fields(line, fields, error) || !input_string(line, "origin", &origin, NULL, error) ||
		!input_number(line, "height", &height, error) || !input_string(line, "note", &note, &len, error))
		return UNUSABLE;
	snprintf(where, sizeof(where), "block %llu", (unsigned long long) height);
	if (walk->origin == NULL || strcmp(origin, walk->origin) != 0 || height != (uint64_t) (walk->check.height + 1))
	{
		error_set(error, CORE_MALFORMED, "another block was expected here");
		return walk_fail(walk, NOT_VERIFIED, where, error);
	}
	member = evidence_member(&walk->evidence, origin);
	if (member != NULL && member->expelled && (int64_t) height > member->last_height)
	{
		error_set(error, CORE_MALFORMED, "\"%.60s\" was expelled; its last block is %lld", origin, (long long) member->last_height);
		return walk_fail(walk, NOT_VERIFIED, where, error);
	}
	if (member != NULL && !evidence_reach(member, (int64_t) height, error))
		return UNUSABLE;
	known = member ? evidence_key(member, (int64_t) height) : NULL;
	named = member ? evidence_named(member, (int64_t) height) : NULL;
	key = known ? known->key : NULL;
	if (key == NULL && !walk->has_genesis && json_array_size(walk->learned) > 0)
		key = genesis_key = evidence_genesis_key(json_array_get(json_array_get(walk->learned, 0), 1), error);
	if (key == NULL)
	{
		if (error->code == CORE_OK)
			error_set(error, CORE_MALFORMED, "the ledger of \"%.60s\" is not configured", origin);
		return walk_fail(walk, NOT_VERIFIED, where, error);
	}
	fault = chain_check_block(&walk->check, note, len, key, &block, error);
	key_free(genesis_key);
	if (fault == CHAIN_FAILED)
		return UNUSABLE;
	if (fault == CHAIN_FINE && named != NULL && !hash_equal(walk->check.head, named))
	{
		error_set(error, CORE_MALFORMED, "the data centre names another block as the last before a new key");
		return walk_fail(walk, NOT_VERIFIED, where, error);
	}
	if (fault != CHAIN_FINE || !walk_learn(walk, error) || !walk_compare_checkpoint(walk, &block, error))
		return walk_fail(walk, NOT_VERIFIED, where, error);
	if (!walk->has_genesis)
	{
		memcpy(walk->genesis, walk->check.head, HASH_LEN);
		walk->has_genesis = true;
	}
	walk->blocks++;
	return VERIFIED;
}

/* The last line says how much there was: an export that was cut off is noticed. */
static Verdict
walk_end(Walk *walk, json_t *line, CoreError *error)
{
	static const char *const fields[] = {"type", "chains", "entries", "blocks", NULL};
	uint64_t	chains;
	uint64_t	entries;
	uint64_t	blocks;
	Verdict		verdict;

	if (!input_fields(line, fields, error) || !input_number(line, "chains", &chains, error) ||
		!input_number(line, "entries", &entries, error) || !input_number(line, "blocks", &blocks, error))
		return UNUSABLE;
	verdict = walk_end_chain(walk, error);
	if (verdict != VERIFIED)
		return verdict;
	if (chains != walk->chains || entries != walk->entries || blocks != walk->blocks)
	{
		error_set(error, CORE_MALFORMED, "the export says it has %llu chains, %llu entries and %llu blocks",
				  (unsigned long long) chains, (unsigned long long) entries, (unsigned long long) blocks);
		return walk_fail(walk, NOT_VERIFIED, "end of export", error);
	}
	if (walk->options->checkpoint != NULL && !walk->kept_seen)
	{
		error_set(error, CORE_MALFORMED, "block %llu of \"%.100s\", of which a checkpoint was kept elsewhere, is not there: the chain was cut off",
				  (unsigned long long) walk->kept.height, walk->kept.name);
		return walk_fail(walk, NOT_VERIFIED, "end of export", error);
	}
	return VERIFIED;
}

static Verdict
walk_start(Walk *walk, json_t *first, CoreError *error)
{
	static const char *const fields[] = {"type", "alliance", "data_center", NULL};
	const char *alliance;
	const char *center;
	size_t		textlen;

	if (!input_fields(first, fields, error) || !input_string(first, "alliance", &alliance, NULL, error) ||
		!input_string(first, "data_center", &center, NULL, error))
		return UNUSABLE;
	walk->evidence.alliance = strdup(alliance);
	walk->evidence.data_center = strdup(center);
	if (walk->options->anchors != NULL)
	{
		walk->evidence.anchors = strdup(walk->options->anchors);
		walk->evidence.own_anchors = true;
	}
	if (walk->options->checkpoint != NULL &&
		(!note_parse_block(walk->options->checkpoint, walk->options->checkpoint_len, &walk->kept, error) ||
		 !note_text_length(walk->options->checkpoint, walk->options->checkpoint_len, &textlen, error) ||
		 !hash_sha256(walk->options->checkpoint, textlen, walk->kept_hash)))
		return UNUSABLE;
	return VERIFIED;
}

Verdict
verify_export(Input *input, json_t *first, const Options *options, json_t *result, CoreError *error)
{
	Walk		walk = {.options = options, .result = result};
	Verdict		verdict = walk_start(&walk, first, error);
	bool		ended = false;
	json_t	   *line;

	walk.learned = json_array();
	json_object_set_new(result, "chains", json_array());
	while (verdict == VERIFIED && (line = input_next(input, error)) != NULL)
	{
		const char *type;

		if (ended || !input_string(line, "type", &type, NULL, error))
			verdict = UNUSABLE;
		else if (strcmp(type, "entry") == 0)
			verdict = walk_entry(&walk, line, error);
		else if (strcmp(type, "block") == 0)
			verdict = walk_block(&walk, line, error);
		else if (strcmp(type, "end") == 0)
		{
			verdict = walk_end(&walk, line, error);
			ended = true;
		}
		else
			verdict = UNUSABLE;
		json_decref(line);
	}
	if (verdict == VERIFIED && (!ended || error->code != CORE_OK))
		verdict = UNUSABLE;
	if (verdict == UNUSABLE && error->code == CORE_OK)
		error_set(error, CORE_MALFORMED, "line %llu does not belong there, or the export was cut off", (unsigned long long) input->number);
	if (options->progress)
		fprintf(stderr, "\r");
	json_object_set_new(result, "trust_anchors", json_string(walk.evidence.own_anchors ? "given" : "those of the genesis block"));
	json_decref(walk.learned);
	free(walk.origin);
	evidence_free(&walk.evidence);
	return verdict;
}
