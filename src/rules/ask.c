/*
 * ask.c: what would become of an entry that is not on the ledger yet (see ask.h).
 */
#include <string.h>

#include "rules/ask.h"
#include "rules/fork.h"
#include "rules/rules_internal.h"

/* A claim behind all others of its chain, about something. */
static Claim
ask_claim(Pool *pool, const char *member, ClaimKind kind, const char *about, int64_t time)
{
	static const char *const said = "{\"protocol\": \"\"}";
	Claim		claim = {
		.origin = member, .seq = INT64_MAX, .kind = kind, .time = time, .height = INT64_MAX,
		.sealed = time, .about = about
	};

	claim.body = json_slice_read(pool, said, strlen(said), JSON_TEXT_UNIQUE);
	return claim;
}

const char *
ask_excluded(const Rules *rules, const char *member, int64_t seq, int64_t time)
{
	return standing_excluded(members_party(rules->members, member), seq, time);
}

const char *
ask_revocation(Rules *rules, Pool *pool, const char *member, const char *protocol, int64_t time)
{
	Claim		claim = ask_claim(pool, member, CLAIM_REVOCATION, protocol, time);

	return revocation_reason(rules, pool, &claim);
}

const char *
ask_note(Rules *rules, Pool *pool, const char *member, const char *protocol, int64_t time)
{
	Claim		claim = ask_claim(pool, member, CLAIM_NOTE, protocol, time);

	return note_reason(rules, pool, &claim);
}

const char *
ask_policy(Rules *rules, Pool *pool, const char *policy, const char *member)
{
	return policy_at(rules, pool, policy, member, INT64_MAX);
}

const char *
ask_break_glass(Rules *rules, Pool *pool, const char *author, const uint8_t subject[HASH_LEN],
				JsonSlice body, int64_t time)
{
	Claim		claim = ask_claim(pool, author, CLAIM_BREAK_GLASS, "", time);
	Period		period;

	claim.has_subject = true;
	memcpy(claim.subject, subject, HASH_LEN);
	claim.body = body;
	return break_glass_reason(rules, pool, &claim, &period);
}

ExamineeSigned
ask_examinee_signed(Rules *rules, Pool *pool, const char *member, const uint8_t subject[HASH_LEN],
					JsonSlice envelope)
{
	Claim		claim = ask_claim(pool, member, CLAIM_PROTOCOL, "", 0);
	SignedText	read;
	ExamineeSigned is_signed;
	const char *text;
	size_t		len;

	claim.has_subject = true;
	memcpy(claim.subject, subject, HASH_LEN);
	signed_text_read(pool, envelope, "application/vnd.medchain.protocol+json", &read);
	/* facts about it are told by its text, as it has no entry */
	text = json_slice_canonical(pool, envelope, &len);
	if (!hash_sha256(text, len, claim.leaf))
		pool_fail();
	rules->asked = &read;
	is_signed = examinee_signed(rules, pool, &claim);
	rules->asked = NULL;
	return is_signed;
}

bool
ask_examinee_signed_before(Rules *rules, Pool *pool, const char *member,
						   const uint8_t subject[HASH_LEN], JsonSlice terms)
{
	Claim		claim = ask_claim(pool, member, CLAIM_PROTOCOL, "", 0);

	claim.has_subject = true;
	memcpy(claim.subject, subject, HASH_LEN);
	claim.body = terms;
	return examinee_signed_before(rules, pool, &claim);
}

const char *
ask_contract_terms(Rules *rules, Pool *pool, JsonSlice terms, int64_t time)
{
	Claim		claim = ask_claim(pool, rules->data_center, CLAIM_CONTRACT, "", time);

	claim.body = terms;
	return member_terms_reason(rules->members, statement_new(rules->facts, &claim, "", 0));
}

const char *
ask_anchors(Rules *rules, Pool *pool, JsonSlice terms, int64_t time)
{
	Claim		claim = ask_claim(pool, rules->data_center, CLAIM_ANCHORS, "", time);
	MemberClaim asked = {.by = rules->members->center};
	const char *reason;

	claim.body = terms;
	asked.said = statement_new(rules->facts, &claim, "", 0);
	reason = member_anchors_terms(rules->members, asked.said);
	return reason != NULL ? reason : member_anchors_late(rules->members, &asked);
}

const char *
ask_fork(Rules *rules, Pool *pool, JsonSlice terms, int64_t time)
{
	char	   *member = json_slice_text(pool, json_slice_get(terms, "member"));
	Claim		claim = ask_claim(pool, rules->data_center, CLAIM_FORK,
								  member != NULL ? member : "", time);
	MemberClaim asked = {.about = members_party(rules->members, claim.about)};

	claim.body = terms;
	asked.said = statement_new(rules->facts, &claim, "", 0);
	if (asked.about == NULL)
		return "the member's ledger is not configured";
	return asked.said->fork->fault != NULL ? asked.said->fork->fault :
		member_fork_reason(rules->members, &asked);
}

bool
ask_certificate_is_of(Rules *rules, const char *certificate, const char *member)
{
	const Party *party = members_party(rules->members, member);
	const CertificateFact *fact = facts_certificate(rules->facts, certificate);

	return party != NULL && party->now != NULL && fact->reason == NULL &&
		member_certificate_is_of(party, fact, NULL);
}

const RevocationFact *
ask_revoked(Rules *rules, const char *certificate)
{
	const CertificateFact *fact = facts_certificate(rules->facts, certificate);

	return fact->reason == NULL ? member_revocation(rules->members, fact,
													member_anchors_at(rules->members,
																	  rules->members->center,
																	  INT64_MAX)) : NULL;
}

const char *
ask_issuers(Rules *rules)
{
	return rules->members->anchors != NULL ? member_issuers(rules->members, INT64_MAX) : NULL;
}
