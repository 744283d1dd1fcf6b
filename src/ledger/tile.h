/*
 * tile.h: the inner nodes of each chain's tree, stored as C2SP tlog-tiles.
 *
 * A row of medchain.tile of level L >= 1 and index N holds the roots of subtrees of 256^L
 * leaves each, the subtrees 256 * N to 256 * N + 255, as far as they are
 * complete: only the last row of a level has fewer than 256.  Level 0, the leaf
 * hashes, is medchain.entry.leaf_hash.  From both, any subtree of any past size
 * is put together out of one row.
 */
#ifndef MEDCHAIN_LEDGER_TILE_H
#define MEDCHAIN_LEDGER_TILE_H

#include "postgres.h"
#include "lib/stringinfo.h"

#include "core/tree.h"

/* Hashes that a chain's tree has completed while it grew, to be stored together. */
typedef struct TileBatch
{
	uint64		first[TREE_TILE_LEVELS];	/* number of the first one on its level */
	StringInfoData hashes[TREE_TILE_LEVELS];
} TileBatch;

extern void tile_batch_init(TileBatch *batch);

/* After each leaf that was appended to range. */
extern void tile_batch_add(TileBatch *batch, const TreeRange *range);

/* Store and free it.  ledger_writing must be set; needs a trusted scope. */
extern void tile_batch_write(TileBatch *batch, const char *origin);

/* Reads subtrees of one chain; tiles once read are kept in the memory context it was made in. */
typedef struct TileReader TileReader;

/*
 * size: leaves of the tree as far as it will be asked about.  Needs a trusted scope, as the reading
 * does.
 */
extern TileReader *tile_reader(const char *origin, uint64 size);

/* A ProofNode (core/proof.h): ERROR if what is needed is not stored. */
extern bool tile_subtree(void *reader, int level, uint64_t index, uint8_t hash[HASH_LEN]);

/*
 * What a tree of size leaves grows from, as the tiles and the last leaf hashes have it: whether
 * that is right only a signed root can tell.  False if something is missing.  Needs a trusted
 * scope.
 */
extern bool tile_range(const char *origin, uint64 size, TreeRange *range);

/* One row by the active snapshot; NULL if there is none.  palloc'd in context. */
extern bytea *tile_read(const char *origin, int level, uint64 index, MemoryContext context);

#endif
