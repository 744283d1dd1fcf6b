/*
 * verify_row.c: what a row said, opened out of the commitment in an entry whose receipt was
 * verified; or in an item of the set that the entry is about.
 */
#include <stdlib.h>
#include <string.h>

#include "core/encode.h"
#include "core/hash.h"
#include "core/proof.h"
#include "core/row_item.h"
#include "report.h"
#include "rules/json_slice.h"

#define ROW_SALT_LEN 16

/* SHA-256(salt || content) */
static bool
row_commitment(const char *salt_hex, const char *content, size_t len,
			   uint8_t commitment[HASH_LEN], CoreError *error)
{
	uint8_t		salt[ROW_SALT_LEN];
	char		again[ENCODE_HEX_SIZE(ROW_SALT_LEN)];
	bool		fine = strlen(salt_hex) == 2 * ROW_SALT_LEN &&
	decode_hex(salt_hex, 2 * ROW_SALT_LEN, salt);

	if (fine)
	{
		encode_hex(salt, ROW_SALT_LEN, again);
		fine = strcmp(again, salt_hex) == 0;
	}
	if (!fine)
		return error_set(error, CORE_MALFORMED,
						 "the salt is not %d lower-case hexadecimal digits", 2 * ROW_SALT_LEN);
	return hash_sha256_pair(salt, ROW_SALT_LEN, content, len, commitment) ||
		error_set(error, CORE_INTERNAL, "could not compute SHA-256");
}

/* "<bytes>:<text>" at *at, which moves behind it. */
static const char *
row_next(const char **at, const char *end, size_t *len)
{
	char	   *colon;
	unsigned long n;
	const char *text;

	if (*at == end || **at < '0' || **at > '9')
		return NULL;
	n = strtoul(*at, &colon, 10);
	if (colon >= end || *colon != ':' || n > (size_t) (end - colon - 1))
		return NULL;
	text = colon + 1;
	*at = text + n;
	*len = n;
	return text;
}

/* The canonical text as an object of column names and values. */
static json_t *
row_columns(const char *content, size_t len)
{
	json_t	   *columns = json_object();
	const char *at = content;
	const char *end = content + len;

	while (at < end)
	{
		size_t		namelen;
		size_t		valuelen;
		const char *name = row_next(&at, end, &namelen);
		const char *value = name ? row_next(&at, end, &valuelen) : NULL;
		char	   *key = value ? strndup(name, namelen) : NULL;

		if (key == NULL || json_object_set_new(columns, key, json_stringn(value, valuelen)) != 0)
		{
			free(key);
			json_decref(columns);
			return NULL;
		}
		free(key);
	}
	return columns;
}

/* The item of a set, all but its commitment, and the proof that leads from it. */
typedef struct RowInSet
{
	RowItem		item;
	uint64_t	index;
	uint8_t		hashes[INPUT_HASHES_MAX][HASH_LEN];
	int			nhashes;
} RowInSet;

static bool
row_read_set(json_t *set, RowInSet *in_set, CoreError *error)
{
	static const char *const fields[] = {"row", "index", "hashes", "operation", NULL};
	static const char *const more_fields[] = {
		"row", "index", "hashes", "previous", "operation", NULL
	};
	const char *operation;
	bool		has_previous;

	memset(in_set, 0, sizeof(*in_set));
	if (!json_is_object(set))
		return error_set(error, CORE_MALFORMED, "field \"set\" is not an object");
	if (!input_string(set, "operation", &operation, NULL, error))
		return false;
	if (!row_item_operation(operation, &in_set->item.operation) ||
		!row_item_has_commitment(in_set->item.operation))
		return error_set(error, CORE_MALFORMED, "\"%.20s\" leaves no row that has content",
						 operation);
	has_previous = row_item_has_previous(in_set->item.operation);
	if (!input_fields(set, has_previous ? more_fields : fields, error) ||
		!input_hash(json_object_get(set, "row"), in_set->item.row, error) ||
		!input_number(set, "index", &in_set->index, error) ||
		(has_previous &&
		 !input_hash(json_object_get(set, "previous"), in_set->item.previous, error)))
		return false;
	return input_hashes(set, "hashes", in_set->hashes, &in_set->nhashes, error);
}

/* Is the item, with this commitment, in the set that the entry is about? */
static bool
row_is_in_set(RowInSet *in_set, Pool *pool, JsonSlice entry, const uint8_t commitment[HASH_LEN])
{
	JsonSlice	body = json_slice_get(entry, "body");
	JsonSlice	number = json_slice_get(body, "number");
	const char *digits = json_slice_text(pool, number);
	char		root_hex[ENCODE_HEX_SIZE(HASH_LEN)];
	uint8_t		root[HASH_LEN];
	uint8_t		bytes[ROW_ITEM_MAX];
	uint8_t		leaf[HASH_LEN];

	if (!json_slice_is(json_slice_get(entry, "kind"), "row.set") ||
		json_slice_type(number) != JSON_SLICE_NUMBER || strlen(digits) > 18 ||
		strspn(digits, "0123456789") != strlen(digits) ||
		!json_slice_string(json_slice_get(body, "root"), root_hex, sizeof(root_hex)) ||
		strlen(root_hex) != 2 * HASH_LEN || !decode_hex(root_hex, 2 * HASH_LEN, root))
		return false;
	memcpy(in_set->item.commitment, commitment, HASH_LEN);
	return hash_leaf(bytes, row_item_write(&in_set->item, bytes), leaf) &&
		proof_check_inclusion(leaf, in_set->index, strtoull(digits, NULL, 10),
							  in_set->hashes[0], in_set->nhashes, root) == PROOF_VALID;
}

/* Is it what an entry about this row alone commits to? */
static bool
row_is_alone(JsonSlice entry, const uint8_t commitment[HASH_LEN])
{
	char		hex[ENCODE_HEX_SIZE(HASH_LEN)];

	encode_hex(commitment, HASH_LEN, hex);
	return json_slice_is(json_slice_get(json_slice_get(entry, "body"), "commitment"), hex);
}

bool
verify_row(json_t *row, const char *payload, size_t len, json_t *result, CoreError *error)
{
	static const char *const fields[] = {"salt", "content", "relation", NULL};
	static const char *const set_fields[] = {"set", "salt", "content", "relation", NULL};
	json_t	   *set = json_object_get(row, "set");
	RowInSet	in_set;
	const char *salt;
	const char *content;
	const char *relation;
	size_t		content_len;
	uint8_t		commitment[HASH_LEN];
	Pool	   *pool;
	JsonSlice	entry;
	json_t	   *columns;
	bool		same;

	if (!json_is_object(row))
		return error_set(error, CORE_MALFORMED, "field \"row\" is not an object");
	if (!input_fields(row, set ? set_fields : fields, error) ||
		!input_string(row, "salt", &salt, NULL, error) ||
		!input_string(row, "content", &content, &content_len, error) ||
		!input_string(row, "relation", &relation, NULL, error) ||
		(set != NULL && !row_read_set(set, &in_set, error)) ||
		!row_commitment(salt, content, content_len, commitment, error))
		return false;

	pool = pool_new();
	entry = json_slice_read(pool, payload, len, JSON_TEXT_UNIQUE);
	same = json_slice_is(json_slice_get(json_slice_get(entry, "body"), "relation"), relation) &&
		(set != NULL ? row_is_in_set(&in_set, pool, entry, commitment) :
		 row_is_alone(entry, commitment));
	pool_free(pool);
	if (!same)
		return error_set(error, CORE_MALFORMED, "the row is not what the entry commits to");
	columns = row_columns(content, content_len);
	if (columns == NULL)
		return error_set(error, CORE_MALFORMED,
						 "the row's content is not in its canonical spelling");
	json_object_set_new(result, "relation", json_string(relation));
	json_object_set_new(result, "row", columns);
	return true;
}
