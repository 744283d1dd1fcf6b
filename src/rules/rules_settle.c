/*
 * rules_settle.c: what is judged again when something becomes known, or is gone.
 */
#include <string.h>

#include "rules/rules_internal.h"

void
rules_each(Rules *rules, const ClaimQuery *query, RulesVisit visit, void *state)
{
	Pool	   *pool = pool_new();
	Pool	   *kept = pool_new();
	Claim		claim;
	Claim		after;
	bool		begun = false;

	while (rules->store->claim_next(rules->store_state, query, begun ? &after : NULL, pool,
									&claim))
	{
		visit(rules, &claim, state);
		pool_reset(kept);
		after = claim;
		after.origin = pool_text(kept, claim.origin);
		begun = true;
		pool_reset(pool);
	}
	pool_free(kept);
	pool_free(pool);
}

/* Of the range that is new, and of the chains of those whose standing has changed. */
typedef struct RulesRange
{
	const char *origin;
	int64_t		first;
	int64_t		last;
} RulesRange;

static void
rules_each_touched(Rules *rules, const RulesRange *range, uint32_t kinds, RulesVisit visit,
				   void *state)
{
	bool		covered = false;

	if (range->origin == NULL)
	{
		ClaimQuery	query = {.kinds = kinds};

		rules_each(rules, &query, visit, state);
		return;
	}
	for (size_t i = 0; i < rules->members->nparties; i++)
	{
		const Party *party = rules->members->all[i];
		ClaimQuery	query = {.kinds = kinds, .origin = party->name, .first = party->changed_from,
		.last = INT64_MAX};

		if (party->changed_from == INT64_MAX)
			continue;
		if (strcmp(party->name, range->origin) == 0)
		{
			covered = true;
			if (range->first < query.first)
				query.first = range->first;
		}
		rules_each(rules, &query, visit, state);
	}
	if (!covered)
	{
		ClaimQuery	query = {.kinds = kinds, .origin = range->origin, .first = range->first,
		.last = range->last};

		rules_each(rules, &query, visit, state);
	}
}

static void
rules_visits_begin(Rules *rules)
{
	pool_reset(rules->visit_pool);
	rules->visited = map_new(rules->visit_pool);
	rules->changed = NULL;
}

/*
 * Whoever says the same thing about one protocol or examinee fifty thousand times has it looked at
 * once: what is looked at is all that there is about it.
 */
bool
rules_visited(Rules *rules, const void *what, size_t len)
{
	void	  **place = map_at(rules->visited, what, len);
	bool		before = *place != NULL;

	*place = rules;
	return before;
}

/* A protocol whose rows are to be written. */
typedef struct Changed
{
	struct Changed *next;
	const char *about;
} Changed;

/* Fifty thousand revocations of one protocol change its row once. */
void
rules_rows_later(Rules *rules, const char *about)
{
	Changed    *changed;

	/* with the byte that ends it: not what was visited */
	if (rules_visited(rules, about, strlen(about) + 1))
		return;
	changed = pool_alloc(rules->visit_pool, sizeof(Changed));
	changed->about = pool_text(rules->visit_pool, about);
	changed->next = rules->changed;
	rules->changed = changed;
}

static void
rules_rows_now(Rules *rules)
{
	for (const Changed *changed = rules->changed; changed != NULL; changed = changed->next)
		protocol_rows(rules, changed->about);
	rules->changed = NULL;
}

static void
rules_visit_policy(Rules *rules, const Claim *claim, void *state)
{
	if (rules_judge(rules, claim, policy_reason(rules, rules->scratch, claim)))
		*(bool *) state = true;
	pool_reset(rules->scratch);
}

static void
rules_visit_address(Rules *rules, const Claim *claim, void *state)
{
	(void) state;
	(void) rules_judge(rules, claim, address_reason(rules, rules->scratch, claim));
	pool_reset(rules->scratch);
}

static void
rules_visit_terms(Rules *rules, const Claim *claim, void *state)
{
	(void) state;
	protocol_settle(rules, claim->about);
}

static void
rules_visit_protocol(Rules *rules, const Claim *claim, void *state)
{
	(void) state;
	/* of thousands with one id, each would have all of them looked at */
	if (claim->kind == CLAIM_PROTOCOL && protocol_settle_late(rules, claim))
		return;
	/* the others are looked at one by one */
	if ((claim->kind != CLAIM_PROTOCOL && claim->kind != CLAIM_AMENDMENT) ||
		!rules_visited(rules, claim->about, strlen(claim->about)))
		protocol_settle_claim(rules, claim);
}

/* Protocols and amendments for an examinee, where a signature may be needed or have come. */
static void
rules_settle_subject(Rules *rules, const uint8_t subject[HASH_LEN])
{
	ClaimQuery	query = {
		.kinds = CLAIM_SET(CLAIM_PROTOCOL) | CLAIM_SET(CLAIM_AMENDMENT), .subject = subject
	};

	rules_each(rules, &query, rules_visit_terms, NULL);
}

static void
rules_visit_examinee(Rules *rules, const Claim *claim, void *state)
{
	(void) state;
	if (!claim->has_subject)
		examinee_settle_nobody(rules, claim);
	else if (!rules_visited(rules, claim->subject, HASH_LEN))
		examinee_settle(rules, claim->subject);
}

static void
rules_visit_glass(Rules *rules, const Claim *claim, void *state)
{
	(void) state;
	break_glass_settle_claim(rules, claim);
}

/*
 * Whose standing has changed may, or may not, break the glass on others' chains as well; and with
 * a policy anybody may, or may not.
 */
static void
rules_settle_glasses(Rules *rules, const RulesRange *range, bool policies)
{
	ClaimQuery	all = {.kinds = CLAIM_SET(CLAIM_BREAK_GLASS)};

	rules_each_touched(rules, range, CLAIM_SET_GLASS, rules_visit_glass, NULL);
	if (range->origin == NULL)
		return;
	if (policies)
	{
		rules_each(rules, &all, rules_visit_glass, NULL);
		return;
	}
	for (size_t i = 0; i < rules->members->nparties; i++)
	{
		const Party *party = rules->members->all[i];
		ClaimQuery	query = {.kinds = CLAIM_SET(CLAIM_BREAK_GLASS), .about = party->name};

		if (party->changed_from != INT64_MAX)
			rules_each(rules, &query, rules_visit_glass, NULL);
	}
}

static void
rules_visit_subject(Rules *rules, const Claim *claim, void *state)
{
	(void) state;
	if (claim->has_subject && !rules_visited(rules, claim->subject, HASH_LEN))
		rules_settle_subject(rules, claim->subject);
}

void
rules_settle(Rules *rules, const char *origin, int64_t first, int64_t last)
{
	RulesRange	range = {origin, first, last};
	ClaimQuery	keys = {.kinds = CLAIM_SET(CLAIM_EXAMINEE_KEY)};
	bool		policies = false;

	if (rules->members_new)
	{
		members_settle(rules->members);
		member_changes(rules, true);
		rules->members_new = false;
	}
	rules_each_touched(rules, &range, CLAIM_SET(CLAIM_POLICY), rules_visit_policy, &policies);
	if (policies)
		policy_load(rules);
	rules_visits_begin(rules);
	rules_each_touched(rules, &range, CLAIM_SET_EXAMINEE, rules_visit_examinee, NULL);
	rules_visits_begin(rules);
	if (policies)
		rules_each(rules, &keys, rules_visit_subject, NULL);
	else
		rules_each_touched(rules, &range, CLAIM_SET_EXAMINEE, rules_visit_subject, NULL);
	rules_visits_begin(rules);
	rules_each_touched(rules, &range, CLAIM_SET_PROTOCOL, rules_visit_protocol, NULL);
	rules_rows_now(rules);
	rules_visits_begin(rules);
	rules_settle_glasses(rules, &range, policies);
	rules_each_touched(rules, &range, CLAIM_SET(CLAIM_ADDRESS), rules_visit_address, NULL);
	role_settle(rules, origin, first, last);
	for (size_t i = 0; i < rules->members->nparties; i++)
		rules->members->all[i]->changed_from = INT64_MAX;
}

/* ----- what is gone ----- */

/* What was said by claims that are gone, and has to be judged without them. */
typedef struct Gone
{
	struct Gone *next;
	ClaimKind	kind;
	const char *about;
	bool		has_subject;
	uint8_t		subject[HASH_LEN];
	bool		effective;
	int64_t		seq;
} Gone;

typedef struct GoneList
{
	Pool	   *pool;
	Gone	   *first;
	bool		members;
	bool		policies;
} GoneList;

static void
rules_visit_gone(Rules *rules, const Claim *claim, void *state)
{
	GoneList   *list = state;
	Gone	   *gone;

	(void) rules;
	if ((CLAIM_SET(claim->kind) & CLAIM_SET_MEMBER) != 0)
	{
		list->members = true;
		return;
	}
	if (claim->kind == CLAIM_POLICY)
		list->policies = list->policies || claim->effective;
	gone = pool_alloc(list->pool, sizeof(Gone));
	gone->kind = claim->kind;
	gone->about = pool_text(list->pool, claim->about);
	gone->has_subject = claim->has_subject;
	memcpy(gone->subject, claim->subject, HASH_LEN);
	gone->effective = claim->effective;
	gone->seq = claim->seq;
	gone->next = list->first;
	list->first = gone;
}

static void
rules_gone_examinee(Rules *rules, const char *origin, const Gone *gone)
{
	StateRow	key = {.table = STATE_EXAMINEE_KEY};

	if (gone->kind == CLAIM_EXAMINEE_KEY)
	{
		key.values[0] = origin;
		key.values[1] = state_number(rules->scratch, gone->seq);
		rules->store->row_remove(rules->store_state, &key);
		pool_reset(rules->scratch);
	}
	if (gone->has_subject && !rules_visited(rules, gone->subject, HASH_LEN))
		examinee_settle(rules, gone->subject);
}

static void
rules_gone_glass(Rules *rules, const char *origin, const Gone *gone)
{
	StateRow	key = {.table = STATE_BREAK_GLASS};

	if (gone->kind == CLAIM_BREAK_GLASS)
	{
		key.values[0] = origin;
		key.values[1] = state_number(rules->scratch, gone->seq);
		rules->store->row_remove(rules->store_state, &key);
		pool_reset(rules->scratch);
	}
	if (gone->has_subject && !rules_visited(rules, gone->subject, HASH_LEN))
		break_glass_settle(rules, gone->subject);
}

void
rules_forget(Rules *rules, const char *origin, int64_t first)
{
	ClaimQuery	query = {.kinds = CLAIM_SET_ALL, .origin = origin, .first = first,
	.last = INT64_MAX};
	ClaimQuery	keys = {.kinds = CLAIM_SET(CLAIM_EXAMINEE_KEY)};
	RulesRange	none = {origin, INT64_MAX, INT64_MAX};
	GoneList	list = {.pool = pool_new()};
	bool		policies;

	rules_each(rules, &query, rules_visit_gone, &list);
	if (rules->node != NULL && strcmp(origin, rules->node) == 0)
		role_forget(rules, first);
	rules->store->claims_remove(rules->store_state, origin, first);
	signed_before_forget(rules->signed_before, origin);
	if (list.members)
	{
		members_remove(rules->members, origin, first);
		members_settle(rules->members);
		member_changes(rules, true);
		rules->members_new = false;
	}
	policies = list.policies;
	rules_each_touched(rules, &none, CLAIM_SET(CLAIM_POLICY), rules_visit_policy, &policies);
	if (policies)
		policy_load(rules);
	rules_visits_begin(rules);
	for (const Gone *gone = list.first; gone != NULL; gone = gone->next)
		if ((CLAIM_SET(gone->kind) & CLAIM_SET_EXAMINEE) != 0)
			rules_gone_examinee(rules, origin, gone);
	rules_each_touched(rules, &none, CLAIM_SET_EXAMINEE, rules_visit_examinee, NULL);
	rules_visits_begin(rules);
	if (policies)
		rules_each(rules, &keys, rules_visit_subject, NULL);
	else
		rules_each_touched(rules, &none, CLAIM_SET_EXAMINEE, rules_visit_subject, NULL);
	for (const Gone *gone = list.first; gone != NULL; gone = gone->next)
		if ((CLAIM_SET(gone->kind) & CLAIM_SET_EXAMINEE) != 0 && gone->has_subject &&
			!rules_visited(rules, gone->subject, HASH_LEN))
			rules_settle_subject(rules, gone->subject);
	rules_visits_begin(rules);
	rules_each_touched(rules, &none, CLAIM_SET_PROTOCOL, rules_visit_protocol, NULL);
	for (const Gone *gone = list.first; gone != NULL; gone = gone->next)
		if ((CLAIM_SET(gone->kind) & CLAIM_SET_PROTOCOL) != 0)
		{
			if (!rules_visited(rules, gone->about, strlen(gone->about)))
				protocol_settle(rules, gone->about);
			if (gone->kind == CLAIM_PROTOCOL && gone->effective && gone->has_subject)
				protocol_settle_rights(rules, origin, gone->subject);
		}
	rules_rows_now(rules);
	rules_visits_begin(rules);
	for (const Gone *gone = list.first; gone != NULL; gone = gone->next)
		if ((CLAIM_SET(gone->kind) & CLAIM_SET_GLASS) != 0)
			rules_gone_glass(rules, origin, gone);
	rules_settle_glasses(rules, &none, policies);
	rules_each_touched(rules, &none, CLAIM_SET(CLAIM_ADDRESS), rules_visit_address, NULL);
	for (size_t i = 0; i < rules->members->nparties; i++)
		rules->members->all[i]->changed_from = INT64_MAX;
	pool_free(list.pool);
}
