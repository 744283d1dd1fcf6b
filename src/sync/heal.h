/*
 * heal.h: fetching a peer's chains anew when the slot there is lost.
 *
 * A slot is gone where the peer was restored, or was promoted without it, and lost where we were
 * away for longer than the peer keeps WAL (max_slot_wal_keep_size).  PostgreSQL then tries in vain
 * for ever; what is missing is still in the peer's tables, so resync() is all that it takes.
 */
#ifndef MEDCHAIN_SYNC_HEAL_H
#define MEDCHAIN_SYNC_HEAL_H

#include "node/shared.h"

/* For the keeper, in a trusted scope: is somebody to be asked?  Then the worker is called. */
extern void heal_call(void);

/* For the worker that asks peers: ask for the next slot; false: none is to be asked for now. */
extern bool heal_next(SharedDatabase *slot, MemoryContext context);

#endif
