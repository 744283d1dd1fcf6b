/*
 * against.c: another export, of whoever else has the same chains.
 *
 * What is kept of it are the hashes of its blocks; the blocks themselves are looked for once more
 * where one is not the same.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/encode.h"
#include "core/keycache.h"
#include "against.h"

/* Of each chain, the first block that is not the same. */
typedef struct Difference
{
	NoteBlock	block;
	uint8_t		hash[HASH_LEN];
	const char *note;
	uint8_t		other[HASH_LEN];
	const char *other_note;
} Difference;

struct Against
{
	char	   *path;
	Pool	   *pool;
	Map		   *blocks;			/* by name and height: their hashes */
	Difference *differences;
	size_t		ndifferences;
};

static void **
against_place(Against *against, const NoteBlock *block)
{
	char		key[NOTE_NAME_MAX + 32];
	int			len = snprintf(key, sizeof(key), "%s\n%" PRIu64, block->name, block->height);

	return map_at(against->blocks, key, (size_t) len);
}

/* What is done with each block of the file. */
typedef void (*AgainstVisit) (Against *against, const NoteBlock *block,
							  const uint8_t hash[HASH_LEN], const char *note);

static bool
against_line(Against *against, json_t *line, AgainstVisit visit, CoreError *error)
{
	const char *type;
	const char *note;
	size_t		len;
	size_t		textlen;
	NoteBlock	block;
	uint8_t		hash[HASH_LEN];

	if (!input_string(line, "type", &type, NULL, error))
		return false;
	if (strcmp(type, "block") != 0)
		return true;
	if (!input_string(line, "note", &note, &len, error) ||
		!note_parse_block(note, len, &block, error) ||
		!note_text_length(note, len, &textlen, error))
		return false;
	if (!hash_sha256(note, textlen, hash))
		return error_set(error, CORE_INTERNAL, "could not compute SHA-256");
	visit(against, &block, hash, note);
	return true;
}

static bool
against_read(Against *against, AgainstVisit visit, CoreError *error)
{
	Input		input = {.file = fopen(against->path, "rb")};
	json_t	   *line;
	bool		fine = true;

	if (input.file == NULL)
		return error_set(error, CORE_MALFORMED, "could not open the other export");
	while (fine && (line = input_next(&input, error)) != NULL)
	{
		fine = against_line(against, line, visit, error);
		json_decref(line);
	}
	input_free(&input);
	return fine && error->code == CORE_OK;
}

static void
against_keep(Against *against, const NoteBlock *block, const uint8_t hash[HASH_LEN],
			 const char *note)
{
	void	  **place = against_place(against, block);

	(void) note;
	if (*place == NULL)
		*place = pool_copy(against->pool, hash, HASH_LEN);
}

Against *
against_load(const char *path, CoreError *error)
{
	Pool	   *pool = pool_new();
	Against    *against = pool_alloc(pool, sizeof(Against));
	CoreError	reason = {0};

	against->pool = pool;
	against->path = pool_text(pool, path);
	against->blocks = map_new(pool);
	if (against_read(against, against_keep, &reason))
		return against;
	pool_free(pool);
	error_set(error, CORE_MALFORMED, "the other export cannot be used: %.200s", reason.message);
	return NULL;
}

void
against_free(Against *against)
{
	if (against != NULL)
		pool_free(against->pool);
}

void
against_block(Against *against, const NoteBlock *block, const uint8_t head[HASH_LEN],
			  const char *note, size_t len)
{
	const uint8_t *other = against != NULL ? *against_place(against, block) : NULL;
	Difference *difference;

	if (other == NULL || hash_equal(other, head))
		return;

	/* chains come one behind the other: behind the first one, all are others */
	if (against->ndifferences > 0 &&
		strcmp(against->differences[against->ndifferences - 1].block.name, block->name) == 0)
		return;
	against->differences = pool_grow(against->pool, against->differences, against->ndifferences,
									 sizeof(Difference));
	difference = &against->differences[against->ndifferences++];
	memset(difference, 0, sizeof(*difference));
	difference->block = *block;
	memcpy(difference->hash, head, HASH_LEN);
	difference->note = pool_copy(against->pool, note, len);
}

static void
against_find(Against *against, const NoteBlock *block, const uint8_t hash[HASH_LEN],
			 const char *note)
{
	for (size_t i = 0; i < against->ndifferences; i++)
	{
		Difference *difference = &against->differences[i];

		if (difference->other_note == NULL && difference->block.height == block->height &&
			strcmp(difference->block.name, block->name) == 0)
		{
			difference->other_note = pool_text(against->pool, note);
			memcpy(difference->other, hash, HASH_LEN);
		}
	}
}

static bool
against_is_signed(const Difference *difference, const Signers *signers)
{
	const char *slash = strrchr(difference->block.name, '/');
	const char *pem = slash == NULL ? NULL :
	signers_key_of(signers, slash + 1, (int64_t) difference->block.height);
	const Key  *key = pem != NULL ? keycache_get(pem, strlen(pem), NULL) : NULL;

	return key != NULL && difference->other_note != NULL &&
		note_verify(difference->other_note, strlen(difference->other_note),
					difference->block.name, key, NULL) == KEY_VALID;
}

static bool
against_differs(const Difference *difference, const Signers *signers, json_t *forks,
				CoreError *error)
{
	const char *slash = strrchr(difference->block.name, '/');
	char		hex[2][ENCODE_HEX_SIZE(HASH_LEN)];

	if (!against_is_signed(difference, signers))
		return error_set(error, CORE_MALFORMED, "block %" PRIu64 " of \"%.100s\" is another one in "
						 "the other export, and not signed with this chain's key there",
						 difference->block.height, difference->block.name);
	encode_hex(difference->hash, HASH_LEN, hex[0]);
	encode_hex(difference->other, HASH_LEN, hex[1]);
	json_array_append_new(forks, json_pack("{s:s, s:I, s:s, s:s, s:[s, s]}", "member", slash + 1,
										   "height", (json_int_t) difference->block.height,
										   "block", hex[0], "other", hex[1], "notes",
										   difference->note, difference->other_note));
	return error_set(error, CORE_MALFORMED, "block %" PRIu64 " of \"%.100s\" is another one in the "
					 "other export, signed with the same key: the chain was forked",
					 difference->block.height, difference->block.name);
}

bool
against_end(Against *against, const Signers *signers, json_t *forks, CoreError *error)
{
	if (against == NULL || against->ndifferences == 0)
		return true;
	if (!against_read(against, against_find, error))
		return false;
	for (size_t i = against->ndifferences; i > 0; i--)
		(void) against_differs(&against->differences[i - 1], signers, forks, error);
	return false;
}
