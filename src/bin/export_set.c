/*
 * export_set.c: sets of examinees in an export, checked against what their accesses say.
 */
#include <string.h>

#include "core/encode.h"
#include "export_set.h"
#include "set_leaf.h"

static bool
export_set_is_whole(const ExportSet *set, CoreError *error)
{
	return set->in_part || set->count == set->number ||
		error_set(error, CORE_MALFORMED, "the set of entry %llu has %llu of %llu examinees",
				  (unsigned long long) set->seq, (unsigned long long) set->count,
				  (unsigned long long) set->number);
}

bool
export_set_entry(ExportSet *set, const char *kind, uint64_t seq, const char *text, size_t len,
				 CoreError *error)
{
	if (!export_set_is_whole(set, error))
		return false;
	set->number = set->count = 0;
	set->in_part = false;
	set->text = NULL;
	if (strcmp(kind, "access") != 0)
		return true;
	if (set->pool == NULL)
		set->pool = pool_new();
	pool_reset(set->pool);
	set->text = pool_copy(set->pool, text, len);
	set->len = len;
	set->seq = seq;
	return true;
}

/* What the access says of its set. */
static bool
export_set_open(ExportSet *set, CoreError *error)
{
	JsonSlice	body = json_slice_get(json_slice_read(set->pool, set->text, set->len,
													  JSON_TEXT_UNIQUE), "body");

	if (!set_leaf_said(set->pool, body, &set->number, set->root))
		return error_set(error, CORE_MALFORMED, "entry %llu has no set of examinees",
						 (unsigned long long) set->seq);
	tree_range_init(&set->range);
	return true;
}

/* Is a line of that entry expected here? */
static bool
export_set_expects(ExportSet *set, json_t *line, const char *origin, CoreError *error)
{
	const char *whose;
	uint64_t	seq;

	if (!input_number(line, "seq", &seq, error) ||
		!input_string(line, "origin", &whose, NULL, error))
		return false;
	if (set->text == NULL || seq != set->seq || origin == NULL || strcmp(whose, origin) != 0)
		return error_set(error, CORE_MALFORMED, "a set of another entry was expected here");
	return set->number > 0 || export_set_open(set, error);
}

static bool
export_set_leaf(ExportSet *set, const char *hex, size_t width, Authorised *authorised,
				CoreError *error)
{
	uint8_t		leaf[OVERSIGHT_LEAF];
	uint8_t		hash[HASH_LEN];

	if (!decode_hex(hex, 2 * width, leaf))
		return error_set(error, CORE_MALFORMED, "field \"leaves\" is not hexadecimal");
	if (!hash_leaf(leaf, width, hash) || !tree_range_append(&set->range, hash))
		return error_set(error, CORE_INTERNAL, "could not compute SHA-256");
	set->count++;
	if (authorised != NULL && width == OVERSIGHT_LEAF)
		authorised_leaf(authorised, leaf, false);
	return true;
}

bool
export_set_line(ExportSet *set, json_t *line, const char *origin, Authorised *authorised,
				CoreError *error)
{
	static const char *const fields[] = {
		"seq", "type", "first", "width", "leaves", "origin", NULL
	};
	const char *leaves;
	size_t		len;
	uint64_t	first;
	uint64_t	width;
	uint8_t		root[HASH_LEN];

	if (!input_fields(line, fields, error) || !input_number(line, "first", &first, error) ||
		!input_number(line, "width", &width, error) ||
		!input_string(line, "leaves", &leaves, &len, error) ||
		!export_set_expects(set, line, origin, error))
		return false;
	if (set->in_part || first != set->count)
		return error_set(error, CORE_MALFORMED, "other leaves were expected here");
	if ((width != HASH_LEN && width != OVERSIGHT_LEAF) || len == 0 || len % (2 * width) != 0 ||
		len / (2 * width) > set->number - set->count)
		return error_set(error, CORE_MALFORMED, "the leaves are not of that width and number");
	for (size_t i = 0; i < len; i += 2 * width)
		if (!export_set_leaf(set, leaves + i, width, authorised, error))
			return false;
	if (set->count < set->number)
		return true;
	if (!tree_range_root(&set->range, root))
		return error_set(error, CORE_INTERNAL, "could not compute SHA-256");
	return memcmp(root, set->root, HASH_LEN) == 0 ||
		error_set(error, CORE_MALFORMED, "the set of entry %llu is not what the entry says",
				  (unsigned long long) set->seq);
}

bool
export_set_part(ExportSet *set, json_t *line, const char *origin, Authorised *authorised,
				CoreError *error)
{
	static const char *const fields[] = {
		"seq", "leaf", "type", "index", "hashes", "origin", NULL
	};
	SetLeaf		leaf;

	if (!input_fields(line, fields, error) || !set_leaf_read(line, &leaf, error) ||
		!export_set_expects(set, line, origin, error))
		return false;
	/* count: of the next that can come, as each has to come once */
	if ((set->count > 0 && !set->in_part) || leaf.index < set->count)
		return error_set(error, CORE_MALFORMED, "another leaf was expected here");
	if (!set_leaf_is_in(&leaf, set->number, set->root))
		return error_set(error, CORE_MALFORMED, "leaf %llu is not in the set of entry %llu",
						 (unsigned long long) leaf.index, (unsigned long long) set->seq);
	set->in_part = true;
	set->count = leaf.index + 1;
	if (authorised != NULL && leaf.len == OVERSIGHT_LEAF)
		authorised_leaf(authorised, leaf.bytes, true);
	return true;
}
