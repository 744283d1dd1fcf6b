/*
 * vkey.c: writing and reading C2SP verifier keys:
 *
 *     <name>+<key id, 8 hex digits>+<base64(type || public key)>
 */
#include <stdio.h>
#include <string.h>

#include "core/encode.h"
#include "core/vkey.h"

#define VKEY_ECDSA 0x02
#define VKEY_NAMED 0xff
#define VKEY_BYTES_MAX 1300		/* type, algorithm's name, and the longest public key */

/* Type and public key, as the key id is computed over them. */
static size_t
vkey_bytes(const Key *key, bool cosigner, uint8_t out[VKEY_BYTES_MAX])
{
	const char *algorithm = key_algorithm_name(key_algorithm(key));
	size_t		start = 1;
	size_t		len;

	if (key_algorithm(key) == KEY_ED25519)
	{
		out[0] = cosigner ? COSIGNATURE_TYPE : VKEY_ED25519;
		return key_ed25519(key, out + 1) ? 1 + KEY_ED25519_BYTES : 0;
	}
	out[0] = VKEY_ECDSA;
	if (key_algorithm(key) != KEY_ECDSA_P256_SHA256)
	{
		out[0] = VKEY_NAMED;
		memcpy(out + start, algorithm, strlen(algorithm));
		start += strlen(algorithm);
	}
	len = key_to_der(key, out + start, VKEY_BYTES_MAX - start);
	return len > 0 ? start + len : 0;
}

bool
vkey_write(const Key *key, const char *name, bool cosigner, char out[VKEY_MAX], CoreError *error)
{
	uint8_t		bytes[VKEY_BYTES_MAX];
	uint8_t		id[NOTE_KEY_ID_LEN];
	char		hex[ENCODE_HEX_SIZE(NOTE_KEY_ID_LEN)];
	char		encoded[ENCODE_BASE64_SIZE(VKEY_BYTES_MAX)];
	size_t		len;

	if (!note_name_valid(name))
		return error_set(error, CORE_MALFORMED, "not the name of a key");
	if (cosigner && key_algorithm(key) != KEY_ED25519)
		return error_set(error, CORE_UNSUPPORTED, "cosignatures are made with ed25519 keys, this "
						 "is one for %s", key_algorithm_name(key_algorithm(key)));
	len = vkey_bytes(key, cosigner, bytes);
	if (len == 0 || !(cosigner ? key_note_id_of(key, name, COSIGNATURE_TYPE, id) :
					  key_note_id(key, name, id)))
		return error_set(error, CORE_INTERNAL, "could not compute the key id");
	encode_hex(id, NOTE_KEY_ID_LEN, hex);
	encode_base64(bytes, len, encoded);
	snprintf(out, VKEY_MAX, "%s+%s+%s", name, hex, encoded);
	return true;
}

static bool
vkey_read_parts(const char *text, size_t len, Vkey *vkey, CoreError *error)
{
	const char *plus = memchr(text, '+', len);
	size_t		name = plus != NULL ? (size_t) (plus - text) : 0;
	const char *data = plus != NULL ? plus + 1 + 2 * NOTE_KEY_ID_LEN + 1 : NULL;
	uint8_t		bytes[VKEY_BYTES_MAX + 4];
	size_t		encoded;
	size_t		size;
	uint8_t		id[NOTE_KEY_ID_LEN];
	uint8_t		told[NOTE_KEY_ID_LEN];

	if (plus == NULL || name > NOTE_NAME_MAX || data > text + len || data[-1] != '+')
		return error_set(error, CORE_MALFORMED, "not a verifier key: name+key id+key");
	memcpy(vkey->name, text, name);
	encoded = (size_t) (text + len - data);
	if (!note_name_valid(vkey->name) || encoded > ENCODE_BASE64_SIZE(VKEY_BYTES_MAX) - 1 ||
		strspn(plus + 1, "0123456789abcdef") != 2 * NOTE_KEY_ID_LEN ||
		!decode_hex(plus + 1, 2 * NOTE_KEY_ID_LEN, told) ||
		!decode_base64(data, encoded, bytes, &size) || size < 2)
		return error_set(error, CORE_MALFORMED, "not a verifier key: name+key id+key");
	vkey->type = bytes[0];
	if (vkey->type != VKEY_ED25519 && vkey->type != COSIGNATURE_TYPE)
		return error_set(error, CORE_UNSUPPORTED, "verifier key of \"%.100s\" has type 0x%02x; of "
						 "logs 0x01 is known, of witnesses 0x04, both for ed25519", vkey->name,
						 vkey->type);
	if (size != 1 + KEY_ED25519_BYTES)
		return error_set(error, CORE_MALFORMED, "verifier key of \"%.100s\" has %zu bytes",
						 vkey->name, size);
	memcpy(vkey->bytes, bytes + 1, KEY_ED25519_BYTES);
	vkey->key = key_from_ed25519(vkey->bytes, error);
	if (vkey->key == NULL)
		return false;
	if (!key_note_id_of(vkey->key, vkey->name, vkey->type, id))
		return error_set(error, CORE_INTERNAL, "could not compute the key id");
	return memcmp(id, told, NOTE_KEY_ID_LEN) == 0 ||
		error_set(error, CORE_MALFORMED, "verifier key of \"%.100s\" has another key id than its "
				  "key", vkey->name);
}

bool
vkey_read(const char *text, size_t len, Vkey *vkey, CoreError *error)
{
	memset(vkey, 0, sizeof(*vkey));
	if (vkey_read_parts(text, len, vkey, error))
		return true;
	key_free(vkey->key);
	vkey->key = NULL;
	return false;
}
