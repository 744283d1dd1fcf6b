/*
 * apply.h: what arrives from peers, and the keeper's part in accepting it.
 */
#ifndef MEDCHAIN_SYNC_APPLY_H
#define MEDCHAIN_SYNC_APPLY_H

#include "postgres.h"

#include "nodes/pg_list.h"

#include "ledger/chain.h"

/*
 * ledger_hooks.due: chains with something to do, as strings in that context.  Those whose next
 * block is here; and if the state may have changed, those that the data centre, or another end
 * node's configuration, gave another key, so that blocks may have to be taken back, or refused ones
 * tried again.  In a trusted scope.
 */
extern List *apply_due(MemoryContext context, bool changed);

/*
 * An entry, or a block, that a peer sent: known, held, dropped or refused.  payload: a text.  In a
 * trusted scope.
 */
extern void apply_entry(const LocalNode *node, const char *origin, int64 seq, Datum payload);
extern void apply_block(const LocalNode *node, const char *origin, int64 height, const char *note);

/* At load time: the workers of subscriptions to peers fix their settings (apply_settings.c). */
extern void apply_settings_install(void);

#endif
