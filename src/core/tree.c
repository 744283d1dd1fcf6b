/*
 * tree.c: the RFC 6962 tree as a compact range.
 *
 * Bit k of size set means: there is a perfect subtree of 2^k leaves.  Appending
 * is binary addition: a carry is one node hash.
 */
#include <string.h>

#include "core/tree.h"

void
tree_range_init(TreeRange *range)
{
	range->size = 0;
	range->nhashes = 0;
	range->ncompleted = 0;
}

bool
tree_range_load(TreeRange *range, uint64_t size, const uint8_t *hashes, int nhashes)
{
	if (size > INT64_MAX || nhashes != __builtin_popcountll(size))
		return false;
	range->size = size;
	range->nhashes = nhashes;
	range->ncompleted = 0;
	if (nhashes > 0)
		memcpy(range->hashes, hashes, (size_t) nhashes * HASH_LEN);
	return true;
}

bool
tree_range_append(TreeRange *range, const uint8_t leaf_hash[HASH_LEN])
{
	uint8_t		carry[HASH_LEN];
	int			nhashes = range->nhashes;
	int			level = 0;

	range->ncompleted = 0;
	if (range->size >= INT64_MAX)
		return false;
	memcpy(carry, leaf_hash, HASH_LEN);
	for (uint64_t rest = range->size; rest & 1; rest >>= 1)
	{
		nhashes--;
		if (!hash_node(range->hashes[nhashes], carry, carry))
			return false;
		if (++level % TREE_TILE_BITS == 0)
			memcpy(range->completed[range->ncompleted++], carry, HASH_LEN);
	}
	memcpy(range->hashes[nhashes], carry, HASH_LEN);
	range->nhashes = nhashes + 1;
	range->size++;
	return true;
}

bool
tree_range_root(const TreeRange *range, uint8_t root[HASH_LEN])
{
	if (range->nhashes == 0)
		return hash_sha256("", 0, root);

	/* from the smallest subtree up: RFC 6962 splits at the largest power of two */
	memcpy(root, range->hashes[range->nhashes - 1], HASH_LEN);
	for (int i = range->nhashes - 2; i >= 0; i--)
		if (!hash_node(range->hashes[i], root, root))
			return false;
	return true;
}
