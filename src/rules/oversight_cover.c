/*
 * oversight_cover.c: what covers an access, or a change, at its place: a protocol, or broken glass.
 *
 * What its author had to know there counts: what stands before it on his own chain, and what his
 * chain says that he had of others (entries of kind witness).  What he may have known allows.
 */
#include <string.h>

#include "rules/oversight_internal.h"

/* By then everybody has everything, whatever his chain says. */
#define OVERSIGHT_DELIVERY (86400 * PERIOD_SECOND)



/* ----- what the author had to know ----- */

/*
 * Rule: whoever holds records knows what his own chain says, a moment after it was sealed; of
 * another chain, what he says that he has of it, a moment after he has it; and everything a day
 * after it was sealed.  (doc/ledger.md, "Who sees what was covered")
 */
static bool
oversight_known(const Oversight *oversight, const Claim *claim)
{
	const Had  *had;

	if (claim->sealed + OVERSIGHT_DELIVERY <= oversight->decided)
		return true;
	if (strcmp(claim->origin, oversight->origin) == 0)
		return claim->seq < oversight->asked.seq &&
			claim->sealed + oversight->moment <= oversight->decided;
	had = oversight->had != NULL ?
		map_get(oversight->had, claim->origin, strlen(claim->origin)) : NULL;
	while (had != NULL && had->since + oversight->moment > oversight->decided)
		had = had->before;
	return had != NULL && had->entries > claim->seq;
}

/* ----- members ----- */

/*
 * Rule: a member could read and change records, or issue protocols, then: by a contract that it had
 * countersigned, was not known to be ended, and is valid then; with a certificate; and not known to
 * be suspended, expelled or revoked.  (doc/ledger.md, "Who sees what was covered")
 */
static const char *
oversight_standing(const Oversight *oversight, const char *name, unsigned capability)
{
	const Party *party = name != NULL ? members_party(oversight->rules->members, name) : NULL;
	const Standing *now = party != NULL ? party->now : NULL;
	bool		contracted = false;

	if (now == NULL)
		return "there is no such member";
	for (size_t i = 0; i < now->ncontracts && !party->center; i++)
	{
		const ContractRow *row = &now->contracts[i];

		if (row->accepted != NULL && period_has(&row->offer->said->valid, oversight->decided) &&
			(capability & ~row->offer->said->capabilities) == 0 &&
			(row->ended == NULL || !oversight_known(oversight, &row->ended->said->claim)))
			contracted = true;
	}
	if (party->center)
		contracted = (capability & ~(unsigned) CAPABILITIES_DATA_CENTER) == 0;
	if (!contracted)
		return "the member had no contract for that then";
	for (size_t i = 0; i < now->nexclusions; i++)
	{
		const ExclusionRow *row = &now->exclusions[i];

		if ((!row->has_to || period_has(&row->during, oversight->decided)) &&
			oversight_known(oversight, &row->cause->said->claim))
			return row->reason;
	}
	return standing_certified(party, oversight->decided) ? NULL :
		"the member had no certificate that was valid then";
}

/* ----- protocols ----- */

/* Is the relation among those that a grant names, or a part of it, if it names any? */
static bool
oversight_covers(JsonSlice records, const char *relation)
{
	JsonSliceStep step = {0};
	JsonSlice	item;

	if (json_slice_type(records) != JSON_SLICE_ARRAY)
		return true;
	while (json_slice_next(records, &step, NULL, &item))
		if (json_slice_is(item, relation) ||
			json_slice_is(json_slice_get(item, "relation"), relation))
			return true;
	return false;
}

/*
 * Rule: the terms cover it if they are valid then, and one of their grants is to the member, of the
 * operation, for that time, for any purpose or the one that was stated, and for all records or this
 * table's.  (doc/ledger.md, "Who sees what was covered")
 */
static const char *
oversight_terms(const Oversight *oversight, JsonSlice terms)
{
	JsonSliceStep step = {0};
	JsonSlice	grant;
	Period		period;
	const char *reason = "the protocol granted the member nothing of that";

	if (!period_read(json_slice_get(terms, "valid"), &period) ||
		!period_has(&period, oversight->decided))
		return "the protocol was not valid then";
	while (json_slice_next(json_slice_get(terms, "grants"), &step, NULL, &grant))
	{
		JsonSliceStep each = {0};
		JsonSlice	operation;
		JsonSlice	purpose = json_slice_get(grant, "purpose");
		bool		granted = false;

		if (!json_slice_is(json_slice_get(grant, "grantee"), oversight->member))
			continue;
		while (json_slice_next(json_slice_get(grant, "operations"), &each, NULL, &operation))
			granted = granted ||
				json_slice_is(operation, oversight->update ? "update" : "query");
		if (!granted || !oversight_covers(json_slice_get(grant, "records"),
										  oversight->asked.relation))
			continue;
		if (json_slice_type(purpose) == JSON_SLICE_STRING && oversight->purpose != NULL &&
			!json_slice_is(purpose, oversight->purpose))
			reason = "the purpose was not the one that is granted";
		else if (!period_read(json_slice_get(grant, "valid"), &period) ||
				 !period_has(&period, oversight->decided))
			reason = "the grant was not valid then";
		else
			return NULL;
	}
	return reason;
}

typedef struct Terms
{
	const Oversight *oversight;
	int64_t		version;		/* asked for; -1: any */
	int64_t		known;			/* the newest that the author had to know */
	const char *reason;			/* of those that are asked for; NULL: one covers it */
	bool		found;
} Terms;

static void
oversight_newest(Rules *rules, const Claim *claim, void *state)
{
	Terms	   *terms = state;

	(void) rules;
	if (claim->effective && claim->seq > terms->known &&
		oversight_known(terms->oversight, claim))
		terms->known = claim->seq;
}

static void
oversight_version(Rules *rules, const Claim *claim, void *state)
{
	Terms	   *terms = state;
	const char *reason;

	(void) rules;
	if (!claim->effective || (terms->version >= 0 && claim->seq != terms->version) ||
		(terms->found && terms->reason == NULL))
		return;
	if (claim->seq < terms->known)
		reason = "the protocol had other terms by then";
	else if (claim->time > terms->oversight->decided + OVERSIGHT_SKEW)
		reason = "the protocol was issued later";
	else
		reason = oversight_terms(terms->oversight, claim->body);
	terms->found = true;
	terms->reason = reason;
}

static void
oversight_revoked(Rules *rules, const Claim *claim, void *state)
{
	Terms	   *terms = state;

	(void) rules;
	if (claim->effective && oversight_known(terms->oversight, claim))
		terms->reason = "the protocol was revoked";
}

/* By that protocol; version -1: of whichever terms he may have known. */
const char *
oversight_protocol(Oversight *oversight, const char *about, int64_t version)
{
	Rules	   *rules = oversight->rules;
	ClaimQuery	query = {
		.kinds = CLAIM_SET(CLAIM_PROTOCOL) | CLAIM_SET(CLAIM_AMENDMENT), .about = about
	};
	ClaimQuery	revocations = {.kinds = CLAIM_SET(CLAIM_REVOCATION), .about = about};
	Terms		terms = {.oversight = oversight, .version = version, .known = -1};
	Claim		base;
	const char *reason;

	if (!protocol_base(rules, oversight->scratch, about, &base))
		return "there is no such protocol";
	if (!base.has_subject || memcmp(base.subject, oversight->asked.subject, HASH_LEN) != 0)
		return "the protocol is about another subject";
	query.origin = revocations.origin = NULL;
	rules_each(rules, &revocations, oversight_revoked, &terms);
	if (terms.reason != NULL)
		return terms.reason;
	rules_each(rules, &query, oversight_newest, &terms);
	rules_each(rules, &query, oversight_version, &terms);
	if (!terms.found)
		return "the protocol has no such version";
	if (terms.reason != NULL)
		return terms.reason;
	reason = oversight_standing(oversight, base.origin, 0);
	return reason != NULL ? "the issuer took no part then" :
		oversight_standing(oversight, oversight->member,
						   oversight->update ? CAPABILITY_UPDATE : CAPABILITY_QUERY);
}

/* By any protocol about the subject: changes name none. */
const char *
oversight_any(Oversight *oversight)
{
	ClaimQuery	query = {
		.kinds = CLAIM_SET(CLAIM_PROTOCOL), .subject = oversight->asked.subject, .effective = true
	};
	const char *reason = "there is no protocol about this subject";
	Pool	   *pool = pool_new();
	Claim		claim;
	Claim		after;
	bool		begun = false;

	while (reason != NULL &&
		   oversight->rules->store->claim_next(oversight->rules->store_state, &query,
											   begun ? &after : NULL, pool, &claim))
	{
		reason = oversight_protocol(oversight, claim.about, -1);
		after = claim;
		begun = true;
	}
	pool_free(pool);
	return reason;
}

/*
 * Rule: who has broken the glass, on his chain or on this one, reads until it ends.
 * (doc/ledger.md, "Who sees what was covered")
 */
const char *
oversight_glass(Oversight *oversight, const char *id)
{
	ClaimQuery	query = {
		.kinds = CLAIM_SET(CLAIM_BREAK_GLASS), .subject = oversight->asked.subject,
		.effective = true
	};
	const char *reason = "there is no such break-glass entry";
	Pool	   *pool = oversight->scratch;
	Claim		claim;
	Claim		after;
	Period		period;
	bool		begun = false;

	if (oversight->update)
		return "breaking the glass opens nothing for changes";
	while (oversight->rules->store->claim_next(oversight->rules->store_state, &query,
											   begun ? &after : NULL, pool, &claim))
	{
		if (strcmp(claim.id, id) == 0 &&
			rules_field_is(pool, &claim, "member", oversight->member) &&
			(strcmp(claim.origin, oversight->member) == 0 ||
			 strcmp(claim.origin, oversight->origin) == 0))
		{
			if (break_glass_reason(oversight->rules, pool, &claim, &period) == NULL &&
				period_has(&period, oversight->decided))
				return oversight_standing(oversight, oversight->member, CAPABILITY_EMERGENCY);
			reason = "the glass was not broken then";
		}
		after = claim;
		begun = true;
	}
	return reason;
}
