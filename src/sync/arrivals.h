/*
 * arrivals.h: applications at an end node hear of each access to its examinees' records.
 */
#ifndef MEDCHAIN_SYNC_ARRIVALS_H
#define MEDCHAIN_SYNC_ARRIVALS_H

#include "postgres.h"

/* The ledger's hook (ledger/hooks.h). */
extern void arrivals_tell(const char *origin, int64 first, int64 last);

#endif
