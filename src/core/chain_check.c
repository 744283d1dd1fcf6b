/*
 * chain_check.c: what makes a block the next one of a chain.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/chain_check.h"
#include "core/encode.h"

void
chain_check_init(ChainCheck *check, const char *name, const uint8_t first_previous[HASH_LEN])
{
	memset(check, 0, sizeof(*check));
	(void) snprintf(check->name, sizeof(check->name), "%s", name);
	check->height = -1;
	memcpy(check->head, first_previous, HASH_LEN);
	tree_range_init(&check->range);
}

bool
chain_check_leaf(ChainCheck *check, const uint8_t leaf_hash[HASH_LEN])
{
	return tree_range_append(&check->range, leaf_hash);
}

static ChainFault
chain_differs(ChainFault fault, const uint8_t expected[HASH_LEN], const uint8_t found[HASH_LEN],
			  const char *what, CoreError *error)
{
	char		expected_hex[ENCODE_HEX_SIZE(HASH_LEN)];
	char		found_hex[ENCODE_HEX_SIZE(HASH_LEN)];

	encode_hex(expected, HASH_LEN, expected_hex);
	encode_hex(found, HASH_LEN, found_hex);
	error_set(error, CORE_MALFORMED, "%s: expected %s, found %s", what, expected_hex, found_hex);
	return fault;
}

ChainFault
chain_check_block(ChainCheck *check, const char *note, size_t len, const Key *key,
				  NoteBlock *block, CoreError *error)
{
	uint8_t		root[HASH_LEN];
	uint8_t		head[HASH_LEN];
	size_t		textlen;

	if (!note_parse_block(note, len, block, error) || !note_text_length(note, len, &textlen, error))
		return CHAIN_BAD_NOTE;
	if (strcmp(block->name, check->name) != 0)
	{
		error_set(error, CORE_MALFORMED, "name: expected \"%.100s\", found \"%.100s\"", check->name,
				  block->name);
		return CHAIN_BAD_NAME;
	}
	if (block->height != (uint64_t) (check->height + 1))
	{
		error_set(error, CORE_MALFORMED, "height: expected %" PRId64 ", found %" PRIu64,
				  check->height + 1, block->height);
		return CHAIN_BAD_HEIGHT;
	}
	if (!hash_equal(block->previous, check->head))
		return chain_differs(CHAIN_BAD_PREVIOUS, check->head, block->previous, "previous block",
							 error);
	if (block->size != check->range.size)
	{
		error_set(error, CORE_MALFORMED, "tree size: block says %" PRIu64 ", there are %"
				  PRIu64 " entries",
				  block->size, check->range.size);
		return CHAIN_BAD_SIZE;
	}
	if (!tree_range_root(&check->range, root) || !hash_sha256(note, textlen, head))
	{
		error_set(error, CORE_INTERNAL, "could not compute SHA-256");
		return CHAIN_FAILED;
	}
	if (!hash_equal(block->root, root))
		return chain_differs(CHAIN_BAD_ROOT, root, block->root, "root of the entries", error);
	if (key != NULL)
	{
		CoreError	failure = {0};

		switch (note_verify(note, len, check->name, key, &failure))
		{
			case KEY_VALID:
				break;
			case KEY_INVALID:
				error_set(error, CORE_MALFORMED, "no valid signature by the key of \"%.100s\"",
						  check->name);
				return CHAIN_BAD_SIGNATURE;
			case KEY_ERROR:
				/* the note is well-formed, as it was parsed above: this is OpenSSL */
				if (error != NULL)
					*error = failure;
				return CHAIN_FAILED;
		}
	}
	check->height = (int64_t) block->height;
	memcpy(check->head, head, HASH_LEN);
	return CHAIN_FINE;
}

const char *
chain_fault_name(ChainFault fault)
{
	switch (fault)
	{
		case CHAIN_FINE:
			return "fine";
		case CHAIN_BAD_NOTE:
			return "bad note";
		case CHAIN_BAD_NAME:
			return "bad name";
		case CHAIN_BAD_HEIGHT:
			return "bad height";
		case CHAIN_BAD_PREVIOUS:
			return "bad link";
		case CHAIN_BAD_SIZE:
			return "bad tree size";
		case CHAIN_BAD_ROOT:
			return "bad root";
		case CHAIN_BAD_SIGNATURE:
			return "bad signature";
		case CHAIN_FAILED:
			return "not checked";
	}
	return "unknown";
}
