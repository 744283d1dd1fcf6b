/*
 * fork.h: a member that has signed two blocks of one height: finding the two, and saying so.
 */
#ifndef MEDCHAIN_SYNC_FORK_H
#define MEDCHAIN_SYNC_FORK_H

#include "postgres.h"

#include "node/shared.h"

/*
 * The keeper, now and then: put on our chain what proves that somebody has forked his.  Others may
 * see one of the two blocks alone.
 */
extern void fork_look(SharedDatabase *slot);

/*
 * These entries of that chain are part of the ledger now: does somebody witness another block in
 * there than we have, or have we got another one than somebody has witnessed?  Then he is asked for
 * it.  In a trusted scope.
 */
extern void fork_compare(const char *origin, int64 first, int64 last);

#endif
