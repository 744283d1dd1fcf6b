/*
 * pseudonym.h: what stands for an examinee on the ledger: HMAC-SHA-256 of the
 * identity under the alliance's key (design, section 2, "Subjects").
 */
#ifndef MEDCHAIN_LEDGER_PSEUDONYM_H
#define MEDCHAIN_LEDGER_PSEUDONYM_H

#include "postgres.h"
#include "core/hash.h"

/*
 * ERROR if medchain.pseudonym_key_file is not set, not private or not readable, or if its key
 * is not the one that the genesis entry has the check value of (config_file_error).
 */
extern void pseudonym_of(const char *identity, size_t len, uint8_t out[HASH_LEN]);

/* What makes them, likewise; until the end of the statement. */
extern const HashMac *pseudonym_mac(void);

/*
 * Is there nothing to see in an identity: is it empty, or white space (Unicode's, and
 * characters without width) alone?
 */
extern bool pseudonym_is_blank(const char *identity, size_t len);

/*
 * ERROR if somebody should not be called that in an entry: blank (hint: what to do about it, or
 * NULL), too long, or with control characters, which nobody would see.
 */
extern void pseudonym_require_identity(const char *identity, size_t len, const char *hint);

/* Why it would be an error; NULL: it would not.  Reads the file anew. */
extern const char *pseudonym_status(void);

/* To the log, if that has changed since this process was here last.  In a transaction. */
extern void pseudonym_report(void);

#endif
