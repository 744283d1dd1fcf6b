/*
 * note.h: C2SP signed notes and the block header, which is a tlog-checkpoint
 * with three extension lines (design, section 2; c2sp.org/signed-note,
 * c2sp.org/tlog-checkpoint).
 */
#ifndef MEDCHAIN_CORE_NOTE_H
#define MEDCHAIN_CORE_NOTE_H

#include "core/hash.h"
#include "core/key.h"

#define NOTE_NAME_MAX 255		/* "<alliance>/<origin>", without terminator */
#define NOTE_MAX 65536			/* a note longer than this is malformed */
#define NOTE_SEALED_LEN 24		/* 2026-01-31T23:59:59.123Z */
#define NOTE_TEXT_MAX 640		/* upper bound of a block header's text, terminator included */
#define NOTE_KEY_ID_LEN 4
#define NOTE_SIGNATURE_MAX 5120 /* key id and signature of a line: post-quantum ones are long */
#define NOTE_SIGNATURES_MAX 64	/* lines looked at: a hostile note must not cost more */
#define NOTE_SIGNED_MAX (NOTE_TEXT_MAX + NOTE_NAME_MAX + 8 + 4 * (KEY_SIGNATURE_MAX + 4) / 3 + 8)

typedef struct NoteBlock
{
	char		name[NOTE_NAME_MAX + 1];	/* "<alliance>/<origin>" */
	uint64_t	size;			/* leaves in the tree after this block */
	uint8_t		root[HASH_LEN];
	uint64_t	height;
	uint8_t		previous[HASH_LEN];
	char		sealed[NOTE_SEALED_LEN + 1];
} NoteBlock;

/*
 * Non-empty valid UTF-8 without Unicode white space, control characters or '+', at most
 * NOTE_NAME_MAX bytes.
 */
extern bool note_name_valid(const char *name);

/*
 * The header's text, up to and including the newline before the blank line. Returns its length, 0
 * if it can't be written.
 */
extern size_t note_format_block(const NoteBlock *block, char out[NOTE_TEXT_MAX]);

/*
 * Length of the text of a signed note (what is hashed and signed); false if it is not a signed note
 * at all.
 */
extern bool note_text_length(const char *note, size_t len, size_t *textlen, CoreError *error);

/*
 * Parse a signed block header strictly: one spelling, no extra lines, at least one signature line.
 */
extern bool note_parse_block(const char *note, size_t len, NoteBlock *block, CoreError *error);

/*
 * Append the blank line and our signature line to text. out: NOTE_SIGNED_MAX bytes.  Returns the
 * length, 0 on error.
 */
extern size_t note_sign(const char *text, size_t textlen, const char *name, const Key *key,
						char *out, CoreError *error);

/* One signature line: whose, and the key id with the signature behind it. */
typedef struct NoteSignature
{
	const char *name;			/* not terminated */
	size_t		namelen;
	uint8_t		bytes[NOTE_SIGNATURE_MAX + 4];
	size_t		len;			/* more than NOTE_KEY_ID_LEN */
} NoteSignature;

/* Read a signature line, without its newline; and write one, with it.  0: there is no room. */
extern bool note_signature_read(const char *line, size_t len, NoteSignature *signature);
extern bool note_signature_is_of(const NoteSignature *signature, const char *name);
extern size_t note_signature_write(const char *name, const uint8_t *bytes, size_t len, char *out,
								   size_t size);

/*
 * Going through the signature lines: *at is NULL at first, and NULL again behind the last one.
 * False: there is no further one, or *error says what is wrong with it.
 */
extern bool note_signature_next(const char *note, size_t len, const char **at,
								NoteSignature *signature, CoreError *error);

/*
 * What every tlog-checkpoint says, whoever wrote it: the first three lines of the text of a note.
 */
typedef struct NoteCheckpoint
{
	char		origin[NOTE_NAME_MAX + 1];
	uint64_t	size;
	uint8_t		root[HASH_LEN];
} NoteCheckpoint;

extern bool note_parse_checkpoint(const char *note, size_t len, NoteCheckpoint *checkpoint,
								  CoreError *error);

/*
 * Does the note carry a valid signature of this key under this name?
 * KEY_INVALID when it has none that verifies, or one under this key's id that
 * does not; KEY_ERROR when it is not a note.  name may be NULL: under any.  key may be NULL: only
 * the form of the signature lines is checked, and a good one gives KEY_INVALID.
 */
extern KeyVerdict note_verify(const char *note, size_t len, const char *name, const Key *key,
							  CoreError *error);

#endif
