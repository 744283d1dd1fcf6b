/*
 * pseudonym.h: what stands for an examinee on the ledger: HMAC-SHA-256 of the
 * identity under the alliance's key (design, section 2, "Subjects").
 */
#ifndef MEDCHAIN_LEDGER_PSEUDONYM_H
#define MEDCHAIN_LEDGER_PSEUDONYM_H

#include "postgres.h"
#include "core/hash.h"

/*
 * ERROR (config_file_error) if medchain.pseudonym_key_file is not set, not private or not readable.
 */
extern void pseudonym_of(const char *identity, size_t len, uint8_t out[HASH_LEN]);

#endif
