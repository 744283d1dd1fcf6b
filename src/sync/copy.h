/*
 * copy.h: a copy of a node leaves the node's subscriptions alone.
 *
 * A base backup has them all, enabled, with the names of the node's slots at its peers: a worker
 * that connected would take the place of the node's own.  So none of them begins in a copy, and the
 * keeper of the copy removes them, without their slots: then they are in nobody's way who drops the
 * copy either.
 */
#ifndef MEDCHAIN_SYNC_COPY_H
#define MEDCHAIN_SYNC_COPY_H

#include "node/shared.h"

/* At load time: workers of subscriptions to peers end before they connect, in a copy. */
extern void copy_install(void);

/* For the keeper, outside of a transaction. */
extern void copy_unsubscribe(SharedDatabase *slot);

#endif
