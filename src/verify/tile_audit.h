/*
 * tile_audit.h: comparing the tiles of a chain with its tree while somebody walks the leaves.
 */
#ifndef MEDCHAIN_VERIFY_TILE_AUDIT_H
#define MEDCHAIN_VERIFY_TILE_AUDIT_H

#include "postgres.h"
#include "core/tree.h"

#define TILE_AUDIT_KEEP 16		/* wrong hashes remembered between two looks; a damaged tile counts
								 * once */

typedef struct TileFault
{
	int			level;
	uint64		index;
	int			offset;			/* of the hash in the tile; -1: the whole tile is missing */
	bool		missing;
} TileFault;

typedef struct TileAudit
{
	const char *origin;
	struct
	{
		uint64		index;
		bytea	   *hashes;		/* NULL: no such row */
		bool		loaded;
		bool		reported;	/* that it ends too early, or is not there */
	}			tile[TREE_TILE_LEVELS];
	MemoryContext context;
	int			nfaults;		/* since the caller set it to 0 */
	TileFault	faults[TILE_AUDIT_KEEP];
} TileAudit;

/* In a trusted scope, with an active snapshot that stays the same. */
extern void tile_audit_init(TileAudit *audit, const char *origin);

/* After each leaf. */
extern void tile_audit_leaf(TileAudit *audit, const TreeRange *range);

/* What the fault is, for people. */
extern const char *tile_fault_text(const TileFault *fault);

/* Of a tree of this size: a tile with more hashes than belong there; NULL if there is none. */
extern const char *tile_audit_surplus(const char *origin, uint64 size);

#endif
