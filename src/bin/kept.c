/*
 * kept.c: checkpoints that were kept elsewhere, and what is verified has to agree with.
 */
#include <stdlib.h>
#include <string.h>

#include "core/keycache.h"
#include "kept.h"

typedef struct KeptBlock
{
	NoteBlock	block;
	uint8_t		hash[HASH_LEN];
	bool		seen;
} KeptBlock;

struct Kept
{
	const Options *options;
	KeptBlock	blocks[];		/* one for each of options->checkpoints */
};

bool
kept_read(const Options *options, int i, NoteBlock *block, uint8_t hash[HASH_LEN],
		  CoreError *error)
{
	const char *note = options->checkpoints[i].note;
	size_t		len = options->checkpoints[i].len;
	size_t		textlen;
	CoreError	reason = {0};

	if (note_parse_block(note, len, block, &reason) &&
		note_text_length(note, len, &textlen, &reason) &&
		hash_sha256(note, textlen, hash))
		return true;
	return error_set(error, CORE_MALFORMED, "checkpoint %d of those given is none: %.180s", i + 1,
					 reason.message);
}

Kept *
kept_load(const Options *options, CoreError *error)
{
	Kept	   *kept = calloc(1, sizeof(Kept) + sizeof(KeptBlock) * (size_t) options->ncheckpoints);

	if (kept == NULL)
	{
		error_set(error, CORE_INTERNAL, "out of memory");
		return NULL;
	}
	kept->options = options;
	for (int i = 0; i < options->ncheckpoints; i++)
		if (!kept_read(options, i, &kept->blocks[i].block, kept->blocks[i].hash, error))
		{
			kept_free(kept);
			return NULL;
		}
	return kept;
}

void
kept_free(Kept *kept)
{
	free(kept);
}

static bool
kept_signed(const Kept *kept, int i, const Key *key)
{
	return note_verify(kept->options->checkpoints[i].note, kept->options->checkpoints[i].len,
					   kept->blocks[i].block.name, key, NULL) == KEY_VALID;
}

bool
kept_compare(Kept *kept, const NoteBlock *block, const uint8_t head[HASH_LEN], const Key *key,
			 CoreError *error)
{
	for (int i = 0; i < kept->options->ncheckpoints; i++)
	{
		KeptBlock  *one = &kept->blocks[i];

		if (strcmp(one->block.name, block->name) != 0 || one->block.height != block->height)
			continue;
		one->seen = true;
		if (hash_equal(head, one->hash))
			continue;
		if (!kept_signed(kept, i, key))
			return error_set(error, CORE_MALFORMED,
							 "the checkpoint kept elsewhere is another block, and not signed with "
							 "this chain's key");
		return error_set(error, CORE_MALFORMED,
						 "the checkpoint kept elsewhere is another block, signed with the same "
						 "key: the chain was rewritten");
	}
	return true;
}

int
kept_missing(const Kept *kept)
{
	for (int i = 0; i < kept->options->ncheckpoints; i++)
		if (!kept->blocks[i].seen)
			return i;
	return -1;
}

const NoteBlock *
kept_block(const Kept *kept, int i)
{
	return &kept->blocks[i].block;
}

void
kept_accuse(const Kept *kept, int i, const char *pem, CoreError *error)
{
	const NoteBlock *block = &kept->blocks[i].block;
	const Key  *key = pem != NULL ? keycache_get(pem, strlen(pem), NULL) : NULL;

	if (key == NULL)
		error_set(error, CORE_MALFORMED,
				  "a checkpoint was kept of \"%.100s\", of which nothing is there", block->name);
	else if (!kept_signed(kept, i, key))
		error_set(error, CORE_MALFORMED,
			"the checkpoint of \"%.100s\" that was kept is not signed with its key", block->name);
	else
		error_set(error, CORE_MALFORMED,
				  "block %llu of \"%.100s\", of which a checkpoint was kept elsewhere, is not "
				  "there: the chain was cut off",
				  (unsigned long long) block->height, block->name);
}
