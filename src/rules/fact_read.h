/*
 * fact_read.h: what is in a key or a certificate, read by OpenSSL; and as a text that a store
 * keeps, which is read many times faster.
 */
#ifndef MEDCHAIN_RULES_FACT_READ_H
#define MEDCHAIN_RULES_FACT_READ_H

#include "core/error.h"
#include "rules/fact.h"
#include "rules/pool.h"

extern KeyFact *fact_key_read(Pool *pool, const char *given);
extern CertificateFact *fact_certificate_read(Pool *pool, const char *given);

/* As texts, in the pool. */
extern char *fact_key_text(Pool *pool, const KeyFact *fact);
extern char *fact_certificate_text(Pool *pool, const CertificateFact *fact);

/* NULL if the text is not what such a function wrote. */
extern KeyFact *fact_key_parse(Pool *pool, const char *given, const char *text);
extern CertificateFact *fact_certificate_parse(Pool *pool, const char *given, const char *text);

/* SHA-256 of a text. */
extern void fact_digest(const char *text, uint8_t digest[HASH_LEN]);

/* What OpenSSL, or our check, said, as it is told to others; running out of memory is not. */
extern const char *fact_reason(Pool *pool, const CoreError *error);

#endif
