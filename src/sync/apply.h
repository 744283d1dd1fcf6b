/*
 * apply.h: what arrives from peers, and the keeper's part in accepting it.
 */
#ifndef MEDCHAIN_SYNC_APPLY_H
#define MEDCHAIN_SYNC_APPLY_H

#include "postgres.h"

#include "nodes/pg_list.h"

/*
 * ledger_hooks.due: chains with something to do, as strings in that context.  Those whose next
 * block is here; and if the state may have changed, those that the data centre, or another end
 * node's configuration, gave another key, so that blocks may have to be taken back, or refused ones
 * tried again.  In a trusted scope.
 */
extern List *apply_due(MemoryContext context, bool changed);

/* At load time: who has brought blocks wakes the keeper. */
extern void apply_install(void);

/* At load time: the workers of subscriptions to peers fix their settings (apply_settings.c). */
extern void apply_settings_install(void);

#endif
