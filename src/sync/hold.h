/*
 * hold.h: keeping what arrives from a peer until the keeper judges it, within bounds.
 *
 * A peer may send what it likes, as much as it likes, and keep its transaction open for as long as
 * it likes.  So what is held of each source has an upper bound, and is added without waiting for
 * anybody and without making anybody wait: rows are inserted, never changed, under no unique key.
 * What is beyond the bound, or of a chain of nobody who is a member, is dropped and counted; it is
 * still where it came from, and fetched again when there is room, or when that is a member
 * (fetch.c).
 */
#ifndef MEDCHAIN_SYNC_HOLD_H
#define MEDCHAIN_SYNC_HOLD_H

#include "postgres.h"

#include "ledger/block_row.h"
#include "ledger/held.h"
#include "sync/hold_chain.h"

/* A block as a peer sends it. */
typedef struct ArrivedBlock
{
	int64		height;
	const char *note;
	BlockCarried carried;		/* NULL: the peer did not send that */
} ArrivedBlock;

/* From _PG_init: what was dropped in a transaction is counted when it commits. */
extern void hold_install(void);

/*
 * All entries that the current transaction has brought, if they are one run of a chain and none of
 * them is a row yet, and it has brought blocks as well.
 */
extern bool hold_run(HeldRun *run);

/* So many of them, from the first on, are part of the ledger and need not be held. */
extern void hold_taken(const HeldRun *run, int64 taken);

/*
 * The next entry behind the one that was held last, without a look at anything; false: it takes
 * one.  Needs no trusted scope.
 */
extern bool hold_next(const text *origin, int64 seq, Datum payload);

/* payload: a text */
extern void hold_entry(const HoldChain *chain, int64 seq, Datum payload);
extern void hold_block(const HoldChain *chain, const ArrivedBlock *block);

/* Count what is not held: entries and blocks of that chain. */
extern void hold_drop(const HoldChain *chain, int entries, int blocks);

#endif
