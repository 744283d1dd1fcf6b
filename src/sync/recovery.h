/*
 * recovery.h: a node that is older than it was takes back what it has lost of its own chain.
 *
 * A restored backup, a snapshot of a disk, or a standby that was promoted before all had reached it
 * ends earlier than the node did: peers have blocks that are not here.  Sealing others in their
 * place would be a fork, signed by this node itself.  So after each start of the server, and after
 * take_over(), nothing is sealed before peers were asked for the end of this node's chain, and what
 * they have more was verified, like the chain of anybody else, and taken back.
 *
 * Peers that cannot be asked are waited for (medchain.recovery_timeout), and not for ever: a server
 * that was restarted has lost nothing.  Where it may have - its WAL is on another timeline than it
 * was, or this database has just taken over - one peer at least has to answer; and what is known to
 * be missing has to come.  So has what somebody says to be, who has not been asked himself
 * (recovery_claims.h).  Otherwise an administrator has to say that it is to go on
 * (take_over(without_peers => true)).
 */
#ifndef MEDCHAIN_SYNC_RECOVERY_H
#define MEDCHAIN_SYNC_RECOVERY_H

#include "postgres.h"

#include "node/shared.h"

/* For the sealer: see LedgerHooks.recovered. */
extern bool recovery_over(SharedDatabase *slot, char why[SHARED_ERROR_LEN]);

/* For the worker that asks peers: ask those that have not answered; true: it is over. */
extern bool recovery_step(SharedDatabase *slot, MemoryContext context);

#endif
