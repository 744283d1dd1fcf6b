/*
 * due.h: for which chains the keeper has something to do.
 */
#ifndef MEDCHAIN_SYNC_DUE_H
#define MEDCHAIN_SYNC_DUE_H

#include "postgres.h"

#include "nodes/pg_list.h"

/*
 * Chains with something to do, as strings in that context.  Those whose next
 * block is here; and if the state may have changed, those that the data centre, or another end
 * node's configuration, gave another key, so that blocks may have to be taken back, or refused ones
 * tried again.  In a trusted scope.
 */
extern List *due_chains(MemoryContext context, bool changed);

#endif
