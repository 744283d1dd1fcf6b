/*
 * verify_disclosure.c: that an entry whose receipt was verified is about an examinee: by itself, or
 * as one of those whose records an access read.
 */
#include <string.h>

#include "core/encode.h"
#include "report.h"
#include "set_leaf.h"

/* Is the leaf in the set that the entry is about? */
static bool
disclosure_in_set(const SetLeaf *leaf, Pool *pool, JsonSlice body)
{
	uint64_t	number;
	uint8_t		root[HASH_LEN];

	return set_leaf_said(pool, body, &number, root) && set_leaf_is_in(leaf, number, root);
}

/* What the access to this one's records was decided on, out of its leaf. */
static void
disclosure_tell_leaf(const SetLeaf *leaf, json_t *told)
{
	char		id[CLAIM_UUID_SIZE];
	int64_t		version;

	if (leaf->len != OVERSIGHT_LEAF || !oversight_leaf_source(leaf->bytes, id, &version))
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
disclosure_tell(Pool *pool, JsonSlice entry, const char *subject, const SetLeaf *leaf,
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
	SetLeaf		leaf = {.len = 0};
	uint8_t		subject[HASH_LEN];
	char		hex[ENCODE_HEX_SIZE(HASH_LEN)];
	Pool	   *pool;
	JsonSlice	entry;
	bool		same;

	if (!json_is_object(object))
		return error_set(error, CORE_MALFORMED, "field \"disclosure\" is not an object");
	if (!input_fields(object, in_set ? set_fields : alone_fields, error) ||
		!input_hash(json_object_get(object, "subject"), subject, error) ||
		(in_set && !set_leaf_read(object, &leaf, error)))
		return false;
	encode_hex(subject, HASH_LEN, hex);
	pool = pool_new();
	entry = json_slice_read(pool, payload, len, JSON_TEXT_UNIQUE);
	same = in_set ?
		json_slice_is(json_slice_get(entry, "kind"), "access") &&
		memcmp(leaf.bytes, subject, HASH_LEN) == 0 &&
		disclosure_in_set(&leaf, pool, json_slice_get(entry, "body")) :
		json_slice_is(json_slice_get(entry, "subject"), hex);
	if (same)
		disclosure_tell(pool, entry, hex, in_set ? &leaf : NULL, result);
	pool_free(pool);
	return same || error_set(error, CORE_MALFORMED, "the entry is not about this examinee");
}
