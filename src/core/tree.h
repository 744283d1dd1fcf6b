/*
 * tree.h: the RFC 6962 Merkle tree as a compact range, append and root only.
 *
 * A tree of n leaves is fully described, for the purpose of appending, by the
 * roots of its popcount(n) perfect subtrees, largest first: O(log n) state, no
 * storage.  Proofs live in proof.h, tiles with whoever stores them: an append
 * tells which of their hashes it completed.
 */
#ifndef MEDCHAIN_CORE_TREE_H
#define MEDCHAIN_CORE_TREE_H

#include "core/hash.h"

#define TREE_MAX_HASHES 63		/* sizes are below 2^63, as bigint is */

/* C2SP tlog-tiles: a tile of level L holds the roots of up to 256 subtrees of 256^L leaves each */
#define TREE_TILE_BITS 8
#define TREE_TILE_WIDTH (1 << TREE_TILE_BITS)
#define TREE_TILE_LEVELS 7		/* above the leaves: 256^7 is the last power below 2^63 */

typedef struct TreeRange
{
	uint64_t	size;
	int			nhashes;		/* popcount(size) */
	uint8_t		hashes[TREE_MAX_HASHES][HASH_LEN];	/* largest subtree first */

	/*
	 * what the leaf appended last completed: completed[i] is the root of a subtree of 256^(i+1)
	 * leaves
	 */
	int			ncompleted;
	uint8_t		completed[TREE_TILE_LEVELS][HASH_LEN];
} TreeRange;

extern void tree_range_init(TreeRange *range);

/* Restore a saved range; false if nhashes is not popcount(size). */
extern bool tree_range_load(TreeRange *range, uint64_t size, const uint8_t *hashes, int nhashes);

extern bool tree_range_append(TreeRange *range, const uint8_t leaf_hash[HASH_LEN]);

/* Root of the tree; of the empty tree, SHA-256 of the empty string (RFC 6962 section 2.1). */
extern bool tree_range_root(const TreeRange *range, uint8_t root[HASH_LEN]);

#endif
