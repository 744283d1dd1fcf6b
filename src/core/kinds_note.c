/*
 * kinds_note.c: what an author says, signed, of the kinds of entries that a block has.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/encode.h"
#include "core/kinds_note.h"

size_t
kinds_note_text(const char *name, int64_t height, const uint8_t head[HASH_LEN],
				const char *kinds, size_t len, char out[KINDS_NOTE_TEXT_MAX])
{
	uint8_t		digest[HASH_LEN];
	char		block[ENCODE_BASE64_SIZE(HASH_LEN)];
	char		counts[ENCODE_BASE64_SIZE(HASH_LEN)];
	int			written;

	if (!hash_sha256(kinds, len, digest))
		return 0;
	encode_base64(head, HASH_LEN, block);
	encode_base64(digest, HASH_LEN, counts);
	written = snprintf(out, KINDS_NOTE_TEXT_MAX, "medchain kinds v1\n%s\n%" PRId64 "\n%s\n%s\n",
					   name, height, block, counts);
	return written > 0 && written < KINDS_NOTE_TEXT_MAX ? (size_t) written : 0;
}

bool
kinds_note_is(const char *note, const char *name, int64_t height, const uint8_t head[HASH_LEN],
			  const char *kinds, size_t len)
{
	char		text[KINDS_NOTE_TEXT_MAX];
	size_t		expected = kinds_note_text(name, height, head, kinds, len, text);
	size_t		noted;
	CoreError	error = {0};

	return expected > 0 && note_text_length(note, strlen(note), &noted, &error) &&
		noted == expected && memcmp(note, text, noted) == 0;
}

bool
kinds_note_valid(const char *note, const char *name, int64_t height, const uint8_t head[HASH_LEN],
				 const char *kinds, size_t len, const Key *key)
{
	CoreError	error = {0};

	return kinds_note_is(note, name, height, head, kinds, len) &&
		note_verify(note, strlen(note), name, key, &error) == KEY_VALID;
}
