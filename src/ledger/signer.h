/*
 * signer.h: signatures by the node's private key, which only the sealer holds.
 */
#ifndef MEDCHAIN_LEDGER_SIGNER_H
#define MEDCHAIN_LEDGER_SIGNER_H

#include "postgres.h"
#include "core/key.h"
#include "ledger/shared.h"

/*
 * Ask the sealer to sign a DSSE pre-authentication encoding.  Returns the
 * signature, palloc'd as bytea.  Anything that does not start with "DSSEv1 " is
 * refused by the sealer, so that a session can never obtain a signature over a block.
 */
extern bytea *signer_request(const char *pae, size_t len);

/* In the sealer: answer what is waiting. */
extern void signer_serve(SharedDatabase *slot, const Key *key);

#endif
