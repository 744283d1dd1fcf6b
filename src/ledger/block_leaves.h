/*
 * block_leaves.h: what a block carries beside its header: the leaf hashes of its entries, in their
 * order, and how many there are of each kind.
 *
 * With these a follower verifies the tree without the payloads, and knows what it does not have.
 * The hashes have to give the root that is signed; the counts are signed by themselves, see
 * core/kinds_note.h.
 */
#ifndef MEDCHAIN_LEDGER_BLOCK_LEAVES_H
#define MEDCHAIN_LEDGER_BLOCK_LEAVES_H

#include "postgres.h"
#include "lib/stringinfo.h"
#include "utils/hsearch.h"

#include "core/hash.h"

typedef struct BlockLeaves
{
	StringInfoData hashes;		/* HASH_LEN bytes each */
	HTAB	   *kinds;
	struct BlockKind *last;		/* of the entry before: most blocks have many of one kind */
	MemoryContext context;
} BlockLeaves;

/* In the current memory context; none yet. */
extern void block_leaves_init(BlockLeaves *leaves);

/* One more, behind the others. */
extern void block_leaves_add(BlockLeaves *leaves, const uint8_t hash[HASH_LEN], const char *kind);

/* Begin the next block's. */
extern void block_leaves_reset(BlockLeaves *leaves);

/* The hashes, palloc'd. */
extern bytea *block_leaves_bytes(const BlockLeaves *leaves);

/* How many of each kind, in byte order: {"access": 12, "note": 1}. */
extern char *block_leaves_kinds(const BlockLeaves *leaves);

/*
 * The leaf hashes that the block over entry seq carries, from that entry on, at most count of them,
 * into hashes; how many these are.  0: there is no such block, or it carries none, or not as many
 * as its entries.
 */
extern int	block_leaves_read(const char *origin, int64 seq, int count, uint8_t *hashes);

#endif
