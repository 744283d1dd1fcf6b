/*
 * held.h: entries and blocks that came from peers and are not part of the ledger yet, as the keeper
 * reads and removes them.
 *
 * Apply workers only ever add rows (sync/hold.h); of several for one place the last one counts.
 * All of these need a trusted scope.
 */
#ifndef MEDCHAIN_LEDGER_HELD_H
#define MEDCHAIN_LEDGER_HELD_H

#include "postgres.h"
#include "utils/array.h"
#include "utils/portal.h"

#include "ledger/block_row.h"
#include "ledger/chain.h"
#include "ledger/local_node.h"

/* An entry that is no row yet.  payload: a text, of so many bytes. */
typedef struct HeldEntry
{
	int64		seq;
	Datum		payload;
	int32		bytes;
} HeldEntry;

/* Entries of a chain, one behind the other, that a source has sent in the current transaction. */
typedef struct HeldRun
{
	const char *source;
	const char *origin;
	const HeldEntry *entries;
	int64		count;
} HeldRun;

/*
 * How many of the entries first .. last - 1 of a chain that source has sent, and their bytes.
 * Whatever reads entries reads them as the active snapshot sees them, from here to the end of the
 * transaction: more may be arriving, and what is inserted has to be what was checked.
 */
extern int64 held_count(const char *source, const char *origin, int64 first, int64 last,
						int64 *bytes, int64 *newest);

/* The same, to be fetched: seq and payload, in order. */
extern Portal held_entries(const char *source, const char *origin, int64 first, int64 last);

/* The reason in medchain.quarantine of blocks whose time has not come. */
#define HELD_EARLY "sealed in the future"

typedef struct HeldBlock
{
	char	   *source;
	char	   *note;
	ArrayType  *kinds;			/* beside governance, that are taken from this source; NULL: all */
	int64		id;
	bool		waits;			/* for its author's certificate, when it was judged last: nothing
								 * else was wrong with it */
} HeldBlock;

/* Every block of this height, as the active snapshot sees them, palloc'd; returns how many. */
extern int	held_candidates(const char *origin, int64 height, HeldBlock **blocks);

/* What the source sent with that block; NULL what it did not. */
extern void held_carried(const char *origin, int64 height, int64 id, BlockCarried *carried);

/* Have the source asked for that chain, as what it sent is not enough. */
extern void held_ask_again(const char *source, const char *origin);

/* See waits. */
extern void held_let_wait(const char *origin, int64 height, int64 id);

extern void held_drop_block(const char *origin, int64 height, int64 id);

/* Entries first .. last - 1 that the source has sent, as the active snapshot sees them. */
extern void held_drop_entries(const char *source, const char *origin, int64 first, int64 last);

/* Is there one of a height that is known here, from somebody who was slower? */
extern bool held_has_late(const char *origin, int64 height);

/*
 * Blocks that are superfluous, as the chain stands at check.  Another one of a known height is
 * evidence: and its entries stay, as it may yet prove to be the one that counts, see
 * chain_reconsider().
 */
extern void held_clear_blocks(const LocalNode *node, const char *origin, const ChainCheck *check);

/* ... and entries, of the source that they came from, up to the newest that was counted. */
extern void held_clear_entries(const char *source, const char *origin, const ChainCheck *check,
							   int64 newest);

/* ... and of all others, and of peers that are none any more: now and then, as it looks at all. */
extern void held_sweep(void);

#endif
