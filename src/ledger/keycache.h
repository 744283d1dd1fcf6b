/*
 * keycache.h: parsed public keys, so that a batch of the same signer is not parsed again.
 */
#ifndef MEDCHAIN_LEDGER_KEYCACHE_H
#define MEDCHAIN_LEDGER_KEYCACHE_H

#include "postgres.h"
#include "core/key.h"

/*
 * The key in this PEM (SubjectPublicKeyInfo or certificate), owned by the cache and valid until the next
 * call.  NULL, with *error, if there is none.
 */
extern const Key *keycache_get(const char *pem, size_t len, CoreError *error);

#endif
