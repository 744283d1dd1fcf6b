/*
 * verify_walk.h: the walk over a part of a chain, as the files that do it share it.
 */
#ifndef MEDCHAIN_VERIFY_VERIFY_WALK_H
#define MEDCHAIN_VERIFY_VERIFY_WALK_H

#include "postgres.h"

#include "core/chain_check.h"
#include "ledger/block_leaves.h"
#include "ledger/scan.h"
#include "verify/tile_audit.h"
#include "verify/verify_job.h"

typedef struct Walk
{
	VerifyJob  *job;
	int			number;			/* of the origin in the job */
	VerifyOrigin *origin;
	ChainCheck	check;
	TileAudit	tiles;
	ChainScan	entries;
	bool		entry_ready;	/* entries stands at a row that was not looked at yet */
	int64		next_seq;		/* check.range.size, unless adrift */
	bool		adrift;			/* check.range is not the tree any more */
	bool		explained;		/* a wrong root of this block would be no news */
	bool		faulty;			/* something of it is wrong */
	int64		first;			/* entry of the block that is walked */
	const uint8_t *leaves;		/* that it carries; NULL: not as many as it has entries */
	BlockLeaves found;			/* those of its entries that are here */
	int64		absent;			/* entries of it that are not */
	MemoryContext scratch;		/* of one entry */
	void	   *kept;			/* by verify_set() */
} Walk;

#define walk_report(walk, height, position, ...) \
	((walk)->faulty = true, \
	 verify_job_report((walk)->job, (walk)->number, height, position, __VA_ARGS__))

/* Entries are read from walk->next_seq on, and before that one. */
extern void walk_entries_begin(Walk *walk, int64 last);

/* Walk those up to size, which the block of this height says. */
extern void walk_entries(Walk *walk, int64 height, int64 size);

/* After the last block: there should be no more. */
extern void walk_entries_end(Walk *walk);

/* Does a column of a row hold this hash? */
extern bool walk_same_bytes(const ChainScan *scan, int column, const uint8_t *expected);

#endif
