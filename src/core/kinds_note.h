/*
 * kinds_note.h: what an author says, signed, of the kinds of entries that a block has.
 *
 * Who takes the payloads of some kinds alone has to know how many these are: whoever passes blocks
 * on could leave some out.  The block's header is not to grow by that, so it is a signed note (C2SP
 * signed-note) of its own, by the same key and name, beside the block:
 *
 *     medchain kinds v1
 *     <alliance>/<origin>
 *     <height>
 *     <base64 SHA-256 of the block's note text>
 *     <base64 SHA-256 of the counts, a JSON object {"kind": number, ...}>
 */
#ifndef MEDCHAIN_CORE_KINDS_NOTE_H
#define MEDCHAIN_CORE_KINDS_NOTE_H

#include "core/hash.h"
#include "core/note.h"

#define KINDS_NOTE_TEXT_MAX (NOTE_NAME_MAX + 160)	/* with the terminator */

/* What is signed; its length, or 0 if OpenSSL fails.  head: hash of the block's note text. */
extern size_t kinds_note_text(const char *name, int64_t height, const uint8_t head[HASH_LEN],
							  const char *kinds, size_t len, char out[KINDS_NOTE_TEXT_MAX]);

/* Is the note about these counts, block and name; and is it signed with the key, too? */
extern bool kinds_note_is(const char *note, const char *name, int64_t height,
						  const uint8_t head[HASH_LEN], const char *kinds, size_t len);
extern bool kinds_note_valid(const char *note, const char *name, int64_t height,
							 const uint8_t head[HASH_LEN], const char *kinds, size_t len,
							 const Key *key);

#endif
