/*
 * evidence_internal.h: what the parts of evidence.c share.
 */
#ifndef MEDCHAIN_BIN_EVIDENCE_INTERNAL_H
#define MEDCHAIN_BIN_EVIDENCE_INTERNAL_H

#include "evidence.h"

/* A field that is a string without zero bytes, or NULL. */
extern const char *evidence_string(json_t *object, const char *field);

/* Seconds since 1970 of when an entry says that it was written; 0: it does not. */
extern int64_t evidence_time(json_t *payload);

/* Is that a certificate under the anchors, at the time of the entry that presents it? */
extern bool evidence_certificate(const Evidence *evidence, const char *name,
								 const char *certificate, int64_t at, CoreError *error);

/*
 * One more key; one that the member takes itself at a height for which the data centre gave it one
 * counts for nothing.
 */
extern bool evidence_add_key(Member *member, LedgerKey change, CoreError *error);

/* Does one of a DSSE envelope's signatures verify under the key? */
extern bool evidence_signed(json_t *envelope, const char *type, const Key *key);

/*
 * The terms in an envelope, if one of the keys that the author's ledger has had up to that height
 * signed them; NULL otherwise.
 */
extern json_t *evidence_open(json_t *envelope, const char *type, const Member *author,
							 int64_t height);

/* suspend, reinstate, expel: of the data centre's chain. */
extern void evidence_discipline(Evidence *evidence, const char *kind, json_t *payload);

/*
 * The member goes on with another key: by its own entry, which the key in force has signed too, or
 * by one of the data centre after a loss.
 */
extern bool evidence_rekey(Evidence *evidence, const char *origin, int64_t height, json_t *payload,
						   CoreError *error);

#endif
