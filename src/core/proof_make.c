/*
 * proof_make.c: making inclusion and consistency proofs, for any size the tree ever had.
 *
 * Both walk from the root down the way RFC 6962 splits a tree, and note the
 * sibling at each step.  A sibling on the left is a perfect subtree; one on the
 * right may be ragged, and is put together from the perfect ones it consists of.
 * Perfect subtrees never change, so those of today's tree serve every past size.
 */
#include <string.h>

#include "core/proof.h"

/*
 * Root of n > 0 leaves from start on, where start is a multiple of a power of two that is at least
 * n.
 */
static bool
proof_subtree(ProofNode node, void *source, uint64_t start, uint64_t n, uint8_t root[HASH_LEN])
{
	int			level = __builtin_ctzll(n);

	/* from the smallest perfect subtree, at the right end, to the largest */
	n -= UINT64_C(1) << level;
	if (!node(source, level, (start + n) >> level, root))
		return false;
	while (n > 0)
	{
		uint8_t		left[HASH_LEN];

		level = __builtin_ctzll(n);
		n -= UINT64_C(1) << level;
		if (!node(source, level, (start + n) >> level, left) || !hash_node(left, root, root))
			return false;
	}
	return true;
}

/* The largest power of two below n, which is at least 2. */
static uint64_t
proof_split(uint64_t n)
{
	return UINT64_C(1) << (63 - __builtin_clzll(n - 1));
}

/* Siblings were noted from the root down; a proof has them from the leaf up. */
static void
proof_reverse(uint8_t hashes[PROOF_MAX_HASHES][HASH_LEN], int nhashes)
{
	for (int i = 0, j = nhashes - 1; i < j; i++, j--)
	{
		uint8_t		swap[HASH_LEN];

		memcpy(swap, hashes[i], HASH_LEN);
		memcpy(hashes[i], hashes[j], HASH_LEN);
		memcpy(hashes[j], swap, HASH_LEN);
	}
}

bool
proof_make_root(ProofNode node, void *source, uint64_t size, uint8_t root[HASH_LEN])
{
	if (size > INT64_MAX)
		return false;
	if (size == 0)
		return hash_sha256("", 0, root);
	return proof_subtree(node, source, 0, size, root);
}

bool
proof_make_inclusion(ProofNode node, void *source, uint64_t index, uint64_t size,
					 uint8_t hashes[PROOF_MAX_HASHES][HASH_LEN], int *nhashes)
{
	uint64_t	start = 0;
	uint64_t	n = size;

	*nhashes = 0;
	if (index >= size || size > INT64_MAX)
		return false;
	while (n > 1)
	{
		uint64_t	k = proof_split(n);
		uint8_t    *sibling = hashes[(*nhashes)++];

		if (index - start < k)
		{
			if (!proof_subtree(node, source, start + k, n - k, sibling))
				return false;
			n = k;
		}
		else
		{
			if (!proof_subtree(node, source, start, k, sibling))
				return false;
			start += k;
			n -= k;
		}
	}
	proof_reverse(hashes, *nhashes);
	return true;
}

bool
proof_make_consistency(ProofNode node, void *source, uint64_t size1, uint64_t size2,
					   uint8_t hashes[PROOF_MAX_HASHES][HASH_LEN], int *nhashes)
{
	uint64_t	start = 0;
	uint64_t	m = size1;
	uint64_t	n = size2;

	*nhashes = 0;
	if (size1 > size2 || size2 > INT64_MAX)
		return false;
	if (size1 == 0)
		return true;
	while (m < n)
	{
		uint64_t	k = proof_split(n);
		uint8_t    *sibling = hashes[(*nhashes)++];

		if (m <= k)
		{
			if (!proof_subtree(node, source, start + k, n - k, sibling))
				return false;
			n = k;
		}
		else
		{
			if (!proof_subtree(node, source, start, k, sibling))
				return false;
			start += k;
			m -= k;
			n -= k;
		}
	}

	/*
	 * the subtree both trees share at the end of the old one; left out where it is the whole old
	 * tree
	 */
	if (start > 0 && !proof_subtree(node, source, start, n, hashes[(*nhashes)++]))
		return false;
	proof_reverse(hashes, *nhashes);
	return true;
}
