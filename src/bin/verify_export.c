/*
 * verify_export.c: walk the chains of an export, in constant memory but for what the rules keep.
 *
 * The data centre's chain comes first, and each other one behind that of the end
 * node which configured it, so that its key is known when its first block arrives.
 */
#include <stdlib.h>
#include <string.h>

#include "core/encode.h"
#include "export_walk.h"

Verdict
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
	if (walk->nwaiting > 0 || walk->chain_entries != walk->check.range.size ||
		walk->check.height < 0 || walk->absent.leaves != NULL)
	{
		error_set(error, CORE_MALFORMED, "the chain does not end with a block");
		return walk_fail(walk, NOT_VERIFIED, "end of chain", error);
	}
	encode_hex(walk->check.head, HASH_LEN, head);
	json_array_append_new(chains, json_pack("{s:s, s:I, s:I, s:s}", "origin", walk->origin,
											"blocks", (json_int_t) (walk->check.height + 1),
											"entries", (json_int_t) walk->check.range.size, "head",
											head));
	walk->chains++;
	if (walk->absent.missing > 0)
		json_object_set_new(json_array_get(chains, json_array_size(chains) - 1), "absent",
							json_integer((json_int_t) walk->absent.missing));
	walk->missing += walk->absent.missing;
	walk->absent.missing = 0;
	return VERIFIED;
}

/* Was there a chain of this origin before?  Two of them could say two things. */
static bool
walk_had_chain(const Walk *walk, const char *origin)
{
	size_t		i;
	json_t	   *chain;

	json_array_foreach(json_object_get(walk->result, "chains"), i, chain)
	{
		if (strcmp(json_string_value(json_object_get(chain, "origin")), origin) == 0)
			return true;
	}
	return false;
}

static Verdict
walk_start_chain(Walk *walk, const char *origin, CoreError *error)
{
	static const uint8_t zero[HASH_LEN] = {0};
	char		name[NOTE_NAME_MAX + 1];
	bool		center = strcmp(origin, walk->data_center) == 0;
	Verdict		verdict = walk_end_chain(walk, error);

	if (verdict != VERIFIED)
		return verdict;
	free(walk->origin);
	walk->origin = strdup(origin);
	if (center != !walk->has_genesis || walk_had_chain(walk, origin))
	{
		error_set(error, CORE_MALFORMED,
				  "the data centre's chain must come first, and each chain once");
		return walk_fail(walk, UNUSABLE, "start of chain", error);
	}
	snprintf(name, sizeof(name), "%s/%s", walk->alliance, origin);
	chain_check_init(&walk->check, name, center ? zero : walk->genesis);
	walk->chain_entries = 0;
	if (walk->options->derived != NULL)
		derived_chain(walk->options->derived);
	if (!signers_begin(walk->signers, origin, error))
		return walk_fail(walk, NOT_VERIFIED, "start of chain", error);
	return VERIFIED;
}

Verdict
walk_enter(Walk *walk, const char *origin, CoreError *error)
{
	return walk->origin == NULL || strcmp(origin, walk->origin) != 0 ?
		walk_start_chain(walk, origin, error) : VERIFIED;
}

/* The claim of an entry that was kept; false if it makes none. */
static bool
walk_claim(const Walk *walk, Pool *pool, size_t i, int64_t sealed, Claim *claim)
{
	const Waiting *kept = &walk->waiting[i];

	return claim_read(pool, kept->text, kept->len, walk->origin, (int64_t) kept->seq,
					  walk->check.height, sealed, claim);
}

/* What the verified block's entries say. */
static bool
walk_learn(Walk *walk, const NoteBlock *block, CoreError *error)
{
	Derived    *derived = walk->options->derived;
	Pool	   *pool = pool_new();
	int64_t		sealed;
	bool		counts = false;

	if (!period_time(block->sealed, &sealed))
		return error_set(error, CORE_MALFORMED, "there is no such time as it was sealed at");
	if (derived != NULL)
		counts = derived_block(derived, sealed);
	for (size_t i = 0; i < walk->nwaiting; i++)
	{
		Statement  *said = NULL;
		Claim		claim;

		if (walk_claim(walk, pool, i, sealed, &claim))
		{
			if ((CLAIM_SET(claim.kind) & CLAIM_SET_MEMBER) != 0)
				said = statement_new(walk->facts, &claim, walk->waiting[i].text,
									 walk->waiting[i].len);
			signers_take(walk->signers, &claim, said);
			if (counts)
				derived_take(derived, &claim, said, walk->waiting[i].text, walk->waiting[i].len);
		}
		pool_reset(pool);
	}
	pool_free(pool);
	pool_reset(walk->block_pool);
	walk->waiting = NULL;
	walk->nwaiting = 0;
	walk->waiting_bytes = 0;
	return signers_block(walk->signers, walk->check.height, walk->check.head, error);
}

/* The key of the next block; the first block of all brings its own. */
static const Key *
walk_key(Walk *walk, int64_t height, CoreError *error)
{
	Pool	   *pool = pool_new();
	Claim		genesis;
	bool		first = !walk->has_genesis && walk->nwaiting > 0 &&
	walk_claim(walk, pool, 0, 0, &genesis);
	const Key  *key = signers_key(walk->signers, height, first ? &genesis : NULL, error);

	pool_free(pool);
	return key;
}

static Verdict
walk_block(Walk *walk, json_t *line, CoreError *error)
{
	static const char *const fields[] = {"note", "type", "height", "origin", NULL};
	const char *origin;
	const char *note;
	size_t		len;
	uint64_t	height;
	NoteBlock	block;
	const Key  *key;
	ChainFault	fault;
	char		where[64];

	if (!input_fields(line, fields, error) || !input_string(line, "origin", &origin, NULL, error) ||
		!input_number(line, "height", &height, error) ||
		!input_string(line, "note", &note, &len, error))
		return UNUSABLE;
	snprintf(where, sizeof(where), "block %llu", (unsigned long long) height);
	if (walk->origin == NULL || strcmp(origin, walk->origin) != 0 ||
		height != (uint64_t) (walk->check.height + 1))
	{
		error_set(error, CORE_MALFORMED, "another block was expected here");
		return walk_fail(walk, NOT_VERIFIED, where, error);
	}
	key = walk_key(walk, (int64_t) height, error);
	if (key == NULL)
		return walk_fail(walk, NOT_VERIFIED, where, error);
	if (walk->absent.leaves != NULL &&
		absent_fill(&walk->absent, &walk->check, walk->absent.first + walk->absent.count))
		walk->chain_entries = walk->check.range.size;
	fault = chain_check_block(&walk->check, note, len, key, &block, error);
	if (fault == CHAIN_FAILED)
		return UNUSABLE;
	if (fault != CHAIN_FINE || !absent_block(&walk->absent, &walk->check, key, error) ||
		!kept_compare(walk->kept, &block, walk->check.head, key, error) ||
		!walk_learn(walk, &block, error))
		return walk_fail(walk, NOT_VERIFIED, where, error);
	against_block(walk->against, &block, walk->check.head, note, len);
	cosigned_block(walk->cosigned, walk->origin, height, note, len);
	if (!walk->has_genesis)
	{
		memcpy(walk->genesis, walk->check.head, HASH_LEN);
		walk->has_genesis = true;
	}
	walk->blocks++;
	return VERIFIED;
}

/* The export has no block where somebody kept a checkpoint of one.  Whose word is it? */
static void
walk_missing_checkpoint(const Walk *walk, CoreError *error)
{
	const NoteBlock *block = kept_block(walk->kept, kept_missing(walk->kept));
	size_t		prefix = strlen(walk->alliance);
	const char *pem = NULL;
	const char *slash = strrchr(block->name, '/');
	char		where[64];

	/* it is about that chain, whichever was the last one */
	snprintf(where, sizeof(where), "block %llu", (unsigned long long) block->height);
	json_object_set_new(walk->result, "chain", json_string(slash ? slash + 1 : block->name));
	json_object_set_new(walk->result, "where", json_string(where));
	if (strncmp(block->name, walk->alliance, prefix) == 0 && block->name[prefix] == '/')
		pem = signers_key_of(walk->signers, block->name + prefix + 1, (int64_t) block->height);
	kept_accuse(walk->kept, kept_missing(walk->kept), pem, error);
}

/* The last line says how much there was: an export that was cut off is noticed. */
static Verdict
walk_end(Walk *walk, json_t *line, CoreError *error)
{
	static const char *const complete[] = {"type", "blocks", "chains", "entries", NULL};
	static const char *const light[] = {"type", "absent", "blocks", "chains", "entries", NULL};
	const char *const *fields = json_object_get(line, "absent") == NULL ? complete : light;
	uint64_t	missing = 0;
	uint64_t	chains;
	uint64_t	entries;
	uint64_t	blocks;
	const char *culprit;
	Verdict		verdict;

	if (!input_fields(line, fields, error) || !input_number(line, "chains", &chains, error) ||
		!input_number(line, "entries", &entries, error) ||
		!input_number(line, "blocks", &blocks, error) ||
		(fields == light && !input_number(line, "absent", &missing, error)))
		return UNUSABLE;
	verdict = walk_end_chain(walk, error);
	if (verdict != VERIFIED)
		return verdict;
	if (chains != walk->chains || entries != walk->entries || blocks != walk->blocks ||
		missing != walk->missing)
	{
		error_set(error, CORE_MALFORMED,
				  "the export says it has %llu chains, %llu entries and %llu blocks",
				  (unsigned long long) chains, (unsigned long long) entries,
				  (unsigned long long) blocks);
		return walk_fail(walk, NOT_VERIFIED, "end of export", error);
	}
	if (!export_set_entry(&walk->set, "", 0, NULL, 0, error) ||
		!signers_end(walk->signers, error))
		return walk_fail(walk, NOT_VERIFIED, "end of export", error);
	json_object_set_new(walk->result, "forks", json_array());
	signers_forks(walk->signers, json_object_get(walk->result, "forks"));
	if (!against_end(walk->against, walk->signers, json_object_get(walk->result, "forks"), error))
		return NOT_VERIFIED;
	if (json_array_size(json_object_get(walk->result, "forks")) == 0)
		json_object_del(walk->result, "forks");
	if (!cosigned_end(walk->cosigned, walk->signers, json_object_get(walk->result, "chains"),
					  &culprit, error))
	{
		json_object_set_new(walk->result, "chain", json_string(culprit));
		json_object_set_new(walk->result, "where", json_string("cosignatures"));
		return NOT_VERIFIED;
	}
	if (kept_missing(walk->kept) >= 0)
	{
		walk_missing_checkpoint(walk, error);
		return NOT_VERIFIED;
	}
	return VERIFIED;
}

static Verdict
walk_start(Walk *walk, json_t *first, CoreError *error)
{
	static const char *const fields[] = {"type", "alliance", "data_center", NULL};
	const char *alliance;
	const char *center;

	if (!input_fields(first, fields, error) ||
		!input_string(first, "alliance", &alliance, NULL, error) ||
		!input_string(first, "data_center", &center, NULL, error))
		return UNUSABLE;
	walk->alliance = strdup(alliance);
	walk->data_center = strdup(center);
	walk->facts = facts_new(NULL, NULL);
	walk->signers = signers_new(alliance, center, walk->options->anchors, walk->facts);
	if (walk->options->derived != NULL)
		derived_begin(walk->options->derived, alliance, center, walk->facts);
	walk->cosigned = cosigned_new(walk->options, alliance);
	walk->kept = kept_load(walk->options, error);
	if (walk->kept != NULL && walk->options->other != NULL)
		walk->against = against_load(walk->options->other, error);
	return walk->kept != NULL && (walk->options->other == NULL || walk->against != NULL) ?
		VERIFIED : UNUSABLE;
}

Verdict
verify_export(Input *input, json_t *first, const Options *options, json_t *result, CoreError *error)
{
	Walk		walk = {.options = options, .result = result};
	Verdict		verdict = walk_start(&walk, first, error);
	bool		ended = false;
	json_t	   *line;

	walk.block_pool = pool_new();
	json_object_set_new(result, "chains", json_array());
	while (verdict == VERIFIED && (line = input_next(input, error)) != NULL)
	{
		const char *type;

		if (ended || !input_string(line, "type", &type, NULL, error))
			verdict = UNUSABLE;
		else if (strcmp(type, "entry") == 0)
			verdict = walk_entry(&walk, line, error);
		else if (strcmp(type, "absent") == 0)
			verdict = walk_absent(&walk, line, error);
		else if (strcmp(type, "set") == 0)
			verdict = walk_set(&walk, line, false, error);
		else if (strcmp(type, "set_leaf") == 0)
			verdict = walk_set(&walk, line, true, error);
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
		error_set(error, CORE_MALFORMED,
				  "line %llu does not belong there, or the export was cut off",
				  (unsigned long long) input->number);
	if (options->progress)
		fprintf(stderr, "\r%40s\r", "");
	json_object_set_new(result, "trust_anchors", json_string(options->anchors != NULL ? "given" :
															 "those of the genesis block"));
	if (options->derived != NULL)
		derived_end(options->derived);
	if (verdict == VERIFIED && options->derived != NULL && !derived_has_node(options->derived))
	{
		verdict = UNUSABLE;
		error_set(error, CORE_MALFORMED, "there is no member \"%s\"%s", options->derived->node,
				  options->derived->as_of_given ? " as of then" : "");
	}
	if (verdict == VERIFIED && walk_authorised(&walk) != NULL && walk_authorised(&walk)->failed)
	{
		verdict = UNUSABLE;
		error_set(error, CORE_INTERNAL, "a temporary file could not be written or read");
	}
	signers_free(walk.signers);
	facts_free(walk.facts);
	pool_free(walk.block_pool);
	pool_free(walk.set.pool);
	absent_free(&walk.absent);
	free(walk.alliance);
	free(walk.data_center);
	free(walk.origin);
	kept_free(walk.kept);
	against_free(walk.against);
	cosigned_free(walk.cosigned);
	return verdict;
}
