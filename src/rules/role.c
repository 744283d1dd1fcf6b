/*
 * role.c: which roles of this node act for whom.
 *
 * Such entries are of effect on their own node alone, and there whatever else is known.
 */
#include <string.h>

#include "rules/rules_internal.h"

typedef struct Binding
{
	const char *role;
	const char *member;
	int64_t		seq;
	const char *entry;
	bool		ended;
	struct Binding *next;
} Binding;

/* Does an entry that names what it replaces name that one?  As jsonb's @> takes it. */
static bool
role_replaces(JsonSlice replaces, const char *entry)
{
	JsonSliceStep step = {0};
	JsonSlice	item;

	if (json_slice_is(replaces, entry))
		return true;
	if (json_slice_type(replaces) != JSON_SLICE_ARRAY)
		return false;
	while (json_slice_next(replaces, &step, NULL, &item))
		if (json_slice_is(item, entry))
			return true;
	return false;
}

/*
 * Rule: a binding names those that end with it; one that does not say so ends what the name was
 * bound to.  (doc/ledger.md, "Kinds, and what their bodies say")
 */
static void
role_bind(Pool *pool, Binding **bindings, const Claim *claim)
{
	JsonSlice	replaces = json_slice_get(claim->body, "replaces");
	char	   *member = json_slice_text(pool, json_slice_get(claim->body, "member"));
	Binding   **place = bindings;
	Binding    *fresh;

	while (*place != NULL)
		if (replaces.value != NULL ? role_replaces(replaces, (*place)->entry) :
			strcmp((*place)->role, claim->about) == 0)
			*place = (*place)->next;
		else if (strcmp((*place)->entry, claim->id) == 0)
			return;				/* an entry binds once */
		else
			place = &(*place)->next;
	if (member == NULL)
		return;
	fresh = pool_alloc(pool, sizeof(Binding));
	fresh->role = pool_text(pool, claim->about);
	fresh->member = member;
	fresh->seq = claim->seq;
	fresh->entry = pool_text(pool, claim->id);
	*place = fresh;
}

/* The bindings that there are by the claims before an entry of our chain. */
static Binding *
role_bindings(Rules *rules, Pool *pool, int64_t before)
{
	ClaimQuery	query = {.kinds = CLAIM_SET(CLAIM_BIND_ROLE), .origin = rules->node, .first = 0,
	.last = before - 1};
	Binding    *bindings = NULL;
	Claim		claim;
	Claim		after;
	bool		begun = false;

	while (rules->store->claim_next(rules->store_state, &query, begun ? &after : NULL, pool,
									&claim))
	{
		role_bind(pool, &bindings, &claim);
		after = claim;
		begun = true;
	}
	return bindings;
}

static const Binding *
role_find(const Binding *bindings, const char *entry)
{
	while (bindings != NULL && strcmp(bindings->entry, entry) != 0)
		bindings = bindings->next;
	return bindings;
}

static void
role_write(Rules *rules, Pool *pool, const Binding *before, const Binding *now)
{
	for (const Binding *binding = before; binding != NULL; binding = binding->next)
		if (role_find(now, binding->entry) == NULL)
		{
			StateRow	key = {.table = STATE_ROLE_BINDING};

			key.values[3] = binding->entry;
			rules->store->row_remove(rules->store_state, &key);
		}
	for (const Binding *binding = now; binding != NULL; binding = binding->next)
	{
		const Binding *known = role_find(before, binding->entry);
		StateRow	row = {.table = STATE_ROLE_BINDING};

		if (known != NULL && known->seq == binding->seq)
			continue;
		row.values[0] = binding->role;
		row.values[1] = binding->member;
		row.values[2] = state_number(pool, binding->seq);
		row.values[3] = binding->entry;
		rules->store->row_put(rules->store_state, &row);
	}
}

void
role_settle(Rules *rules, const char *origin, int64_t first, int64_t last)
{
	ClaimQuery	query = {.kinds = CLAIM_SET(CLAIM_BIND_ROLE), .origin = origin, .first = first,
	.last = last};
	Pool	   *pool = pool_new();
	Claim		claim;
	Claim		after;
	bool		begun = false;

	while (rules->store->claim_next(rules->store_state, &query, begun ? &after : NULL, pool,
									&claim))
	{
		(void) rules_judge(rules, &claim, claim_is_empty(&claim) ? "malformed entry" : NULL);
		after = claim;
		begun = true;
	}
	if (begun && rules->node != NULL && strcmp(origin, rules->node) == 0)
		role_write(rules, pool, role_bindings(rules, pool, first),
				   role_bindings(rules, pool, last == INT64_MAX ? last : last + 1));
	pool_free(pool);
}

/* Before the claims of our own chain from that one on go. */
void
role_forget(Rules *rules, int64_t first)
{
	Pool	   *pool = pool_new();

	role_write(rules, pool, role_bindings(rules, pool, INT64_MAX),
			   role_bindings(rules, pool, first));
	pool_free(pool);
}
