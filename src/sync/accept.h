/*
 * accept.h: making what a transaction of a peer's has brought part of the ledger where it ends.
 */
#ifndef MEDCHAIN_SYNC_ACCEPT_H
#define MEDCHAIN_SYNC_ACCEPT_H

#include "postgres.h"

/*
 * The peer has said that the current transaction of this apply worker is to be committed: nothing
 * else comes in it.  Never an ERROR: what is not accepted is held, for the keeper to judge.
 */
extern void accept_run(void);

#endif
