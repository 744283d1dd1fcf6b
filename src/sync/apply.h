/*
 * apply.h: what arrives from peers.
 */
#ifndef MEDCHAIN_SYNC_APPLY_H
#define MEDCHAIN_SYNC_APPLY_H

#include "postgres.h"

#include "ledger/local_node.h"
#include "sync/hold.h"

/*
 * An entry, or a block, that a peer sent: known, held, dropped or refused.  payload: a text.  In a
 * trusted scope.
 */
extern void apply_entry(const LocalNode *node, const char *origin, int64 seq, Datum payload);
extern void apply_block(const LocalNode *node, const char *origin, const ArrivedBlock *block);

/* At load time: both ends of subscriptions to peers fix their settings (peer_settings.c). */
extern void peer_settings_install(void);

/*
 * Does that subscription bring entries or blocks?  Others of this database are none of our
 * business.  In a transaction.
 */
extern bool peer_settings_concern(Oid subscription);

/*
 * What a peer sent that is no row of an entry or a block, or none that can be read, for quarantine.
 * In a transaction.
 */
extern void apply_refuse_message(const char *reason, const char *detail);

#endif
