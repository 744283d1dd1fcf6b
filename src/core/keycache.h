/*
 * keycache.h: parsed public keys, so that a batch of the same signer is not parsed again.
 */
#ifndef MEDCHAIN_CORE_KEYCACHE_H
#define MEDCHAIN_CORE_KEYCACHE_H

#include "core/key.h"

/* keys kept in one process; the one unused for longest goes first */
#define KEYCACHE_SIZE 32

/*
 * The key in this PEM (SubjectPublicKeyInfo or certificate), owned by the cache and valid until the
 * next call.  NULL, with *error, if there is none: that is not remembered.
 */
extern const Key *keycache_get(const char *pem, size_t len, CoreError *error);

#endif
