/*
 * apply.h: what arrives from peers, and the keeper's part in accepting it.
 */
#ifndef MEDCHAIN_SYNC_APPLY_H
#define MEDCHAIN_SYNC_APPLY_H

#include "postgres.h"

/* ledger_hooks.keep: accept held blocks whose turn has come, chain by chain. In a trusted scope. */
extern void apply_keep(void);

/* At load time: the workers of subscriptions to peers fix their settings (apply_settings.c). */
extern void apply_settings_install(void);

#endif
