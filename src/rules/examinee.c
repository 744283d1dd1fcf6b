/*
 * examinee.c: when an examinee's signature is needed, and when it counts.
 *
 * The data centre's policy says whether protocols need it; end nodes register and the data centre
 * withdraws examinees' keys.  All of it is judged by position first, as in standing.c.
 */
#include <stdlib.h>
#include <string.h>

#include "core/encode.h"
#include "rules/rules_internal.h"

/* ----- policies ----- */

/* What only the data centre does, about no member. */
static const char *
examinee_governor_reason(Rules *rules, const Claim *claim, const char *denied)
{
	Party	   *author = rules_author(rules, claim);
	const char *reason = standing_excluded(author, claim->seq, claim->time);

	if (reason != NULL)
		return reason;
	if (strcmp(claim->origin, rules->data_center) != 0)
		return denied;
	return standing_certified(author, claim->time) ? NULL :
		"the data centre's certificate was not valid then";
}

/*
 * Rule: the data centre sets policies, each for what stands behind the blocks that its entry names:
 * examinee_signature to required or optional, break_glass_max to a number of seconds.
 * (doc/ledger.md, "Examinees", "Break-glass")
 */
static bool
policy_is_known(Pool *pool, const Claim *claim)
{
	int64_t		seconds;

	if (rules_field_is(pool, claim, "policy", POLICY_SIGNATURE))
		return rules_field_is(pool, claim, "value", "required") ||
			rules_field_is(pool, claim, "value", "optional");
	return rules_field_is(pool, claim, "policy", POLICY_BREAK_GLASS) &&
		break_glass_seconds(json_slice_text(pool, rules_field(claim, "value")), &seconds);
}

const char *
policy_reason(Rules *rules, Pool *pool, const Claim *claim)
{
	const char *reason;

	if (claim_is_empty(claim))
		return "malformed entry";
	reason = examinee_governor_reason(rules, claim, "only the data centre sets policies");
	if (reason != NULL)
		return reason;
	if (!policy_is_known(pool, claim))
		return "there is no such policy or value";
	if (json_slice_type(rules_field(claim, "last")) != JSON_SLICE_OBJECT)
		return "it names no blocks";
	return claim_points_valid(pool, rules_field(claim, "last")) ? NULL :
		"it names no block of a member's chain";
}

static void
policy_load_name(Rules *rules, const char *name)
{
	ClaimQuery	query = {.kinds = CLAIM_SET(CLAIM_POLICY), .about = name, .effective = true};
	Claim		claim;
	Claim		after;
	bool		begun = false;

	while (rules->store->claim_next(rules->store_state, &query, begun ? &after : NULL,
									rules->policy_pool, &claim))
	{
		Policy	   *policy = pool_alloc(rules->policy_pool, sizeof(Policy));
		JsonSlice	last = json_slice_get(claim.body, "last");

		policy->name = name;
		policy->value = json_slice_text(rules->policy_pool, json_slice_get(claim.body, "value"));
		policy->last = json_slice_keep(rules->policy_pool, last);
		policy->next = rules->policies;
		rules->policies = policy;
		after = claim;
		begun = true;
	}
}

void
policy_load(Rules *rules)
{
	pool_reset(rules->policy_pool);
	rules->policies = NULL;
	policy_load_name(rules, POLICY_SIGNATURE);
	policy_load_name(rules, POLICY_BREAK_GLASS);
}

/*
 * Rule: an entry is judged by the newest policy that the data centre set before it knew of the
 * entry's block.  (doc/ledger.md, "Examinees")
 */
const char *
policy_at(const Rules *rules, Pool *pool, const char *name, const char *origin, int64_t seq)
{
	for (const Policy *policy = rules->policies; policy != NULL; policy = policy->next)
	{
		int64_t		size = 0;

		if (strcmp(policy->name, name) == 0 &&
			(!claim_point_size(pool, json_slice_get(policy->last, origin), &size) || size <= seq))
			return policy->value;
	}
	return NULL;
}

/* ----- keys ----- */

/* A key of an examinee that counts. */
typedef struct ExamineeKey
{
	const char *origin;
	int64_t		seq;
	const KeyFact *key;
	int64_t		registered;
	bool		withdrawn;
	int64_t		withdrawn_time;
	JsonSlice	withdrawn_at;	/* where each end node's chain stood then */
	struct ExamineeKey *next;
} ExamineeKey;

/* Where a chain stood when the key was withdrawn; false: it does not say. */
static bool
examinee_withdrawn_size(Pool *pool, const ExamineeKey *key, const char *origin, int64_t *size)
{
	return key->withdrawn && claim_point_size(pool, json_slice_get(key->withdrawn_at, origin),
											  size);
}

/*
 * Rule: a key is withdrawn by the first withdrawal that the data centre made knowing of it.
 * (doc/ledger.md, "Examinees")
 */
static ExamineeKey *
examinee_key(Rules *rules, Pool *pool, const Claim *claim)
{
	ExamineeKey *key = pool_alloc(pool, sizeof(ExamineeKey));
	ClaimQuery	query = {.kinds = CLAIM_SET(CLAIM_EXAMINEE_WITHDRAWAL), .subject = claim->subject,
	.effective = true};
	Claim		withdrawal;
	Claim		after;
	bool		begun = false;

	key->origin = claim->origin;
	key->seq = claim->seq;
	key->registered = claim->time;
	key->key = facts_key_once(rules->facts, pool,
							  json_slice_text(pool, json_slice_get(claim->body, "public_key")));
	while (!key->withdrawn &&
		   rules->store->claim_next(rules->store_state, &query, begun ? &after : NULL, pool,
									&withdrawal))
	{
		JsonSlice	points = json_slice_get(withdrawal.body, "last");
		int64_t		size;

		if (claim_point_size(pool, json_slice_get(points, claim->origin), &size) &&
			size > claim->seq)
		{
			key->withdrawn = true;
			key->withdrawn_time = withdrawal.time;
			key->withdrawn_at = points;
		}
		after = withdrawal;
		begun = true;
	}
	return key;
}

/* All keys of an examinee that count, in the order of their chains. */
static ExamineeKey *
examinee_keys(Rules *rules, Pool *pool, const uint8_t subject[HASH_LEN])
{
	ClaimQuery	query = {.kinds = CLAIM_SET(CLAIM_EXAMINEE_KEY), .subject = subject,
	.effective = true};
	ExamineeKey *first = NULL;
	ExamineeKey **last = &first;
	Claim		claim;
	Claim		after;
	bool		begun = false;

	while (rules->store->claim_next(rules->store_state, &query, begun ? &after : NULL, pool,
									&claim))
	{
		*last = examinee_key(rules, pool, &claim);
		last = &(*last)->next;
		after = claim;
		begun = true;
	}
	return first;
}

static const char *
examinee_prefixed(Pool *pool, const char *what, const char *reason)
{
	return pool_format(pool, "%s: %s", what, reason);
}

/*
 * Rule: an end node that may issue protocols registers the key of an examinee, which has signed its
 * registration; so has the key that it registered before, unless the data centre withdrew that.
 * older: the newest one of this chain before it, or NULL.  (doc/ledger.md, "Examinees")
 */
static const char *
examinee_key_reason(Rules *rules, Pool *pool, const Claim *claim, const ExamineeKey *older)
{
	Party	   *author = rules_author(rules, claim);
	char	   *pem = json_slice_text(pool, rules_field(claim, "public_key"));
	const KeyFact *fresh;
	const char *reason;
	int64_t		size;

	if (claim_is_empty(claim))
		return "malformed entry";
	reason = standing_excluded(author, claim->seq, claim->time);
	if (reason == NULL)
		reason = standing_reason(author, claim->seq, claim->time, claim->sealed, CAPABILITY_ISSUE,
								 "the author may not issue protocols");
	if (reason != NULL)
		return reason;
	if (!rules_field_is(pool, claim, "alliance", rules->alliance) ||
		!rules_field_is(pool, claim, "registrar", claim->origin))
		return "key is of another alliance or registrar";
	if (!rules_subject_named(pool, claim))
		return "key is of another subject";
	fresh = facts_key_once(rules->facts, pool, pem != NULL ? pem : "");
	if (pem != NULL && fresh->reason != NULL)
		return fresh->reason;
	reason = rules_signed(rules, pool, claim, fresh);
	if (reason != NULL)
		return examinee_prefixed(pool, "new key", reason);
	if (older == NULL ||
		(examinee_withdrawn_size(pool, older, claim->origin, &size) && size <= claim->seq))
		return NULL;
	reason = rules_signed(rules, pool, claim, older->key);
	return reason != NULL ? examinee_prefixed(pool, "old key", reason) : NULL;
}

/*
 * Rule: the data centre withdraws the keys of an examinee, as far as the chains stood where its
 * entry says.  (doc/ledger.md, "Examinees")
 */
static const char *
examinee_withdrawal_reason(Rules *rules, Pool *pool, const Claim *claim)
{
	const char *reason;

	if (claim_is_empty(claim))
		return "malformed entry";
	reason = examinee_governor_reason(rules, claim,
									  "only the data centre withdraws keys of examinees");
	if (reason != NULL)
		return reason;
	if (!claim->has_subject ||
		json_slice_type(rules_field(claim, "last")) != JSON_SLICE_OBJECT)
		return "it names no subject, or no blocks";
	return claim_points_valid(pool, rules_field(claim, "last")) ? NULL :
		"it names no block of a member's chain";
}

static void
examinee_row(Rules *rules, Pool *pool, const Claim *claim, const ExamineeKey *key)
{
	StateRow	row = {.table = STATE_EXAMINEE_KEY};

	row.values[0] = claim->origin;
	row.values[1] = state_number(pool, claim->seq);
	if (key == NULL)
	{
		rules->store->row_remove(rules->store_state, &row);
		return;
	}
	row.values[2] = state_bytes(pool, claim->subject, HASH_LEN);
	row.values[3] = key->key->pem;
	row.values[4] = state_time(pool, key->registered);
	if (key->withdrawn)
	{
		row.values[5] = state_time(pool, key->withdrawn_time);
		row.values[6] = json_slice_canonical(pool, key->withdrawn_at, NULL);
	}
	rules->store->row_put(rules->store_state, &row);
}

void
examinee_settle(Rules *rules, const uint8_t subject[HASH_LEN])
{
	static const ClaimKind kinds[] = {CLAIM_EXAMINEE_WITHDRAWAL, CLAIM_EXAMINEE_KEY};
	Pool	   *pool = pool_new();

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
	{
		ClaimQuery	query = {.kinds = CLAIM_SET(kinds[i]), .subject = subject};
		ExamineeKey *older = NULL;	/* of the chain that is being looked at */
		Claim		claim;
		Claim		after;
		bool		begun = false;

		while (rules->store->claim_next(rules->store_state, &query, begun ? &after : NULL, pool,
										&claim))
		{
			if (kinds[i] == CLAIM_EXAMINEE_WITHDRAWAL)
				(void) rules_judge(rules, &claim, examinee_withdrawal_reason(rules, pool, &claim));
			else
			{
				const char *reason;
				ExamineeKey *key;

				if (older != NULL && strcmp(older->origin, claim.origin) != 0)
					older = NULL;
				reason = examinee_key_reason(rules, pool, &claim, older);
				(void) rules_judge(rules, &claim, reason);
				key = reason == NULL ? examinee_key(rules, pool, &claim) : NULL;
				examinee_row(rules, pool, &claim, key);
				if (key != NULL)
					older = key;
			}
			after = claim;
			begun = true;
		}
	}
	pool_free(pool);
}

void
examinee_settle_nobody(Rules *rules, const Claim *claim)
{
	Pool	   *pool = pool_new();

	(void) rules_judge(rules, claim, claim->kind == CLAIM_EXAMINEE_KEY ?
					   examinee_key_reason(rules, pool, claim, NULL) :
					   examinee_withdrawal_reason(rules, pool, claim));
	pool_free(pool);
}

/* ----- protocols ----- */

/* One key after the other of a registrar, from the last: has one signed? */
static bool
examinee_registrar_signed(Rules *rules, Pool *pool, const Claim *claim, const ExamineeKey *keys,
						  const char *registrar, bool *has)
{
	bool		own = strcmp(registrar, claim->origin) == 0;
	const ExamineeKey *newest = NULL;
	bool		signed_by = false;

	*has = false;
	for (const ExamineeKey *key = keys; key != NULL; key = key->next)
	{
		int64_t		size = 0;

		if (strcmp(key->origin, registrar) != 0 || (own && key->seq >= claim->seq))
			continue;
		if (key->withdrawn)
		{
			(void) examinee_withdrawn_size(pool, key, claim->origin, &size);
			if (claim->seq >= size)
				continue;
		}
		*has = true;
		newest = key;
		/* of others, where no order says which was the newest, any */
		if (!own && !signed_by)
			signed_by = rules_signed(rules, pool, claim, key->key) == NULL;
	}
	if (own && newest != NULL)
		signed_by = rules_signed(rules, pool, claim, newest->key) == NULL;
	return signed_by;
}

static bool
examinee_signed_by(Rules *rules, Pool *pool, const Claim *other, void *state)
{
	bool		found = false;

	for (const ExamineeKey *key = state; key != NULL && !found; key = key->next)
		found = rules_signed(rules, pool, other, key->key) == NULL;
	return found;
}

/*
 * Rule: a signature is consent once: what was revoked or amended since does not come back with it.
 * The terms name the issuer, so that the entry which it was made for is on the same chain.
 * (doc/ledger.md, "Examinees")
 */
bool
examinee_signed_before(Rules *rules, Pool *pool, const Claim *claim)
{
	return signed_before(rules, pool, claim, examinee_signed_by,
						 examinee_keys(rules, pool, claim->subject));
}

/*
 * Rule: an examinee who has keys has signed a protocol if he has for each end node that registered
 * one: with its newest before the protocol, with any of another end node.  (doc/ledger.md,
 * "Examinees")
 */
ExamineeSigned
examinee_signed(Rules *rules, Pool *pool, const Claim *claim)
{
	ExamineeKey *keys = examinee_keys(rules, pool, claim->subject);
	bool		any = false;

	for (const ExamineeKey *key = keys; key != NULL; key = key->next)
	{
		const ExamineeKey *earlier = keys;
		bool		has;
		bool		fine;

		while (earlier != key && strcmp(earlier->origin, key->origin) != 0)
			earlier = earlier->next;
		if (earlier != key)
			continue;			/* that registrar was asked */
		fine = examinee_registrar_signed(rules, pool, claim, keys, key->origin, &has);
		if (has && !fine)
			return EXAMINEE_NOT_SIGNED;
		any = any || has;
	}
	return any ? EXAMINEE_SIGNED : EXAMINEE_HAS_NO_KEY;
}

/*
 * Rule: where the policy says so, a protocol that gives somebody access needs the signature of an
 * examinee who has a key.  (doc/ledger.md, "Examinees")
 */
const char *
examinee_signed_reason(Rules *rules, Pool *pool, const Claim *claim)
{
	JsonSlice	grants = rules_field(claim, "grants");
	JsonSliceStep step = {0};
	const char *policy;
	JsonSlice	item;

	if (!json_slice_next(grants, &step, NULL, &item))
		return NULL;
	policy = policy_at(rules, pool, POLICY_SIGNATURE, claim->origin, claim->seq);
	if (policy == NULL || strcmp(policy, "required") != 0)
		return NULL;
	switch (examinee_signed(rules, pool, claim))
	{
		case EXAMINEE_NOT_SIGNED:
			return "the examinee has a key and has not signed";
		case EXAMINEE_SIGNED:
			if (examinee_signed_before(rules, pool, claim))
				return "the examinee's signature is that of an earlier entry";
			break;
		case EXAMINEE_HAS_NO_KEY:
			break;
	}
	return NULL;
}
