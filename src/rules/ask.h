/*
 * ask.h: what would become of an entry that is not on the ledger yet: for calls that refuse what
 * nobody would take, before it is said.
 *
 * A place that no entry has, INT64_MAX, is behind all that is there.
 */
#ifndef MEDCHAIN_RULES_ASK_H
#define MEDCHAIN_RULES_ASK_H

#include "rules/rules.h"

/* Why whatever a member says there has no effect; NULL: it may have. */
extern const char *ask_excluded(const Rules *rules, const char *member, int64_t seq, int64_t time);

/* Why this member cannot revoke a protocol, or write a note into its log, then; NULL: it can. */
extern const char *ask_revocation(Rules *rules, Pool *pool, const char *member,
								  const char *protocol, int64_t time);
extern const char *ask_note(Rules *rules, Pool *pool, const char *member, const char *protocol,
							int64_t time);

/* The value of a policy that this member's next entry is judged by; NULL: there is none. */
extern const char *ask_policy(Rules *rules, Pool *pool, const char *policy, const char *member);

/* Why breaking the glass for that subject would have no effect; NULL: it would. */
extern const char *ask_break_glass(Rules *rules, Pool *pool, const char *author,
								   const uint8_t subject[HASH_LEN], JsonSlice body, int64_t time);

/* Has an examinee signed, as far as he has to, a protocol in this envelope by this member? */
typedef enum ExamineeSigned
{
	EXAMINEE_HAS_NO_KEY, EXAMINEE_SIGNED, EXAMINEE_NOT_SIGNED
} ExamineeSigned;

extern ExamineeSigned ask_examinee_signed(Rules *rules, Pool *pool, const char *member,
										  const uint8_t subject[HASH_LEN], JsonSlice envelope);

/* Is there an entry of this member's of these very terms that the examinee has signed? */
extern bool ask_examinee_signed_before(Rules *rules, Pool *pool, const char *member,
									   const uint8_t subject[HASH_LEN], JsonSlice terms);

/* What is wrong with the terms of a contract that the data centre offers then; NULL: nothing. */
extern const char *ask_contract_terms(Rules *rules, Pool *pool, JsonSlice terms, int64_t time);

/* What is wrong with trust anchors that the data centre sets then; NULL: nothing. */
extern const char *ask_anchors(Rules *rules, Pool *pool, JsonSlice terms, int64_t time);

/* Why that is no proof of a fork, as the ledger stands; NULL: it is. */
extern const char *ask_fork(Rules *rules, Pool *pool, JsonSlice terms, int64_t time);

/* Is a certificate (PEM) made out to the name in one of that member's contracts? */
extern bool ask_certificate_is_of(Rules *rules, const char *certificate, const char *member);

/* When and why a certificate (PEM) was revoked by what is on the ledger; NULL: it was not. */
extern const RevocationFact *ask_revoked(Rules *rules, const char *certificate);

/* PEM of the CAs whose revocation lists count; NULL: there are none. */
extern const char *ask_issuers(Rules *rules);

#endif
