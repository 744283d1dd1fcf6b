/*
 * screen.h: what can be said against a block by itself: looking at it before its turn comes.
 */
#ifndef MEDCHAIN_LEDGER_SCREEN_H
#define MEDCHAIN_LEDGER_SCREEN_H

#include "postgres.h"

#include "ledger/local_node.h"

/*
 * What can be said against a block the moment it arrives, before its turn: not a block header, of
 * another chain or height, or not signed by the configured key.  NULL if nothing; otherwise a
 * reason, and *detail palloc'd.
 */
extern const char *screen_block(const LocalNode *node, const char *origin, int64 height,
								const char *note, char **detail);

/* Has the note a valid signature of the key that the chain has at this height, as we know it? */
extern bool screen_signed(const LocalNode *node, const char *origin, int64 height,
						  const char *note);

#endif
