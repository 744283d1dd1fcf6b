/*
 * witness.c: reading entries of kind witness.
 */
#include <stdlib.h>
#include <string.h>

#include "core/encode.h"
#include "rules/json_slice.h"
#include "rules/witness.h"

/* A whole number that is not negative. */
static bool
witness_number(Pool *pool, JsonSlice body, const char *field, int64_t *number)
{
	JsonSlice	value = json_slice_get(body, field);
	char	   *digits = json_slice_text(pool, value);

	if (json_slice_type(value) != JSON_SLICE_NUMBER || strlen(digits) > 18 ||
		strspn(digits, "0123456789") != strlen(digits))
		return false;
	*number = strtoll(digits, NULL, 10);
	return true;
}

static bool
witness_read_body(Pool *pool, JsonSlice body, Witness *witness)
{
	char		hash[ENCODE_HEX_SIZE(HASH_LEN)];
	JsonSlice	cosignature = json_slice_get(body, "cosignature");

	if (!json_slice_string(json_slice_get(body, "chain"), witness->chain,
						   sizeof(witness->chain)) ||
		!entry_name_valid(witness->chain) || strcmp(witness->chain, witness->author) == 0 ||
		!json_slice_string(json_slice_get(body, "hash"), hash, sizeof(hash)) ||
		strlen(hash) != 2 * HASH_LEN || !decode_hex(hash, strlen(hash), witness->hash))
		return false;
	if (json_slice_type(cosignature) != JSON_SLICE_MISSING &&
		!json_slice_string(cosignature, witness->cosignature, sizeof(witness->cosignature)))
		return false;
	return witness_number(pool, body, "entries", &witness->entries) &&
		witness_number(pool, body, "height", &witness->height);
}

bool
witness_read(const char *payload, size_t len, Witness *witness)
{
	Entry		entry;
	Pool	   *pool;
	bool		found;

	memset(witness, 0, sizeof(*witness));
	if (!entry_read(payload, len, &entry, NULL) || strcmp(entry.kind, "witness") != 0 ||
		strlen(entry.origin) > ENTRY_NAME_MAX)
		return false;
	strcpy(witness->author, entry.origin);
	pool = pool_new();
	found = witness_read_body(pool, json_slice_read(pool, entry.body, entry.body_len,
													JSON_TEXT_UNIQUE), witness);
	pool_free(pool);
	return found;
}

bool
witness_signature(const Witness *witness, NoteSignature *signature)
{
	char		name[NOTE_NAME_MAX + 1];

	if (!note_signature_read(witness->cosignature, strlen(witness->cosignature), signature))
		return false;

	/* it is put under a note as it is: with a newline in it, that would be another note */
	memcpy(name, signature->name, signature->namelen);
	name[signature->namelen] = '\0';
	return note_name_valid(name);
}
