/*
 * hash.h: SHA-256 as RFC 6962 uses it, and HMAC.
 *
 * Every digest of the ledger is SHA-256 (RFC 6962 section 2).  The algorithm is
 * fetched once per process; a context is kept for reuse, because sealing hashes
 * two million nodes for a million entries.
 */
#ifndef MEDCHAIN_CORE_HASH_H
#define MEDCHAIN_CORE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HASH_LEN 32

/*
 * Have OpenSSL read its configuration, load its providers and find these algorithms now: processes
 * that are forked later need not, which takes each of them milliseconds.  Calling it is optional.
 */
extern void hash_prepare(void);

/* All return false only if OpenSSL itself fails (no provider, out of memory). */
extern bool hash_sha256(const void *data, size_t len, uint8_t out[HASH_LEN]);

/* SHA-256(a || b) */
extern bool hash_sha256_pair(const void *a, size_t alen, const void *b, size_t blen,
							 uint8_t out[HASH_LEN]);

/* RFC 6962 section 2.1: SHA-256(0x00 || data) */
extern bool hash_leaf(const void *data, size_t len, uint8_t out[HASH_LEN]);

/* RFC 6962 section 2.1: SHA-256(0x01 || left || right) */
extern bool hash_node(const uint8_t left[HASH_LEN], const uint8_t right[HASH_LEN],
					  uint8_t out[HASH_LEN]);

/* HMAC-SHA-256 (RFC 2104) under one key; NULL if OpenSSL fails. */
typedef struct HashMac HashMac;

extern HashMac *hash_mac_new(const void *key, size_t keylen);
extern bool hash_mac(const HashMac *mac, const void *data, size_t len, uint8_t out[HASH_LEN]);

/* Of a || b. */
extern bool hash_mac_pair(const HashMac *mac, const void *a, size_t alen, const void *b,
						  size_t blen, uint8_t out[HASH_LEN]);

/* The key, for another process that is to make the same. */
extern const void *hash_mac_key(const HashMac *mac, size_t *keylen);

extern void hash_mac_free(HashMac *mac);	/* wipes the key; NULL is fine */

/* Constant-time comparison of two digests. */
extern bool hash_equal(const uint8_t a[HASH_LEN], const uint8_t b[HASH_LEN]);

#endif
