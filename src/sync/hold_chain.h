/*
 * hold_chain.h: what an apply worker knows of the chains that its transaction brings something of.
 */
#ifndef MEDCHAIN_SYNC_HOLD_CHAIN_H
#define MEDCHAIN_SYNC_HOLD_CHAIN_H

#include "postgres.h"

#include "core/note.h"
#include "ledger/local_node.h"

/* A chain as it stands here. */
typedef struct HoldChain
{
	char		origin[NOTE_NAME_MAX + 2];	/* a name, or too long for one */
	bool		known;			/* of a member, or of somebody who is about to be one */
	int64		height;			/* of its last block; -1: none yet */
	int64		size;			/* entries */
} HoldChain;

/* In a transaction; all of these need a trusted scope.  NULL: no node. */
extern const LocalNode *hold_node(void);

/* Who sends what is held in this transaction: a member's name. */
extern void hold_set_source(const char *source);
extern const char *hold_source(void);

/*
 * As this transaction saw it first; valid until the next call.  origin: at most NOTE_NAME_MAX + 1
 * bytes.
 */
extern const HoldChain *hold_chain(const char *origin);

/* Look again: known, height and size as they are now. */
extern void hold_look(HoldChain *chain);

/* Has anybody said or asked who it is? */
extern bool hold_has_source(void);

/* The transaction has ended. */
extern void hold_chain_forget(void);

#endif
