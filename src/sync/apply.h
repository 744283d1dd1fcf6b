/*
 * apply.h: what arrives from peers, and the keeper's part in accepting it.
 */
#ifndef MEDCHAIN_SYNC_APPLY_H
#define MEDCHAIN_SYNC_APPLY_H

#include "postgres.h"

/* ledger_hooks.keep: accept held blocks whose turn has come, chain by chain. In a trusted scope. */
extern void apply_keep(void);

#endif
