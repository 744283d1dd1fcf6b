/*
 * protocol.c: which protocols, amendments, revocations and notes have effect.
 */
#include <string.h>

#include "rules/rules_internal.h"

/* The next of some claims, from one to the other. */
static bool
protocol_next(Rules *rules, const ClaimQuery *query, bool *begun, Pool *pool, Claim *claim)
{
	Claim		after = *claim;
	bool		found = rules->store->claim_next(rules->store_state, query, *begun ? &after : NULL,
												 pool, claim);

	*begun = true;
	return found;
}

bool
protocol_base(Rules *rules, Pool *pool, const char *about, Claim *base)
{
	ClaimQuery	query = {.kinds = CLAIM_SET(CLAIM_PROTOCOL), .about = about, .effective = true,
	.bare = true};

	return rules->store->claim_next(rules->store_state, &query, NULL, pool, base);
}

/*
 * Rule: ids are their authors' choice: of several protocols with one id by authors who may issue
 * protocols there, the earliest has it.  False if there is none; of first, only the place and the
 * time count.  (doc/ledger.md, "Protocols")
 */
static bool
protocol_has_id(Rules *rules, Pool *pool, const char *about, Claim *first)
{
	ClaimQuery	query = {.kinds = CLAIM_SET(CLAIM_PROTOCOL), .about = about, .bare = true};
	Claim		claim;
	bool		begun = false;
	bool		found = false;

	while (protocol_next(rules, &query, &begun, pool, &claim))
	{
		Party	   *author = rules_author(rules, &claim);

		/* nobody of whom nothing is known may issue any */
		if (author == NULL)
			continue;
		claim.origin = author->name;
		pool_reset(pool);
		if ((found && rules_order(&claim, first) > 0) ||
			standing_excluded(author, claim.seq, claim.time) != NULL ||
			standing_reason(author, claim.seq, claim.time, claim.sealed, CAPABILITY_ISSUE,
							"") != NULL)
			continue;
		*first = claim;
		found = true;
	}
	return found;
}

/* Has it amended a protocol of its own that has effect, about the same subject? */
static bool
protocol_amends(Rules *rules, Pool *pool, const Claim *claim)
{
	ClaimQuery	query = {
		.kinds = CLAIM_SET(CLAIM_PROTOCOL), .origin = claim->origin, .first = 0,
		.last = claim->seq - 1, .about = claim->about, .subject = claim->subject,
		.effective = true, .bare = true
	};
	Claim		base;

	return rules->store->claim_next(rules->store_state, &query, NULL, pool, &base);
}

/*
 * Rule: a protocol, or an amendment of one's own, counts if its author may issue protocols there
 * and his ledger's key signed it, if it is of this alliance, author and subject, its id is free
 * (or of an earlier protocol of his about that subject), its terms are in order, and the examinee
 * has signed where that is needed.  first: whose the id is, or NULL.  (doc/ledger.md, "Protocols")
 */
static const char *
protocol_reason(Rules *rules, Pool *pool, const Claim *claim, const Claim *first)
{
	Party	   *author = rules_author(rules, claim);
	const char *reason;

	if (claim_is_empty(claim))
		return "malformed entry";
	reason = standing_excluded(author, claim->seq, claim->time);
	if (reason == NULL)
		reason = standing_reason(author, claim->seq, claim->time, claim->sealed, CAPABILITY_ISSUE,
								 "the author may not issue protocols");
	if (reason == NULL)
		reason = rules_author_reason(rules, pool, claim);
	if (reason != NULL)
		return reason;
	if (!rules_field_is(pool, claim, "alliance", rules->alliance) ||
		!rules_field_is(pool, claim, "issuer", claim->origin))
		return "protocol is of another alliance or issuer";
	if (!rules_subject_named(pool, claim))
		return "protocol is about another subject";
	if (claim->kind == CLAIM_PROTOCOL)
	{
		if (first != NULL && rules_order(first, claim) < 0)
			return "there is a protocol with this id already";
	}
	else if (!protocol_amends(rules, pool, claim))
		return "there is no protocol of this issuer with this id and subject";
	reason = protocol_terms_reason(claim->body);
	return reason != NULL ? reason : examinee_signed_reason(rules, pool, claim);
}

/* Has a member a protocol of its own for that subject that has effect?  beside: other than this. */
static bool
protocol_has_own(Rules *rules, Pool *pool, const char *origin, const uint8_t *subject,
				 const Claim *beside)
{
	ClaimQuery	query = {
		.kinds = CLAIM_SET(CLAIM_PROTOCOL), .origin = origin, .first = 0, .last = INT64_MAX,
		.subject = subject, .effective = true, .bare = true
	};
	Claim		own;
	bool		begun = false;

	while (protocol_next(rules, &query, &begun, pool, &own))
		if (beside == NULL || own.seq != beside->seq)
			return true;
	return false;
}

/*
 * Rule: a protocol is revoked by its issuer, by the data centre, and by an end node that may issue
 * protocols there and has one that counts for the same subject.  (doc/ledger.md, "Protocols")
 */
const char *
revocation_reason(Rules *rules, Pool *pool, const Claim *claim)
{
	Party	   *author = rules_author(rules, claim);
	const char *reason;
	Claim		target;

	if (claim_is_empty(claim))
		return "malformed entry";
	reason = standing_excluded(author, claim->seq, claim->time);
	if (reason != NULL)
		return reason;
	if (!protocol_base(rules, pool, claim->about, &target))
		return "there is no such protocol";
	if (strcmp(claim->origin, target.origin) == 0 ||
		strcmp(claim->origin, rules->data_center) == 0)
		return NULL;
	if (author != NULL && author->now != NULL && author->now->member.end_node &&
		standing_reason(author, claim->seq, claim->time, claim->sealed, CAPABILITY_ISSUE,
						"") == NULL &&
		protocol_has_own(rules, pool, claim->origin, target.subject, NULL))
		return NULL;
	return "only the issuer, the examinee's end node and the data centre revoke a protocol";
}

/* Does a protocol, or an amendment of it, grant that member anything? */
static bool
protocol_grants(Rules *rules, Pool *pool, const char *about, const char *grantee)
{
	ClaimQuery	query = {
		.kinds = CLAIM_SET(CLAIM_PROTOCOL) | CLAIM_SET(CLAIM_AMENDMENT), .about = about,
		.effective = true
	};
	Claim		claim;
	bool		begun = false;

	while (protocol_next(rules, &query, &begun, pool, &claim))
	{
		JsonSliceStep step = {0};
		JsonSlice	item;

		while (json_slice_next(rules_field(&claim, "grants"), &step, NULL, &item))
			if (json_slice_is(json_slice_get(item, "grantee"), grantee))
				return true;
	}
	return false;
}

/*
 * Rule: who has a part in a protocol, its issuer and those it grants something, writes into its
 * log, and an auditor into every one, while his contract is in force.  (doc/ledger.md,
 * "Protocols")
 */
const char *
note_reason(Rules *rules, Pool *pool, const Claim *claim)
{
	static const char *const denied = "the author has no part in this protocol";
	Party	   *author = rules_author(rules, claim);
	const char *reason;
	Claim		base;

	if (claim_is_empty(claim))
		return "malformed entry";
	reason = standing_excluded(author, claim->seq, claim->time);
	if (reason != NULL)
		return reason;
	if (!protocol_base(rules, pool, claim->about, &base))
		return "there is no such protocol";
	reason = standing_reason(author, claim->seq, claim->time, claim->sealed, 0, denied);
	if (reason != NULL)
		return reason;
	if (strcmp(claim->origin, base.origin) == 0 ||
		standing_reason(author, claim->seq, claim->time, claim->sealed, CAPABILITY_AUDIT,
						"") == NULL ||
		protocol_grants(rules, pool, claim->about, claim->origin))
		return NULL;
	return denied;
}

/* ----- what depends on what ----- */

/* Judge a claim about a protocol; did it gain or lose its effect?  first: as above. */
static bool
protocol_judge(Rules *rules, Pool *pool, const Claim *claim, const Claim *first)
{
	switch (claim->kind)
	{
		case CLAIM_REVOCATION:
			return rules_judge(rules, claim, revocation_reason(rules, pool, claim));
		case CLAIM_NOTE:
			return rules_judge(rules, claim, note_reason(rules, pool, claim));
		default:
			return rules_judge(rules, claim, protocol_reason(rules, pool, claim, first));
	}
}

void
protocol_settle_rights(Rules *rules, const char *origin, const uint8_t subject[HASH_LEN])
{
	ClaimQuery	query = {.kinds = CLAIM_SET(CLAIM_PROTOCOL), .subject = subject, .bare = true};
	Pool	   *pool = pool_new();
	Pool	   *inner = pool_new();
	Claim		target;
	bool		begun = false;

	while (protocol_next(rules, &query, &begun, pool, &target))
	{
		ClaimQuery	revocations = {
			.kinds = CLAIM_SET(CLAIM_REVOCATION), .origin = origin, .first = 0,
			.last = INT64_MAX, .about = target.about
		};
		Claim		revocation;
		bool		inner_begun = false;
		bool		changed = false;

		while (protocol_next(rules, &revocations, &inner_begun, inner, &revocation))
			if (protocol_judge(rules, inner, &revocation, NULL))
				changed = true;
		if (changed)
			protocol_rows(rules, target.about);
		pool_reset(inner);
	}
	pool_free(inner);
	pool_free(pool);
}

/* 0 is of no protocol: there nobody is remembered. */
static uint64_t
owner_hash(const char *about)
{
	return map_hash(about, strlen(about)) | 1;
}

static void
owner_remember(Rules *rules, const char *about, const Claim *claim)
{
	uint64_t	hash = owner_hash(about);
	Owner	   *owner = &rules->owners[hash / 2 % OWNER_SLOTS];

	if (strlen(claim->origin) >= sizeof(owner->origin))
		return;
	owner->about = hash;
	strcpy(owner->origin, claim->origin);
	owner->seq = claim->seq;
}

bool
protocol_settle_late(Rules *rules, const Claim *claim)
{
	uint64_t	hash = owner_hash(claim->about);
	const Owner *owner = &rules->owners[hash / 2 % OWNER_SLOTS];
	ClaimQuery	query = {
		.kinds = CLAIM_SET(CLAIM_PROTOCOL), .origin = owner->origin, .first = owner->seq,
		.last = owner->seq, .about = claim->about, .effective = true, .bare = true
	};
	Pool	   *pool;
	Claim		first;
	bool		late;

	if (owner->about != hash || claim->effective)
		return false;
	pool = pool_new();
	late = rules->store->claim_next(rules->store_state, &query, NULL, pool, &first) &&
		rules_order(&first, claim) < 0;
	/* what has effect is the earliest that may: for this one, and all others, nothing is new */
	if (late)
		(void) protocol_judge(rules, pool, claim, &first);
	pool_free(pool);
	return late;
}

/* Judge all claims of a kind about a protocol again; did one gain or lose its effect? */
static bool
protocol_judge_all(Rules *rules, const char *about, ClaimKind kind)
{
	ClaimQuery	query = {.kinds = CLAIM_SET(kind), .about = about};
	Pool	   *pool = pool_new();
	Pool	   *kept = pool_new();
	Pool	   *first_pool = pool_new();
	Claim		first;
	Claim		owner = {0};
	Claim		claim;
	Claim		after;
	bool		begun = false;
	bool		changed = false;
	bool		owned = false;
	int			count = 0;
	bool		has_id = kind == CLAIM_PROTOCOL &&
	protocol_has_id(rules, first_pool, about, &first);

	while (rules->store->claim_next(rules->store_state, &query, begun ? &after : NULL, pool,
									&claim))
	{
		bool		now = protocol_judge(rules, pool, &claim, has_id ? &first : NULL);

		changed = changed || now;
		count++;
		if (kind == CLAIM_PROTOCOL && claim.effective != now)
		{
			owner = claim;
			owner.origin = pool_text(first_pool, claim.origin);
			owned = true;
		}

		/* the right to revoke comes with the first protocol, and goes with the last */
		if (now && kind == CLAIM_PROTOCOL && claim.has_subject &&
			!protocol_has_own(rules, pool, claim.origin, claim.subject, &claim))
			protocol_settle_rights(rules, claim.origin, claim.subject);
		pool_reset(kept);
		after = claim;
		after.origin = pool_text(kept, claim.origin);
		begun = true;
		pool_reset(pool);
	}
	if (owned && count > 1)
		owner_remember(rules, about, &owner);
	pool_free(first_pool);
	pool_free(kept);
	pool_free(pool);
	return changed;
}

void
protocol_settle(Rules *rules, const char *about)
{
	(void) protocol_judge_all(rules, about, CLAIM_PROTOCOL);
	(void) protocol_judge_all(rules, about, CLAIM_AMENDMENT);
	(void) protocol_judge_all(rules, about, CLAIM_REVOCATION);
	(void) protocol_judge_all(rules, about, CLAIM_NOTE);
	protocol_rows(rules, about);
}

void
protocol_settle_claim(Rules *rules, const Claim *claim)
{
	Pool	   *pool;

	if (claim->kind == CLAIM_PROTOCOL || claim->kind == CLAIM_AMENDMENT)
	{
		protocol_settle(rules, claim->about);
		return;
	}
	/* nothing depends on these but the protocol's own row */
	pool = pool_new();
	if (protocol_judge(rules, pool, claim, NULL) && claim->kind == CLAIM_REVOCATION)
		rules_rows_later(rules, claim->about);
	pool_free(pool);
}
