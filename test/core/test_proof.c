/*
 * Inclusion and consistency proofs: by the definition in RFC 6962, as proof_make.c makes them, and
 * as proof.c checks them.
 */
#include <stdlib.h>

#include "core/hash.h"
#include "core/proof.h"
#include "core/tree.h"
#include "tap.h"

#define LEAVES 70				/* trees in which every proof is altered in every way */
#define MADE_LEAVES 300			/* trees for which every proof is made */
#define TILED_LEAVES 66000		/* more than one tile's worth of subtrees */

typedef struct Path
{
	uint8_t		hashes[64][HASH_LEN];
	int			n;
} Path;

static uint8_t leaf[MADE_LEAVES][HASH_LEN];

/* Roots that were computed before, by start and length. */
static uint8_t known[MADE_LEAVES][MADE_LEAVES + 1][HASH_LEN];
static bool is_known[MADE_LEAVES][MADE_LEAVES + 1];

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
	if (!is_known[start][n])
	{
		root_of(start, split(n), left);
		root_of(start + split(n), n - split(n), right);
		is_known[start][n] = hash_node(left, right, known[start][n]);
	}
	memcpy(out, known[start][n], HASH_LEN);
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
			accepted = accepted && proof_check_inclusion(leaf[m], m, n, path.hashes[0], path.n,
														 root) == PROOF_VALID;
			for (int i = 0; i < path.n; i++)
			{
				path.hashes[i][i % HASH_LEN] ^= 0x10;
				bit = bit && proof_check_inclusion(leaf[m], m, n, path.hashes[0], path.n, root) ==
					PROOF_INVALID;
				path.hashes[i][i % HASH_LEN] ^= 0x10;
			}
			length = length && proof_check_inclusion(leaf[m], m, n, path.hashes[0], path.n + 1,
													 root) == PROOF_INVALID;
			if (path.n > 0)
				length = length && proof_check_inclusion(leaf[m], m, n, path.hashes[0], path.n - 1,
														 root) == PROOF_INVALID;
			if (n > 1)
				place = place && proof_check_inclusion(leaf[m], (m + 1) % n, n, path.hashes[0],
													   path.n, root) == PROOF_INVALID;
			place = place && proof_check_inclusion(leaf[m], n, n, path.hashes[0], path.n, root) ==
				PROOF_INVALID;
		}
	ok(accepted, "every inclusion proof of trees up to 70 leaves is accepted");
	ok(bit, "with any hash altered none is");
	ok(length, "with a hash more or less none is");
	ok(place, "at another index, or beyond the tree, none is");
	is_number(proof_check_inclusion(leaf[0], 0, 0, leaf[0], 0, leaf[0]), PROOF_INVALID,
			  "nothing is in the empty tree");
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
			accepted = accepted && proof_check_consistency(m, n, path.hashes[0], path.n, root1,
														   root2) == PROOF_VALID;
			for (int i = 0; i < path.n; i++)
			{
				path.hashes[i][i % HASH_LEN] ^= 0x01;
				bit = bit && proof_check_consistency(m, n, path.hashes[0], path.n, root1, root2) ==
					PROOF_INVALID;
				path.hashes[i][i % HASH_LEN] ^= 0x01;
			}
			length = length && proof_check_consistency(m, n, path.hashes[0], path.n + 1, root1,
													   root2) == PROOF_INVALID &&
				proof_check_consistency(m, n, path.hashes[0], path.n - 1, root1, root2) ==
				PROOF_INVALID;
			roots = roots && proof_check_consistency(m, n, path.hashes[0], path.n, root2, root1) ==
				PROOF_INVALID;
		}
	ok(accepted, "every consistency proof of trees up to 70 leaves is accepted");
	ok(bit, "with any hash altered none is");
	ok(length, "with a hash more or less none is");
	ok(roots, "with the roots exchanged none is");

	hash_sha256("", 0, empty);
	is_number(proof_check_consistency(0, 5, NULL, 0, empty, leaf[0]), PROOF_VALID,
			  "any tree continues the empty one");
	is_number(proof_check_consistency(0, 5, leaf[0], 1, empty, leaf[0]), PROOF_INVALID,
			  "with an empty proof only");
	is_number(proof_check_consistency(0, 5, NULL, 0, leaf[1], leaf[0]), PROOF_INVALID,
			  "and the empty tree's root only");
	is_number(proof_check_consistency(5, 5, NULL, 0, leaf[0], leaf[0]), PROOF_VALID,
			  "a tree continues itself");
	is_number(proof_check_consistency(5, 5, NULL, 0, leaf[0], leaf[1]), PROOF_INVALID,
			  "not another of its size");
	is_number(proof_check_consistency(5, 5, leaf[0], 1, leaf[0], leaf[0]), PROOF_INVALID,
			  "with an empty proof only");
	is_number(proof_check_consistency(6, 5, NULL, 0, leaf[0], leaf[0]), PROOF_INVALID,
			  "a tree does not shrink");
}

/* What a proof is made from: the subtrees of a tree of this size, and no others. */
typedef struct Source
{
	uint64_t	size;
	bool		asked_beyond;
	int			left;			/* subtrees to be had before the source runs dry; -1: no limit */
} Source;

static bool
subtree(void *context, int level, uint64_t index, uint8_t hash[HASH_LEN])
{
	Source	   *source = context;

	if (level > 8 || ((index + 1) << level) > source->size)
	{
		source->asked_beyond = true;
		return false;
	}
	if (source->left == 0)
		return false;
	if (source->left > 0)
		source->left--;
	root_of(index << level, (size_t) 1 << level, hash);
	return true;
}

static bool
same_path(const Path *path, uint8_t hashes[PROOF_MAX_HASHES][HASH_LEN], int nhashes)
{
	return path->n == nhashes && memcmp(path->hashes, hashes, (size_t) nhashes * HASH_LEN) == 0;
}

static void
test_making(void)
{
	uint8_t		hashes[PROOF_MAX_HASHES][HASH_LEN];
	int			nhashes;
	uint8_t		root[HASH_LEN];
	uint8_t		expected[HASH_LEN];
	Source		source = {.size = 0, .asked_beyond = false, .left = -1};
	bool		roots;
	bool		inclusion = true;
	bool		consistency = true;
	bool		checked = true;
	int			enough = 0;

	hash_sha256("", 0, expected);
	roots = proof_make_root(subtree, &source, 0, root) && hash_equal(root, expected);
	for (size_t n = 1; n <= MADE_LEAVES; n++)
	{
		source.size = n;
		root_of(0, n, expected);
		roots = roots && proof_make_root(subtree, &source, n, root) && hash_equal(root, expected);
		for (size_t m = 0; m < n; m++)
		{
			Path		path = {.n = 0};

			path_to(m, 0, n, &path);
			inclusion = inclusion && proof_make_inclusion(subtree, &source, m, n, hashes,
														  &nhashes) &&
				same_path(&path, hashes, nhashes);
			checked = checked && proof_check_inclusion(leaf[m], m, n, hashes[0], nhashes,
													   expected) == PROOF_VALID;
		}
		for (size_t m = 1; m <= n; m++)
		{
			Path		path = {.n = 0};
			uint8_t		root1[HASH_LEN];

			root_of(0, m, root1);
			subproof(m, 0, n, true, &path);
			consistency = consistency && proof_make_consistency(subtree, &source, m, n, hashes,
																&nhashes) &&
				same_path(&path, hashes, nhashes);
			checked = checked && proof_check_consistency(m, n, hashes[0], nhashes, root1,
														 expected) == PROOF_VALID;
		}
	}
	ok(roots, "roots made from perfect subtrees are those of RFC 6962, for all sizes up to 300");
	ok(inclusion, "so is every inclusion proof");
	ok(consistency, "so is every consistency proof");
	ok(checked, "all of them are accepted");
	ok(!source.asked_beyond, "nothing was asked that the tree did not have at that size");

	source.size = 300;
	ok(proof_make_consistency(subtree, &source, 0, 300, hashes, &nhashes) &&
	   nhashes == 0, "the proof from the empty tree is empty");
	ok(!proof_make_inclusion(subtree, &source, 300, 300, hashes, &nhashes),
	   "there is none of a leaf beyond the tree");
	ok(!proof_make_inclusion(subtree, &source, 0, 0, hashes, &nhashes),
	   "there is none of a leaf of the empty tree");
	ok(!proof_make_consistency(subtree, &source, 7, 6, hashes, &nhashes),
	   "there is none that a tree shrank");
	ok(!proof_make_root(subtree, &source, UINT64_MAX, root) &&
	   !proof_make_inclusion(subtree, &source, 5, UINT64_MAX, hashes, &nhashes) &&
	   !proof_make_consistency(subtree, &source, 5, UINT64_MAX, hashes, &nhashes),
	   "no tree has 2^63 leaves");

	/* leaf 100 of 299: 8 siblings left of or within 256 leaves, and 32 + 8 + 2 + 1 behind them */
	for (int limit = 0; limit <= 12; limit++)
	{
		source.left = limit;
		if (proof_make_inclusion(subtree, &source, 100, 299, hashes, &nhashes))
			break;
		enough = limit + 1;
	}
	is_number(enough, 12, "unless each of its 12 subtrees is there, a proof is not made");
}

/* Hashes per tile level, as appending hands them out. */
typedef struct Tiles
{
	uint8_t		(*level[3])[HASH_LEN];
	uint64_t	n[3];
	uint64_t	size;			/* of the tree a proof is made for */
} Tiles;

static bool
tiled_subtree(void *context, int level, uint64_t index, uint8_t hash[HASH_LEN])
{
	Tiles	   *tiles = context;
	int			tile_level = level / TREE_TILE_BITS;
	uint64_t	n = UINT64_C(1) << (level % TREE_TILE_BITS);
	TreeRange	range;

	if (tile_level > 2 || (index + 1) * n > tiles->n[tile_level] ||
		((index + 1) << level) > tiles->size)
		return false;
	tree_range_init(&range);
	for (uint64_t i = index * n; i < (index + 1) * n; i++)
		tree_range_append(&range, tiles->level[tile_level][i]);
	return tree_range_root(&range, hash);
}

static void
test_tiles(void)
{
	static const uint64_t sizes[] = {
		1, 2, 255, 256, 257, 511, 512, 513, 65535, 65536, 65537, 65793,
		TILED_LEAVES
	};
	static const uint64_t indexes[] = {
		0, 1, 254, 255, 256, 300, 512, 32767, 65279, 65280, 65535,
		65536, 65999
	};
	const int	nsizes = sizeof(sizes) / sizeof(sizes[0]);
	uint8_t		roots[sizeof(sizes) / sizeof(sizes[0])][HASH_LEN];
	uint8_t		hashes[PROOF_MAX_HASHES][HASH_LEN];
	int			nhashes;
	int			next = 0;
	Tiles		tiles = {.size = 0};
	TreeRange	range;
	TreeRange	loaded;
	bool		in_turn = true;
	bool		made = true;
	bool		accepted = true;

	for (int i = 0; i < 3; i++)
		tiles.level[i] = malloc((size_t) TILED_LEAVES * HASH_LEN);
	tree_range_init(&range);
	for (uint64_t i = 0; i < TILED_LEAVES; i++)
	{
		uint8_t    *hash = tiles.level[0][tiles.n[0]++];

		hash_leaf(&i, sizeof(i), hash);
		tree_range_append(&range, hash);
		in_turn = in_turn && range.ncompleted == (range.size % 65536 == 0 ? 2 :
												  range.size % 256 == 0 ? 1 : 0);
		for (int l = 0; l < range.ncompleted && l < 2; l++)
			memcpy(tiles.level[l + 1][tiles.n[l + 1]++], range.completed[l], HASH_LEN);
		if (range.size == sizes[next])
			tree_range_root(&range, roots[next++]);
	}
	ok(in_turn && next == nsizes, "every 256th leaf completes a hash of level 1, every 65536th one "
	   "of level 2");

	for (int s = 0; s < nsizes; s++)
	{
		uint8_t		root[HASH_LEN];

		tiles.size = sizes[s];
		made = made && proof_make_root(tiled_subtree, &tiles, sizes[s], root) &&
			hash_equal(root, roots[s]);
		for (size_t i = 0; i < sizeof(indexes) / sizeof(indexes[0]) && indexes[i] < sizes[s]; i++)
		{
			made = made && proof_make_inclusion(tiled_subtree, &tiles, indexes[i], sizes[s], hashes,
												&nhashes);
			accepted = accepted && proof_check_inclusion(tiles.level[0][indexes[i]], indexes[i],
														 sizes[s],
														 hashes[0], nhashes, roots[s]) ==
				PROOF_VALID;
		}
		for (int i = 0; i <= s; i++)
		{
			made = made && proof_make_consistency(tiled_subtree, &tiles, sizes[i], sizes[s], hashes,
												  &nhashes);
			accepted = accepted && proof_check_consistency(sizes[i], sizes[s], hashes[0], nhashes,
														   roots[i], roots[s]) == PROOF_VALID;
		}
	}
	ok(made, "proofs and roots at any past size are made from these hashes alone");
	ok(accepted, "and accepted");

	tree_range_load(&loaded, range.size, range.hashes[0], range.nhashes);
	is_number(loaded.ncompleted, 0, "a tree that was just loaded has completed nothing");
	for (int i = 0; i < 3; i++)
		free(tiles.level[i]);
}

int
main(void)
{
	for (size_t i = 0; i < MADE_LEAVES; i++)
		hash_leaf(&i, sizeof(i), leaf[i]);
	test_inclusion();
	test_consistency();
	test_making();
	test_tiles();
	return done_testing();
}
