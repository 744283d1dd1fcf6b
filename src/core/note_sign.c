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
#define NOTE_SIGNATURES_MAX 64	/* lines looked at: a hostile note must not cost more */
#define NOTE_KEY_ID_LEN 4

typedef struct NoteSignature
{
	const char *name;
	size_t		namelen;
	uint8_t		bytes[NOTE_KEY_ID_LEN + KEY_SIGNATURE_MAX + 4];
	size_t		len;
} NoteSignature;

size_t
note_sign(const char *text, size_t textlen, const char *name, const Key *key, char *out,
		  CoreError *error)
{
	uint8_t		bytes[NOTE_KEY_ID_LEN + KEY_SIGNATURE_MAX];
	size_t		siglen;
	char		encoded[ENCODE_BASE64_SIZE(sizeof(bytes))];
	int			len;

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
	encode_base64(bytes, NOTE_KEY_ID_LEN + siglen, encoded);
	memcpy(out, text, textlen);
	len = snprintf(out + textlen, NOTE_SIGNED_MAX - textlen, "\n" NOTE_DASH "%s %s\n", name,
				   encoded);
	if (len < 0 || (size_t) len >= NOTE_SIGNED_MAX - textlen)
	{
		error_set(error, CORE_INTERNAL, "signed note is too long");
		return 0;
	}
	return textlen + (size_t) len;
}

/* One signature line, without its newline. */
static bool
note_signature_line(const char *line, size_t len, NoteSignature *signature)
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
	if (encoded > ENCODE_BASE64_SIZE(NOTE_KEY_ID_LEN + KEY_SIGNATURE_MAX) - 1)
		return false;
	return decode_base64(space + 1, encoded, signature->bytes, &signature->len) &&
		signature->len > NOTE_KEY_ID_LEN;
}

/*
 * Names and sizes of the lines are checked whether or not there is a key to verify them with (NULL:
 * only that).
 */
KeyVerdict
note_verify(const char *note, size_t len, const char *name, const Key *key, CoreError *error)
{
	size_t		textlen;
	const char *line;
	uint8_t		id[NOTE_KEY_ID_LEN];
	char		line_name[NOTE_NAME_MAX + 1];
	bool		valid = false;
	bool		refused = false;
	int			lines = 0;

	if (!note_text_length(note, len, &textlen, error))
		return KEY_ERROR;
	for (line = note + textlen + 1; line < note + len;)
	{
		const char *end = memchr(line, '\n', (size_t) (note + len - line));
		NoteSignature signature;

		if (++lines > NOTE_SIGNATURES_MAX ||
			!note_signature_line(line, (size_t) (end - line), &signature))
		{
			error_set(error, CORE_MALFORMED, lines > NOTE_SIGNATURES_MAX ?
					  "signed note has more than %d signatures" :
					  "line %d after the blank line is not a signature",
					  lines > NOTE_SIGNATURES_MAX ? NOTE_SIGNATURES_MAX : lines);
			return KEY_ERROR;
		}
		line = end + 1;
		if (key == NULL || (name != NULL && (signature.namelen != strlen(name) ||
										   memcmp(signature.name, name, signature.namelen) != 0)))
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
	return valid && !refused ? KEY_VALID : KEY_INVALID;
}
