/*
 * witness.h: this node's chain says what it has of the others.
 */
#ifndef MEDCHAIN_SYNC_WITNESS_H
#define MEDCHAIN_SYNC_WITNESS_H

#include "postgres.h"
#include "core/hash.h"

/* The ledger's hook (ledger/hooks.h). */
extern void witness_note(const char *origin, int64 size, int64 height,
						 const uint8 head[HASH_LEN]);

#endif
