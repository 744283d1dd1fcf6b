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

/* Store and free it.  chain_writing must be set; needs a trusted scope. */
extern void tile_batch_write(TileBatch *batch, const char *origin);

/* Reads subtrees of one chain; tiles once read are kept in the memory context it was made in. */
typedef struct TileReader TileReader;

/* size: leaves of the tree as far as it will be asked about.  Needs a trusted scope, as the reading does. */
extern TileReader *tile_reader(const char *origin, uint64 size);

/* A ProofNode (core/proof.h): ERROR if what is needed is not stored. */
extern bool tile_subtree(void *reader, int level, uint64_t index, uint8_t hash[HASH_LEN]);

/* Compares the tiles of a chain with its tree while somebody walks the leaves. */
typedef struct TileAudit
{
	const char *origin;
	struct
	{
		uint64		index;
		bytea	   *hashes;		/* NULL: no such row */
		bool		loaded;
	}			tile[TREE_TILE_LEVELS];
	int64		height;			/* block that completes the first wrong hash */
	char	   *detail;			/* NULL: none was wrong */
	MemoryContext context;
} TileAudit;

/* In a trusted scope, with an active snapshot that stays the same. */
extern void tile_audit_init(TileAudit *audit, const char *origin);

/* After each leaf of the block of this height. */
extern void tile_audit_leaf(TileAudit *audit, const TreeRange *range, int64 height);

/* After the last leaf: is there anything that belongs to no leaf? */
extern void tile_audit_end(TileAudit *audit, const TreeRange *range, int64 height);

#endif
