/*
 * rules.c: from entries to state: taking entries, and what judging them has in common.
 */
#include <stdlib.h>
#include <string.h>

#include "core/encode.h"
#include "rules/rules_internal.h"

Rules *
rules_new(const char *alliance, const char *data_center, const char *node, Facts *facts,
		  const RulesStore *store, void *store_state)
{
	Pool	   *pool = pool_new();
	Rules	   *rules = pool_alloc(pool, sizeof(Rules));

	rules->pool = pool;
	rules->policy_pool = pool_new();
	rules->scratch = pool_new();
	rules->visit_pool = pool_new();
	rules->alliance = pool_text(pool, alliance);
	rules->data_center = pool_text(pool, data_center);
	rules->node = pool_text(pool, node);
	rules->own_facts = facts == NULL;
	rules->facts = facts != NULL ? facts : facts_new(store, store_state);
	rules->store = store;
	rules->store_state = store_state;
	rules->signed_before = signed_before_new(pool);
	rules->members = members_new(alliance, data_center, rules->facts);
	members_settle(rules->members);
	return rules;
}

void
rules_free(Rules *rules)
{
	if (rules == NULL)
		return;
	members_free(rules->members);
	signed_before_free(rules->signed_before);
	if (rules->own_facts)
		facts_free(rules->facts);
	pool_free(rules->policy_pool);
	pool_free(rules->scratch);
	pool_free(rules->visit_pool);
	pool_free(rules->pool);
}

/* ----- what judging has in common ----- */

bool
rules_judge(Rules *rules, const Claim *claim, const char *reason)
{
	bool		changed = claim->effective != (reason == NULL);

	if (changed || (reason != NULL && (claim->reason == NULL ||
									   strcmp(claim->reason, reason) != 0)))
		rules->store->claim_judge(rules->store_state, claim->origin, claim->seq, reason);
	return changed;
}

Party *
rules_author(const Rules *rules, const Claim *claim)
{
	return members_party(rules->members, claim->origin);
}

JsonSlice
rules_field(const Claim *claim, const char *name)
{
	return json_slice_get(claim->body, name);
}

bool
rules_field_is(Pool *pool, const Claim *claim, const char *name, const char *text)
{
	char	   *found = json_slice_text(pool, rules_field(claim, name));

	return found != NULL && strcmp(found, text) == 0;
}

bool
rules_subject_named(Pool *pool, const Claim *claim)
{
	char		hex[ENCODE_HEX_SIZE(HASH_LEN)];

	if (!claim->has_subject)
		return false;
	encode_hex(claim->subject, HASH_LEN, hex);
	return rules_field_is(pool, claim, "subject", hex);
}

int
rules_order(const Claim *a, const Claim *b)
{
	int			order = a->time < b->time ? -1 : a->time > b->time;

	if (order == 0)
		order = strcmp(a->origin, b->origin);
	return order != 0 ? order : a->seq < b->seq ? -1 : a->seq > b->seq;
}

/* An envelope that is read when it is needed. */
typedef struct RulesEnvelope
{
	Rules	   *rules;
	Pool	   *pool;
	const Claim *claim;
	SignedText	envelope;
} RulesEnvelope;

static const SignedText *
rules_envelope(void *state)
{
	RulesEnvelope *wanted = state;
	const Claim *claim = wanted->claim;
	size_t		len;
	const char *text;

	if (wanted->rules->asked != NULL && claim->seq == INT64_MAX)
		return wanted->rules->asked;
	text = wanted->rules->store->entry_text(wanted->rules->store_state, wanted->pool,
											claim->origin, claim->seq, &len);
	claim_envelope(wanted->pool, text != NULL ? text : "", text != NULL ? len : 0,
				   &wanted->envelope);
	return &wanted->envelope;
}

const char *
rules_signed(Rules *rules, Pool *pool, const Claim *claim, const KeyFact *key)
{
	RulesEnvelope wanted = {.rules = rules, .pool = pool, .claim = claim};

	return facts_signed(rules->facts, claim, key, rules_envelope, &wanted);
}

const char *
rules_author_reason(Rules *rules, Pool *pool, const Claim *claim)
{
	Party	   *author = rules_author(rules, claim);
	const Standing *now = author != NULL ? author->now : NULL;
	const char *reason = "the author's ledger is not configured";

	for (size_t i = now != NULL ? now->nkeys : 0; i > 0; i--)
		if (now->keys[i - 1].from_height <= claim->height)
		{
			reason = rules_signed(rules, pool, claim, now->keys[i - 1].key);
			if (reason == NULL)
				return NULL;
		}
	return reason;
}

/* ----- taking claims ----- */

void
rules_take_claim(Rules *rules, const Claim *claim, Statement *said)
{
	rules->store->claim_add(rules->store_state, claim);
	if (said != NULL)
	{
		(void) members_add(rules->members, said);
		rules->members_new = true;
	}
}

static const SignedText *
rules_envelope_read(void *state)
{
	return state;
}

/*
 * While the envelope is at hand, ask whether it is signed with the key that is most probably the
 * one it will be judged by: to read it again would cost half as much as the signature.  Not where
 * the signature will probably not be looked at.
 */
static void
rules_sign_early(Rules *rules, const Claim *claim, SignedText *envelope)
{
	const Party *author = rules_author(rules, claim);
	const Standing *now = author != NULL ? author->now : NULL;

	if ((claim->kind != CLAIM_PROTOCOL && claim->kind != CLAIM_AMENDMENT) ||
		standing_excluded(author, claim->seq, claim->time) != NULL ||
		standing_reason(author, claim->seq, claim->time, claim->sealed, CAPABILITY_ISSUE,
						"") != NULL)
		return;
	for (size_t i = now != NULL ? now->nkeys : 0; i > 0; i--)
		if (now->keys[i - 1].from_height <= claim->height)
		{
			facts_sign_fresh(rules->facts, claim, now->keys[i - 1].key,
							 rules_envelope_read, envelope);
			return;
		}
}

void
rules_take_read(Rules *rules, const Claim *claim, SignedText *envelope)
{
	rules_sign_early(rules, claim, envelope);
	rules_take_claim(rules, claim, NULL);
}

bool
rules_take(Rules *rules, const char *payload, size_t len, const char *origin, int64_t seq,
		   int64_t height, int64_t sealed)
{
	Pool	   *pool = pool_new();
	Claim		claim;
	SignedText	envelope;
	bool		governance = claim_read_envelope(pool, payload, len, origin, seq, height, sealed,
												 &claim, &envelope);

	if (governance && (CLAIM_SET(claim.kind) & CLAIM_SET_MEMBER) != 0)
		rules_take_claim(rules, &claim, statement_new(rules->facts, &claim, payload, len));
	else if (governance)
		rules_take_read(rules, &claim, &envelope);
	pool_free(pool);
	return governance;
}

void
rules_known(Rules *rules, const Claim *claim, const char *payload, size_t len)
{
	MemberClaim *added = members_add(rules->members,
									 statement_new(rules->facts, claim, payload, len));

	added->told = claim->effective ? NULL :
		facts_keep(rules->facts, claim->reason != NULL ? claim->reason : "");
}

void
rules_known_all(Rules *rules)
{
	members_settle(rules->members);
	member_changes(rules, false);
	for (size_t i = 0; i < rules->members->nparties; i++)
		rules->members->all[i]->changed_from = INT64_MAX;
	policy_load(rules);
}

void
rules_known_policies(Rules *rules)
{
	policy_load(rules);
}

static void
rules_visit_known(Rules *rules, const Claim *claim, void *state)
{
	Pool	   *pool = state;
	size_t		len = 0;
	const char *text = rules->store->entry_text(rules->store_state, pool, claim->origin,
												claim->seq, &len);

	rules_known(rules, claim, text != NULL ? text : "", len);
	pool_reset(pool);
}

void
rules_load(Rules *rules)
{
	ClaimQuery	query = {.kinds = CLAIM_SET_MEMBER};
	Pool	   *pool = pool_new();

	rules_each(rules, &query, rules_visit_known, pool);
	pool_free(pool);
	rules_known_all(rules);
}

/* ----- what others ask ----- */

const Party *
rules_party(const Rules *rules, const char *name)
{
	return members_party(rules->members, name);
}

bool
rules_may_seal(const Rules *rules, const char *origin, int64_t first, int64_t sealed)
{
	return standing_may_seal(members_party(rules->members, origin), first, sealed);
}

void
rules_store_changed(Rules *rules)
{
	signed_before_forget(rules->signed_before, NULL);
	memset(rules->owners, 0, sizeof(rules->owners));
}

bool
rules_renewed_accept(Rules *rules, const CertificateFact *certificate, int64_t at)
{
	const MemberClaims *renewals = &rules->members->renewals;

	for (size_t i = 0; i < renewals->count; i++)
		if (renewals->items[i]->effective &&
			facts_path(rules->facts, certificate, renewals->items[i]->said->anchors, at)->reason ==
			NULL)
			return true;
	return false;
}
