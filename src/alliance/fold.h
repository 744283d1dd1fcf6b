/*
 * fold.h: from entries to state; what the alliance registers with the ledger.
 */
#ifndef MEDCHAIN_ALLIANCE_FOLD_H
#define MEDCHAIN_ALLIANCE_FOLD_H

#include "postgres.h"

/* ledger_hooks.is_governance: does the state depend on entries of this kind? */
extern bool fold_is_governance(const char *kind);

/* ledger_hooks.fold: entries first .. last of that chain become claims, and the claims state. */
extern void fold_entries(const char *origin, int64 first, int64 last);

/* ledger_hooks.ledger_key: PEM of the key that origin's ledger is configured with, palloc'd, or NULL. */
extern char *fold_ledger_key(const char *origin);

#endif
