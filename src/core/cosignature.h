/*
 * cosignature.h: C2SP tlog-cosignature by Ed25519 keys (type 0x04): somebody says of a checkpoint
 * that it is the newest consistent one he has seen of that log, and when.
 */
#ifndef MEDCHAIN_CORE_COSIGNATURE_H
#define MEDCHAIN_CORE_COSIGNATURE_H

#include "core/note.h"

#define COSIGNATURE_TYPE 0x04
#define COSIGNATURE_LEN (NOTE_KEY_ID_LEN + 8 + 64)	/* key id, time, signature */
#define COSIGNATURE_LINE_MAX (NOTE_NAME_MAX + 128)	/* the line of a note, terminated */

/*
 * Cosign the note whose text that is, as name, at that time (seconds since 1970): the signature
 * line, with its newline.  Its length, 0 on error; an error as well with any other kind of key.
 */
extern size_t cosignature_make(const char *text, size_t textlen, const char *name, const Key *key,
							   int64_t time, char line[COSIGNATURE_LINE_MAX], CoreError *error);

/*
 * Is this line of a note a cosignature of its text by that key under that name?  KEY_INVALID if it
 * is another's, or does not verify; is_theirs tells these apart.  time: when, if it is valid.
 */
extern KeyVerdict cosignature_verify(const char *text, size_t textlen, const char *name,
									 const Key *key, const NoteSignature *signature,
									 int64_t *time, bool *is_theirs, CoreError *error);

/* When it says it was made; false if it is none. */
extern bool cosignature_time(const NoteSignature *signature, int64_t *time);

#endif
