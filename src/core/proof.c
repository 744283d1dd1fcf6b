/*
 * proof.c: checking inclusion and consistency proofs by the algorithms of RFC
 * 9162, sections 2.1.3.2 and 2.1.4.2 (the hashes are those of RFC 6962).
 */
#include <string.h>

#include "core/proof.h"

ProofResult
proof_check_inclusion(const uint8_t leaf_hash[HASH_LEN], uint64_t index, uint64_t size,
					  const uint8_t *hashes, int nhashes, const uint8_t root[HASH_LEN])
{
	uint64_t	fn = index;
	uint64_t	sn = size - 1;
	uint8_t		r[HASH_LEN];

	if (size == 0 || index >= size)
		return PROOF_INVALID;
	memcpy(r, leaf_hash, HASH_LEN);
	for (int i = 0; i < nhashes; i++)
	{
		const uint8_t *p = hashes + (size_t) i * HASH_LEN;

		if (sn == 0)
			return PROOF_INVALID;
		if ((fn & 1) || fn == sn)
		{
			if (!hash_node(p, r, r))
				return PROOF_FAILED;
			while (!(fn & 1) && fn != 0)
			{
				fn >>= 1;
				sn >>= 1;
			}
		}
		else if (!hash_node(r, p, r))
			return PROOF_FAILED;
		fn >>= 1;
		sn >>= 1;
	}
	return sn == 0 && hash_equal(r, root) ? PROOF_VALID : PROOF_INVALID;
}

/* The case 0 < size1 < size2. */
static ProofResult
proof_check_growth(uint64_t size1, uint64_t size2, const uint8_t *hashes, int nhashes,
				   const uint8_t root1[HASH_LEN], const uint8_t root2[HASH_LEN])
{
	uint64_t	fn = size1 - 1;
	uint64_t	sn = size2 - 1;
	uint8_t		fr[HASH_LEN];
	uint8_t		sr[HASH_LEN];
	int			next = 0;

	/* a first tree that is perfect is itself the first node of the path */
	if ((size1 & (size1 - 1)) == 0)
		memcpy(fr, root1, HASH_LEN);
	else if (nhashes == 0)
		return PROOF_INVALID;
	else
		memcpy(fr, hashes + HASH_LEN * (size_t) next++, HASH_LEN);
	memcpy(sr, fr, HASH_LEN);
	if (next == nhashes)
		return PROOF_INVALID;

	while (fn & 1)
	{
		fn >>= 1;
		sn >>= 1;
	}
	for (; next < nhashes; next++)
	{
		const uint8_t *c = hashes + HASH_LEN * (size_t) next;

		if (sn == 0)
			return PROOF_INVALID;
		if ((fn & 1) || fn == sn)
		{
			if (!hash_node(c, fr, fr) || !hash_node(c, sr, sr))
				return PROOF_FAILED;
			while (!(fn & 1) && fn != 0)
			{
				fn >>= 1;
				sn >>= 1;
			}
		}
		else if (!hash_node(sr, c, sr))
			return PROOF_FAILED;
		fn >>= 1;
		sn >>= 1;
	}
	return sn == 0 && hash_equal(fr, root1) && hash_equal(sr, root2) ? PROOF_VALID : PROOF_INVALID;
}

ProofResult
proof_check_consistency(uint64_t size1, uint64_t size2, const uint8_t *hashes, int nhashes,
						const uint8_t root1[HASH_LEN], const uint8_t root2[HASH_LEN])
{
	uint8_t		empty[HASH_LEN];

	if (size1 > size2)
		return PROOF_INVALID;
	if (size1 == 0)
	{
		/*
		 * everything grows out of the empty tree; its root is known, so a wrong one is a wrong
		 * claim
		 */
		if (!hash_sha256("", 0, empty))
			return PROOF_FAILED;
		if (nhashes != 0 || !hash_equal(root1, empty) || (size2 == 0 && !hash_equal(root2, empty)))
			return PROOF_INVALID;
		return PROOF_VALID;
	}
	if (size1 == size2)
		return nhashes == 0 && hash_equal(root1, root2) ? PROOF_VALID : PROOF_INVALID;
	return proof_check_growth(size1, size2, hashes, nhashes, root1, root2);
}
