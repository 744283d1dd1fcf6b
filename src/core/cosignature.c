/*
 * cosignature.c: making and checking cosignatures of checkpoints (c2sp.org/tlog-cosignature).
 *
 * What is signed is "cosignature/v1", a line with the time, and the text of the checkpoint with all
 * its lines.  No note has such a text, as its second line is a number, and no envelope: so one key
 * signs blocks, envelopes and cosignatures.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/cosignature.h"

#define COSIGNATURE_HEAD_MAX 64
#define COSIGNATURE_TEXT_MAX 4096	/* of a checkpoint that is cosigned, or checked */

/* What is signed, into message; its length, 0 if there is no room. */
static size_t
cosignature_message(const char *text, size_t textlen, int64_t time,
					char message[COSIGNATURE_HEAD_MAX + COSIGNATURE_TEXT_MAX])
{
	int			len = snprintf(message, COSIGNATURE_HEAD_MAX, "cosignature/v1\ntime %" PRId64 "\n",
							   time);

	if (time < 0 || len <= 0 || len >= COSIGNATURE_HEAD_MAX || textlen > COSIGNATURE_TEXT_MAX)
		return 0;
	memcpy(message + len, text, textlen);
	return (size_t) len + textlen;
}

size_t
cosignature_make(const char *text, size_t textlen, const char *name, const Key *key, int64_t time,
				 char line[COSIGNATURE_LINE_MAX], CoreError *error)
{
	char		message[COSIGNATURE_HEAD_MAX + COSIGNATURE_TEXT_MAX];
	uint8_t		bytes[NOTE_KEY_ID_LEN + 8 + KEY_SIGNATURE_MAX];
	size_t		len = cosignature_message(text, textlen, time, message);
	size_t		siglen;

	if (key_algorithm(key) != KEY_ED25519)
	{
		error_set(error, CORE_UNSUPPORTED, "cosignatures are made with ed25519 keys, this is one "
				  "for %s", key_algorithm_name(key_algorithm(key)));
		return 0;
	}
	if (len == 0 || !note_name_valid(name))
	{
		error_set(error, CORE_MALFORMED, "not the text of a checkpoint");
		return 0;
	}
	if (!key_note_id_of(key, name, COSIGNATURE_TYPE, bytes))
	{
		error_set(error, CORE_INTERNAL, "could not compute the key id");
		return 0;
	}
	for (int i = 0; i < 8; i++)
		bytes[NOTE_KEY_ID_LEN + i] = (uint8_t) ((uint64_t) time >> (56 - 8 * i));
	if (!key_sign(key, message, len, bytes + NOTE_KEY_ID_LEN + 8, &siglen, error))
		return 0;
	return note_signature_write(name, bytes, NOTE_KEY_ID_LEN + 8 + siglen, line,
								COSIGNATURE_LINE_MAX);
}

bool
cosignature_time(const NoteSignature *signature, int64_t *time)
{
	uint64_t	value = 0;

	if (signature->len != COSIGNATURE_LEN)
		return false;
	for (int i = 0; i < 8; i++)
		value = value << 8 | signature->bytes[NOTE_KEY_ID_LEN + i];
	*time = (int64_t) value;
	return value <= INT64_MAX;
}

KeyVerdict
cosignature_verify(const char *text, size_t textlen, const char *name, const Key *key,
				   const NoteSignature *signature, int64_t *time, bool *is_theirs,
				   CoreError *error)
{
	char		message[COSIGNATURE_HEAD_MAX + COSIGNATURE_TEXT_MAX];
	uint8_t		id[NOTE_KEY_ID_LEN];
	size_t		len;

	*is_theirs = key_algorithm(key) == KEY_ED25519 && note_signature_is_of(signature, name) &&
		key_note_id_of(key, name, COSIGNATURE_TYPE, id) &&
		memcmp(signature->bytes, id, NOTE_KEY_ID_LEN) == 0;
	if (!*is_theirs || !cosignature_time(signature, time))
		return KEY_INVALID;
	len = cosignature_message(text, textlen, *time, message);
	if (len == 0)
		return KEY_INVALID;
	return key_verify(key, KEY_ED25519, message, len, signature->bytes + NOTE_KEY_ID_LEN + 8,
					  signature->len - NOTE_KEY_ID_LEN - 8, error);
}
