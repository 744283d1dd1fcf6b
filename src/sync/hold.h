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

#include "core/note.h"
#include "ledger/block_row.h"
#include "ledger/local_node.h"

/* A chain as it stands here. */
typedef struct HoldChain
{
	char		origin[NOTE_NAME_MAX + 2];	/* a name, or too long for one */
	bool		known;			/* of a member, or of somebody who is about to be one */
	int64		height;			/* of its last block; -1: none yet */
	int64		size;			/* entries */
} HoldChain;

/* A block as a peer sends it. */
typedef struct ArrivedBlock
{
	int64		height;
	const char *note;
	BlockCarried carried;		/* NULL: the peer did not send that */
} ArrivedBlock;

/* From _PG_init: what was dropped in a transaction is counted when it commits. */
extern void hold_install(void);

/* The same within a transaction; all of these need a trusted scope.  NULL: no node. */
extern const LocalNode *hold_node(void);

/* Who sends what is held in this transaction: a member's name. */
extern void hold_set_source(const char *source);
extern const char *hold_source(void);

/*
 * As this transaction saw it first; valid until the next call.  origin: at most NOTE_NAME_MAX + 1
 * bytes.
 */
extern const HoldChain *hold_chain(const char *origin);

/* payload: a text */
extern void hold_entry(const HoldChain *chain, int64 seq, Datum payload);
extern void hold_block(const HoldChain *chain, const ArrivedBlock *block);

/* Count what is not held: entries and blocks of that chain. */
extern void hold_drop(const HoldChain *chain, int entries, int blocks);

/* Count anew what is held of that kind; is more than half of the room free? */
extern bool hold_recount(const HoldChain *chain);

#endif
