/*
 * verify_disclosure.c: that an entry whose receipt was verified is about an examinee: by itself, or
 * as one of those whose records an access read.
 */
#include <stdlib.h>
#include <string.h>

#include "core/encode.h"
#include "core/proof.h"
#include "report.h"
#include "rules/json_slice.h"
#include "rules/oversight.h"

/* A leaf as it stands in a proof, and what leads from it. */
typedef struct Disclosed
{
	uint8_t		leaf[OVERSIGHT_LEAF];
	size_t		len;
	uint64_t	index;
	uint8_t		hashes[INPUT_HASHES_MAX][HASH_LEN];
	int			nhashes;
} Disclosed;

static bool
disclosure_read(json_t *object, Disclosed *disclosed, CoreError *error)
{
	const char *leaf;
	char		again[ENCODE_HEX_SIZE(OVERSIGHT_LEAF)];
	size_t		len;

	if (!input_string(object, "leaf", &leaf, &len, error) ||
		!input_number(object, "index", &disclosed->index, error))
		return false;
	disclosed->len = len / 2;
	if ((len != 2 * HASH_LEN && len != 2 * OVERSIGHT_LEAF) ||
		!decode_hex(leaf, len, disclosed->leaf))
		return error_set(error, CORE_MALFORMED, "field \"leaf\" is no leaf in hexadecimal digits");
	encode_hex(disclosed->leaf, disclosed->len, again);
	if (strcmp(again, leaf) != 0)
		return error_set(error, CORE_MALFORMED, "field \"leaf\" is not in lower case");
	return input_hashes(object, "hashes", disclosed->hashes, &disclosed->nhashes, error);
}

/* Is the leaf in the set that the entry is about? */
static bool
disclosure_in_set(const Disclosed *disclosed, Pool *pool, JsonSlice body)
{
	JsonSlice	number = json_slice_get(body, "subjects");
	const char *digits = json_slice_text(pool, number);
	char		root_hex[ENCODE_HEX_SIZE(HASH_LEN)];
	uint8_t		root[HASH_LEN];
	uint8_t		hash[HASH_LEN];

	return json_slice_type(number) == JSON_SLICE_NUMBER && strlen(digits) <= 18 &&
		strspn(digits, "0123456789") == strlen(digits) &&
		json_slice_string(json_slice_get(body, "root"), root_hex, sizeof(root_hex)) &&
		strlen(root_hex) == 2 * HASH_LEN && decode_hex(root_hex, 2 * HASH_LEN, root) &&
		hash_leaf(disclosed->leaf, disclosed->len, hash) &&
		proof_check_inclusion(hash, disclosed->index, strtoull(digits, NULL, 10),
							  disclosed->hashes[0], disclosed->nhashes, root) == PROOF_VALID;
}

/* What the access to this one's records was decided on, out of its leaf. */
static void
disclosure_tell_leaf(const Disclosed *disclosed, json_t *told)
{
	char		id[CLAIM_UUID_SIZE];
	int64_t		version;

	if (disclosed->len != OVERSIGHT_LEAF || !oversight_leaf_source(disclosed->leaf, id, &version))
		return;
	if (version < 0)
		json_object_set_new(told, "break_glass", json_string(id));
	else
	{
		json_object_set_new(told, "protocol", json_string(id));
		json_object_set_new(told, "version", json_pack("I", (json_int_t) version));
	}
}

/* What the line says, for people: fields of the entry and of its body. */
static void
disclosure_tell(Pool *pool, JsonSlice entry, const char *subject, const Disclosed *leaf,
				json_t *result)
{
	static const char *const outer[] = {"kind", "time", "actor", "role", NULL};
	static const char *const inner[] = {
		"operation", "relation", "outcome", "basis", "protocol", "version", "break_glass",
		"end_user", "address", "purpose", NULL
	};
	json_t	   *told = json_pack("{s:s}", "subject", subject);

	for (int i = 0; outer[i] != NULL; i++)
	{
		const char *text = json_slice_text(pool, json_slice_get(entry, outer[i]));

		if (text != NULL)
			json_object_set_new(told, outer[i], json_string(text));
	}
	for (int i = 0; inner[i] != NULL; i++)
	{
		const char *text = json_slice_text(pool, json_slice_get(json_slice_get(entry, "body"),
																inner[i]));

		if (text != NULL)
			json_object_set_new(told, inner[i], json_string(text));
	}
	if (leaf != NULL)
		disclosure_tell_leaf(leaf, told);
	json_object_set_new(result, "disclosure", told);
}

bool
verify_disclosure(json_t *object, const char *payload, size_t len, json_t *result,
				  CoreError *error)
{
	static const char *const alone_fields[] = {"subject", NULL};
	static const char *const set_fields[] = {"leaf", "index", "hashes", "subject", NULL};
	bool		in_set = json_object_get(object, "leaf") != NULL;
	Disclosed	disclosed = {.len = 0};
	uint8_t		subject[HASH_LEN];
	char		hex[ENCODE_HEX_SIZE(HASH_LEN)];
	Pool	   *pool;
	JsonSlice	entry;
	bool		same;

	if (!json_is_object(object))
		return error_set(error, CORE_MALFORMED, "field \"disclosure\" is not an object");
	if (!input_fields(object, in_set ? set_fields : alone_fields, error) ||
		!input_hash(json_object_get(object, "subject"), subject, error) ||
		(in_set && !disclosure_read(object, &disclosed, error)))
		return false;
	encode_hex(subject, HASH_LEN, hex);
	pool = pool_new();
	entry = json_slice_read(pool, payload, len, JSON_TEXT_UNIQUE);
	same = in_set ?
		json_slice_is(json_slice_get(entry, "kind"), "access") &&
		memcmp(disclosed.leaf, subject, HASH_LEN) == 0 &&
		disclosure_in_set(&disclosed, pool, json_slice_get(entry, "body")) :
		json_slice_is(json_slice_get(entry, "subject"), hex);
	if (same)
		disclosure_tell(pool, entry, hex, in_set ? &disclosed : NULL, result);
	pool_free(pool);
	return same || error_set(error, CORE_MALFORMED, "the entry is not about this examinee");
}
