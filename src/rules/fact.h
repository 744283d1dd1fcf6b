/*
 * fact.h: what is known of a key, a certificate, its path and its revocation.
 */
#ifndef MEDCHAIN_RULES_FACT_H
#define MEDCHAIN_RULES_FACT_H

#include "core/hash.h"
#include "rules/period.h"

/* A public key, as it was given: PEM of the key, or of a certificate. */
typedef struct KeyFact
{
	const char *given;
	uint8_t		digest[HASH_LEN];	/* SHA-256 of that text */
	const char *reason;			/* why it is none that we take; NULL: it is */
	const char *pem;			/* in its one spelling */
	const char *fingerprint;	/* hex */
} KeyFact;

/* A certificate with the intermediates that came with it. */
typedef struct CertificateFact
{
	const char *given;
	uint8_t		digest[HASH_LEN];	/* SHA-256 of that text */
	const char *reason;			/* why it cannot be read; NULL: it can */
	const char *subject;
	uint8_t		fingerprint[HASH_LEN];
	const KeyFact *key;
	int			nabove;
	const char *const *above;	/* PEM of each intermediate */
} CertificateFact;

/* A certificate under trust anchors, at a time. */
typedef struct PathFact
{
	const char *reason;			/* why it is not accepted; NULL: it is */
	const char *told;			/* the same as a sentence of its own */
	Period		term;			/* that it, and every CA above it, is made out for */
} PathFact;

/* What a list says about a certificate, or a CA above it. */
typedef struct RevocationFact
{
	bool		revoked;
	int64_t		since;
	const char *reason;
} RevocationFact;

#endif
