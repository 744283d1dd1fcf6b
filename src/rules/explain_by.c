/*
 * explain_by.c: what a condition of an entry was judged by.
 */
#include <inttypes.h>
#include <string.h>

#include "core/encode.h"
#include "rules/explain_by.h"
#include "rules/fork.h"
#include "rules/rules_internal.h"

static const MemberClaim *
by_member_claim(const Explain *explain)
{
	const MemberClaims *claims = &explain->rules->members->claims;

	for (size_t i = 0; i < claims->count; i++)
		if (claims->items[i]->said->claim.seq == explain->claim->seq &&
			strcmp(claims->items[i]->said->claim.origin, explain->claim->origin) == 0)
			return claims->items[i];
	return NULL;
}

static const char *
by_entry(Explain *explain, const char *what, const Claim *claim)
{
	return pool_format(explain->pool, "%s %s, entry %" PRId64 " of \"%s\"", what, claim->id,
					   claim->seq, claim->origin);
}

const char *
explain_by_certificate(Explain *explain)
{
	const MemberClaim *claim = by_member_claim(explain);
	char		hex[ENCODE_HEX_SIZE(HASH_LEN)];

	if (claim == NULL || claim->said->certificate == NULL)
		return NULL;
	encode_hex(claim->said->certificate->fingerprint, HASH_LEN, hex);
	return pool_format(explain->pool, "certificate %s", hex);
}

const char *
explain_by_public_key(Explain *explain)
{
	const MemberClaim *claim = by_member_claim(explain);
	const KeyFact *key = claim != NULL ? claim->said->public_key : NULL;

	if (claim == NULL)
	{
		char	   *pem = json_slice_text(explain->pool, rules_field(explain->claim, "public_key"));

		key = pem != NULL ? facts_key_once(explain->rules->facts, explain->pool, pem) : NULL;
	}
	return key != NULL && key->fingerprint != NULL ?
		pool_format(explain->pool, "key %s", key->fingerprint) : NULL;
}

const char *
explain_by_blocks(Explain *explain)
{
	const MemberClaim *claim = by_member_claim(explain);
	const ForkProof *proof = claim != NULL ? claim->said->fork :
	fork_read(explain->rules->facts, explain->claim->body);
	char		hex[2][ENCODE_HEX_SIZE(HASH_LEN)];

	if (proof->fault != NULL)
		return NULL;
	for (int i = 0; i < 2; i++)
		encode_hex(proof->notes[i].hash, HASH_LEN, hex[i]);
	return pool_format(explain->pool, "blocks %" PRId64 " with the hashes %s and %s",
					   proof->height, hex[0], hex[1]);
}

const char *
explain_by_contract(Explain *explain)
{
	const MemberClaim *claim = by_member_claim(explain);
	const MemberClaim *offer = claim != NULL ?
	member_offer(explain->rules->members, claim->said->contract) : NULL;

	return offer != NULL ? by_entry(explain, "contract", &offer->said->claim) : NULL;
}

const char *
explain_by_member(Explain *explain)
{
	const MemberClaim *claim = by_member_claim(explain);
	const Standing *about = claim != NULL ? claim->about->now : NULL;
	const MemberClaim *contract = about != NULL ? about->member.contract : NULL;

	return contract == NULL ? NULL :
		by_entry(explain, claim->about->center ? "genesis" : "contract", &contract->said->claim);
}

const char *
explain_by_block(Explain *explain)
{
	const MemberClaim *claim = by_member_claim(explain);

	return claim != NULL && claim->said->last.valid ?
		pool_format(explain->pool, "block %s of \"%s\"", claim->said->last.height_text,
					claim->about->name) : "it is the member's own";
}

const char *
explain_by_key(Explain *explain)
{
	bool		is_signed;
	const char *by = explain_signed_by(explain, &is_signed);

	return is_signed ? by : "the key of the certificate in the contract";
}

const char *
explain_by_protocol(Explain *explain)
{
	Claim		base;

	return protocol_base(explain->rules, explain->pool, explain->claim->about, &base) ?
		by_entry(explain, "protocol", &base) : NULL;
}

const char *
explain_by_part(Explain *explain)
{
	Claim		base;

	if (protocol_base(explain->rules, explain->pool, explain->claim->about, &base) &&
		strcmp(base.origin, explain->claim->origin) == 0)
		return "its author is the protocol's issuer";
	if (strcmp(explain->claim->origin, explain->rules->data_center) == 0)
		return "its author is the data centre";
	return explain_standing(explain);
}

const char *
explain_by_consent(Explain *explain)
{
	const Claim *claim = explain->claim;
	const char *policy = policy_at(explain->rules, explain->pool, POLICY_SIGNATURE, claim->origin,
								   claim->seq);
	JsonSliceStep step = {0};
	JsonSlice	item;

	if (!json_slice_next(rules_field(claim, "grants"), &step, NULL, &item))
		return "it gives nobody access";
	if (policy == NULL || strcmp(policy, "required") != 0)
		return "no policy of the data centre requires it there";
	return examinee_signed(explain->rules, explain->pool, claim) == EXAMINEE_SIGNED ?
		"signed by the examinee's keys" : "the examinee has no key there";
}

/* The block that the holder of records had of the member, whom it let break the glass. */
const char *
explain_by_member_block(Explain *explain)
{
	return json_slice_canonical(explain->pool, rules_field(explain->claim, "last"), NULL);
}

const char *
explain_by_glass_policy(Explain *explain)
{
	const Claim *claim = explain->claim;
	const char *seconds = policy_at(explain->rules, explain->pool, POLICY_BREAK_GLASS,
									claim->origin, claim->seq);

	return seconds != NULL ? pool_format(explain->pool, "for at most %s s", seconds) : NULL;
}

const char *
explain_by_break_glass(Explain *explain)
{
	Claim		glass;

	return break_glass_of(explain->rules, explain->pool, explain->claim, &glass) ?
		by_entry(explain, "break-glass", &glass) : NULL;
}

const char *
explain_by_standing(Explain *explain)
{
	return explain_standing(explain);
}

const char *
explain_by_chains(Explain *explain)
{
	return json_slice_canonical(explain->pool, rules_field(explain->claim, "last"), NULL);
}
