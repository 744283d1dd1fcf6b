/*
 * note_sign.c: the signature lines of a C2SP signed note.
 *
 *     — <name> base64(key id (4 bytes) || signature)
 */
#include <stdio.h>
#include <string.h>

#include "core/encode.h"
#include "core/note.h"

#define NOTE_DASH "\xe2\x80\x94 "	/* U+2014, space */
#define NOTE_DASH_LEN 4

size_t
note_signature_write(const char *name, const uint8_t *bytes, size_t len, char *out, size_t size)
{
	char		encoded[ENCODE_BASE64_SIZE(NOTE_SIGNATURE_MAX)];
	int			written;

	if (len > NOTE_SIGNATURE_MAX)
		return 0;
	encode_base64(bytes, len, encoded);
	written = snprintf(out, size, NOTE_DASH "%s %s\n", name, encoded);
	return written > 0 && (size_t) written < size ? (size_t) written : 0;
}

size_t
note_sign(const char *text, size_t textlen, const char *name, const Key *key, char *out,
		  CoreError *error)
{
	uint8_t		bytes[NOTE_KEY_ID_LEN + KEY_SIGNATURE_MAX];
	size_t		siglen;
	size_t		len;

	if (textlen >= NOTE_TEXT_MAX || textlen == 0 || text[textlen - 1] != '\n' ||
		!note_name_valid(name))
	{
		error_set(error, CORE_MALFORMED, "not the text of a note");
		return 0;
	}
	if (!key_note_id(key, name, bytes))
	{
		error_set(error, CORE_INTERNAL, "could not compute the key id");
		return 0;
	}
	if (!key_sign(key, text, textlen, bytes + NOTE_KEY_ID_LEN, &siglen, error))
		return 0;
	memcpy(out, text, textlen);
	out[textlen] = '\n';
	len = note_signature_write(name, bytes, NOTE_KEY_ID_LEN + siglen, out + textlen + 1,
							   NOTE_SIGNED_MAX - textlen - 1);
	if (len == 0)
	{
		error_set(error, CORE_INTERNAL, "signed note is too long");
		return 0;
	}
	return textlen + 1 + len;
}

bool
note_signature_read(const char *line, size_t len, NoteSignature *signature)
{
	const char *space;
	size_t		encoded;

	if (len < NOTE_DASH_LEN || memcmp(line, NOTE_DASH, NOTE_DASH_LEN) != 0)
		return false;
	line += NOTE_DASH_LEN;
	len -= NOTE_DASH_LEN;
	space = memchr(line, ' ', len);
	if (space == NULL || space == line || space - line > NOTE_NAME_MAX)
		return false;
	signature->name = line;
	signature->namelen = (size_t) (space - line);
	encoded = len - signature->namelen - 1;
	if (encoded > ENCODE_BASE64_SIZE(NOTE_SIGNATURE_MAX) - 1)
		return false;
	return decode_base64(space + 1, encoded, signature->bytes, &signature->len) &&
		signature->len > NOTE_KEY_ID_LEN;
}

bool
note_signature_is_of(const NoteSignature *signature, const char *name)
{
	return signature->namelen == strlen(name) &&
		memcmp(signature->name, name, signature->namelen) == 0;
}

bool
note_signature_next(const char *note, size_t len, const char **at, NoteSignature *signature,
					CoreError *error)
{
	size_t		textlen;
	const char *end;
	const char *line = *at;

	if (line == NULL)
	{
		if (!note_text_length(note, len, &textlen, error))
			return false;
		line = note + textlen + 1;
	}
	*at = NULL;
	if (line >= note + len)
		return false;
	end = memchr(line, '\n', (size_t) (note + len - line));
	if (!note_signature_read(line, (size_t) (end - line), signature))
		return error_set(error, CORE_MALFORMED, "a line after the blank line is not a signature");
	*at = end + 1;
	return true;
}

/*
 * Names and sizes of the lines are checked whether or not there is a key to verify them with (NULL:
 * only that).
 */
KeyVerdict
note_verify(const char *note, size_t len, const char *name, const Key *key, CoreError *error)
{
	size_t		textlen;
	const char *at = NULL;
	uint8_t		id[NOTE_KEY_ID_LEN];
	char		line_name[NOTE_NAME_MAX + 1];
	CoreError	reason = {0};
	NoteSignature signature;
	bool		valid = false;
	bool		refused = false;
	int			lines = 0;

	if (!note_text_length(note, len, &textlen, error))
		return KEY_ERROR;
	while (note_signature_next(note, len, &at, &signature, &reason))
	{
		if (++lines > NOTE_SIGNATURES_MAX)
		{
			error_set(error, CORE_MALFORMED, "signed note has more than %d signatures",
					  NOTE_SIGNATURES_MAX);
			return KEY_ERROR;
		}
		if (key == NULL || (name != NULL && !note_signature_is_of(&signature, name)))
			continue;			/* somebody else's: a witness, for one */
		memcpy(line_name, signature.name, signature.namelen);
		line_name[signature.namelen] = '\0';
		if (!key_note_id(key, line_name, id))
		{
			error_set(error, CORE_INTERNAL, "could not compute the key id");
			return KEY_ERROR;
		}
		if (memcmp(signature.bytes, id, NOTE_KEY_ID_LEN) != 0)
			continue;
		switch (key_verify(key, KEY_DEFAULT, note, textlen, signature.bytes + NOTE_KEY_ID_LEN,
						   signature.len - NOTE_KEY_ID_LEN, error))
		{
			case KEY_VALID:
				valid = true;
				break;
			case KEY_INVALID:
				/* signed-note.md: a wrong signature of a known key spoils the note */
				refused = true;
				break;
			case KEY_ERROR:
				return KEY_ERROR;
		}
	}
	if (reason.code != CORE_OK)
	{
		error_set(error, CORE_MALFORMED, "line %d after the blank line is not a signature",
				  lines + 1);
		return KEY_ERROR;
	}
	return valid && !refused ? KEY_VALID : KEY_INVALID;
}
