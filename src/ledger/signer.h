/*
 * signer.h: signatures by the node's private key, which only the sealer holds.
 */
#ifndef MEDCHAIN_LEDGER_SIGNER_H
#define MEDCHAIN_LEDGER_SIGNER_H

#include "postgres.h"
#include "core/key.h"
#include "node/shared.h"

/* In the sealer: answer what is waiting. */
extern void signer_serve(SharedDatabase *slot, const Key *key);

#endif
