/*
 * set_leaf.c: one leaf of the set of examinees whose records an access has read, and its proof.
 */
#include <stdlib.h>
#include <string.h>

#include "core/encode.h"
#include "core/proof.h"
#include "set_leaf.h"

bool
set_leaf_read(json_t *object, SetLeaf *leaf, CoreError *error)
{
	const char *hex;
	char		again[ENCODE_HEX_SIZE(OVERSIGHT_LEAF)];
	size_t		len;

	if (!input_string(object, "leaf", &hex, &len, error) ||
		!input_number(object, "index", &leaf->index, error))
		return false;
	leaf->len = len / 2;
	if ((len != 2 * HASH_LEN && len != 2 * OVERSIGHT_LEAF) || !decode_hex(hex, len, leaf->bytes))
		return error_set(error, CORE_MALFORMED, "field \"leaf\" is no leaf in hexadecimal digits");
	encode_hex(leaf->bytes, leaf->len, again);
	if (strcmp(again, hex) != 0)
		return error_set(error, CORE_MALFORMED, "field \"leaf\" is not in lower case");
	return input_hashes(object, "hashes", leaf->hashes, &leaf->nhashes, error);
}

bool
set_leaf_said(Pool *pool, JsonSlice body, uint64_t *number, uint8_t root[HASH_LEN])
{
	JsonSlice	subjects = json_slice_get(body, "subjects");
	const char *digits = json_slice_text(pool, subjects);
	char		hex[ENCODE_HEX_SIZE(HASH_LEN)];

	if (json_slice_type(subjects) != JSON_SLICE_NUMBER || strlen(digits) > 18 ||
		strspn(digits, "0123456789") != strlen(digits) ||
		!json_slice_string(json_slice_get(body, "root"), hex, sizeof(hex)) ||
		strlen(hex) != 2 * HASH_LEN || !decode_hex(hex, 2 * HASH_LEN, root))
		return false;
	*number = strtoull(digits, NULL, 10);
	return true;
}

bool
set_leaf_is_in(const SetLeaf *leaf, uint64_t number, const uint8_t root[HASH_LEN])
{
	uint8_t		hash[HASH_LEN];

	return hash_leaf(leaf->bytes, leaf->len, hash) &&
		proof_check_inclusion(hash, leaf->index, number, leaf->hashes[0], leaf->nhashes,
							  root) == PROOF_VALID;
}
