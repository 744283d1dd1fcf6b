/*
 * facts.h: what cryptography says: of keys, certificates, revocation lists and signatures.
 *
 * A fact depends on the bytes that it is about and on nothing else: not on the clock, the settings
 * or the order in which anything arrived.  So it is found out once.  Those about members stay in
 * memory; those about signatures of the many, the protocols, in a cache of fixed size; and all of
 * them in the store, if it keeps them.
 */
#ifndef MEDCHAIN_RULES_FACTS_H
#define MEDCHAIN_RULES_FACTS_H

#include "rules/claim.h"
#include "rules/fact.h"
#include "rules/map.h"
#include "rules/store.h"

typedef struct Facts Facts;

/* store (or NULL): where facts are kept, if it does; given to its functions. */
extern Facts *facts_new(const RulesStore *store, void *store_state);
extern void facts_free(Facts *facts);

/* A text, a copy of which lives as long as the facts; the same one for the same text. */
extern const char *facts_keep(Facts *facts, const char *text);

/* For ever; NULL is no key, nor is it a certificate. */
extern const KeyFact *facts_key(Facts *facts, const char *given);
extern const CertificateFact *facts_certificate(Facts *facts, const char *given);

/* The same about one key of many, in that pool. */
extern const KeyFact *facts_key_once(Facts *facts, Pool *pool, const char *given);

extern Pool *facts_pool(Facts *facts);	/* what stays as long as the facts do */

extern const PathFact *facts_path(Facts *facts, const CertificateFact *certificate,
								  const char *anchors, int64_t at);

/* Why these cannot be trust anchors from that time on; NULL: they can. */
extern const char *facts_anchors(Facts *facts, const char *anchors, int64_t at);

/*
 * Why a revocation list is not accepted from one of these CAs (PEM); NULL: it is.  Here and below,
 * lists, issuers and anchors are texts that facts_keep() has returned.
 */
extern const char *facts_crl(Facts *facts, const char *crl, const char *issuers);

extern const RevocationFact *facts_revocation(Facts *facts, const char *crl,
											  const CertificateFact *certificate,
											  const char *anchors);

/*
 * Has that key signed the envelope of the entry that this claim is of?  NULL if so, or the reason.
 * load is called for the envelope, if need be.
 */
typedef const SignedText *(*FactsEnvelope) (void *state);

extern const char *facts_signed(Facts *facts, const Claim *claim, const KeyFact *key,
								FactsEnvelope load, void *state);

/* Find it out of an entry that is new, so that the store need not be asked. */
extern void facts_sign_fresh(Facts *facts, const Claim *claim, const KeyFact *key,
							 FactsEnvelope load, void *state);

#endif
