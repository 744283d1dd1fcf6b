/* Inclusion and consistency proofs, made by the definition in RFC 6962 and checked by proof.c. */
#include "core/hash.h"
#include "core/proof.h"
#include "core/tree.h"
#include "tap.h"

#define LEAVES 70

typedef struct Path
{
	uint8_t		hashes[64][HASH_LEN];
	int			n;
} Path;

static uint8_t leaf[LEAVES][HASH_LEN];

static size_t
split(size_t n)
{
	size_t		k = 1;

	while (k * 2 < n)
		k *= 2;
	return k;
}

static void
root_of(size_t start, size_t n, uint8_t out[HASH_LEN])
{
	uint8_t		left[HASH_LEN];
	uint8_t		right[HASH_LEN];

	if (n == 1)
	{
		memcpy(out, leaf[start], HASH_LEN);
		return;
	}
	root_of(start, split(n), left);
	root_of(start + split(n), n - split(n), right);
	hash_node(left, right, out);
}

/* RFC 6962, 2.1.1: PATH(m, D[n]) */
static void
path_to(size_t m, size_t start, size_t n, Path *path)
{
	size_t		k = n > 1 ? split(n) : 0;

	if (n == 1)
		return;
	if (m < k)
	{
		path_to(m, start, k, path);
		root_of(start + k, n - k, path->hashes[path->n++]);
	}
	else
	{
		path_to(m - k, start + k, n - k, path);
		root_of(start, k, path->hashes[path->n++]);
	}
}

/* RFC 6962, 2.1.2: SUBPROOF(m, D[n], b) */
static void
subproof(size_t m, size_t start, size_t n, bool whole, Path *path)
{
	size_t		k = n > 1 ? split(n) : 0;

	if (m == n)
	{
		if (!whole)
			root_of(start, n, path->hashes[path->n++]);
		return;
	}
	if (m <= k)
	{
		subproof(m, start, k, whole, path);
		root_of(start + k, n - k, path->hashes[path->n++]);
	}
	else
	{
		subproof(m - k, start + k, n - k, false, path);
		root_of(start, k, path->hashes[path->n++]);
	}
}

static void
test_inclusion(void)
{
	bool		accepted = true;
	bool		bit = true;
	bool		length = true;
	bool		place = true;

	for (size_t n = 1; n <= LEAVES; n++)
		for (size_t m = 0; m < n; m++)
		{
			Path		path = {.n = 0};
			uint8_t		root[HASH_LEN];

			root_of(0, n, root);
			path_to(m, 0, n, &path);
			accepted = accepted && proof_check_inclusion(leaf[m], m, n, path.hashes[0], path.n, root) == PROOF_VALID;
			for (int i = 0; i < path.n; i++)
			{
				path.hashes[i][i % HASH_LEN] ^= 0x10;
				bit = bit && proof_check_inclusion(leaf[m], m, n, path.hashes[0], path.n, root) == PROOF_INVALID;
				path.hashes[i][i % HASH_LEN] ^= 0x10;
			}
			length = length && proof_check_inclusion(leaf[m], m, n, path.hashes[0], path.n + 1, root) == PROOF_INVALID;
			if (path.n > 0)
				length = length && proof_check_inclusion(leaf[m], m, n, path.hashes[0], path.n - 1, root) == PROOF_INVALID;
			if (n > 1)
				place = place && proof_check_inclusion(leaf[m], (m + 1) % n, n, path.hashes[0], path.n, root) == PROOF_INVALID;
			place = place && proof_check_inclusion(leaf[m], n, n, path.hashes[0], path.n, root) == PROOF_INVALID;
		}
	ok(accepted, "every inclusion proof of trees up to 70 leaves is accepted");
	ok(bit, "with any hash altered none is");
	ok(length, "with a hash more or less none is");
	ok(place, "at another index, or beyond the tree, none is");
	is_number(proof_check_inclusion(leaf[0], 0, 0, leaf[0], 0, leaf[0]), PROOF_INVALID, "nothing is in the empty tree");
}

static void
test_consistency(void)
{
	bool		accepted = true;
	bool		bit = true;
	bool		length = true;
	bool		roots = true;
	uint8_t		empty[HASH_LEN];

	for (size_t n = 1; n <= LEAVES; n++)
		for (size_t m = 1; m < n; m++)
		{
			Path		path = {.n = 0};
			uint8_t		root1[HASH_LEN];
			uint8_t		root2[HASH_LEN];

			root_of(0, m, root1);
			root_of(0, n, root2);
			subproof(m, 0, n, true, &path);
			accepted = accepted && proof_check_consistency(m, n, path.hashes[0], path.n, root1, root2) == PROOF_VALID;
			for (int i = 0; i < path.n; i++)
			{
				path.hashes[i][i % HASH_LEN] ^= 0x01;
				bit = bit && proof_check_consistency(m, n, path.hashes[0], path.n, root1, root2) == PROOF_INVALID;
				path.hashes[i][i % HASH_LEN] ^= 0x01;
			}
			length = length && proof_check_consistency(m, n, path.hashes[0], path.n + 1, root1, root2) == PROOF_INVALID &&
				proof_check_consistency(m, n, path.hashes[0], path.n - 1, root1, root2) == PROOF_INVALID;
			roots = roots && proof_check_consistency(m, n, path.hashes[0], path.n, root2, root1) == PROOF_INVALID;
		}
	ok(accepted, "every consistency proof of trees up to 70 leaves is accepted");
	ok(bit, "with any hash altered none is");
	ok(length, "with a hash more or less none is");
	ok(roots, "with the roots exchanged none is");

	hash_sha256("", 0, empty);
	is_number(proof_check_consistency(0, 5, NULL, 0, empty, leaf[0]), PROOF_VALID, "any tree continues the empty one");
	is_number(proof_check_consistency(0, 5, leaf[0], 1, empty, leaf[0]), PROOF_INVALID, "with an empty proof only");
	is_number(proof_check_consistency(0, 5, NULL, 0, leaf[1], leaf[0]), PROOF_INVALID, "and the empty tree's root only");
	is_number(proof_check_consistency(5, 5, NULL, 0, leaf[0], leaf[0]), PROOF_VALID, "a tree continues itself");
	is_number(proof_check_consistency(5, 5, NULL, 0, leaf[0], leaf[1]), PROOF_INVALID, "not another of its size");
	is_number(proof_check_consistency(5, 5, leaf[0], 1, leaf[0], leaf[0]), PROOF_INVALID, "with an empty proof only");
	is_number(proof_check_consistency(6, 5, NULL, 0, leaf[0], leaf[0]), PROOF_INVALID, "a tree does not shrink");
}

int
main(void)
{
	for (size_t i = 0; i < LEAVES; i++)
		hash_leaf(&i, sizeof(i), leaf[i]);
	test_inclusion();
	test_consistency();
	return done_testing();
}
