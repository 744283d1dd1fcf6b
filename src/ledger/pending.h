/*
 * pending.h: moving committed entries from medchain.pending to medchain.entry.
 */
#ifndef MEDCHAIN_LEDGER_PENDING_H
#define MEDCHAIN_LEDGER_PENDING_H

#include "postgres.h"

#include "core/hash.h"

/* An entry that was moved. */
typedef struct PendingEntry
{
	const uint8_t *leaf;		/* HASH_LEN bytes */
	const char *kind;
	int64		payload_length; /* in bytes */
	bool		last;			/* of this call */
} PendingEntry;

/* Called for each, in order, after it is in medchain.entry. */
typedef void (*PendingMoved) (void *state, const PendingEntry *entry);

/*
 * Move the oldest entries that are committed now, at most limit, and until they have limit_bytes,
 * and number them from first_seq on; where: the blocks (of the table medchain.pending) that can
 * have any, see shared.h.  Rows are in medchain.entry, block of them at a time at most, before
 * moved is called for them: what a block closes over goes out to peers before the block.
 * True: there may be more.  Only for the sealer.
 */
extern bool pending_move(const char *origin, int64 first_seq, int64 limit, int64 limit_bytes,
						 int64 block, uint64 where, PendingMoved moved, void *state);

/*
 * Which file medchain.pending is, to the end of the transaction.  Rows that were committed and not
 * moved yet are elsewhere in another one.
 */
extern Oid	pending_file(void);

#endif
