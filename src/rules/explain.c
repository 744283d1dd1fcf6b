/*
 * explain.c: what the rules say of one entry, condition by condition (see explain.h).
 *
 * A rule asks its conditions in an order, and the first that fails gives the reason.  So the reason
 * that an entry was judged by says which one that was, that those before it hold, and that those
 * behind it were not asked.  They are not asked once more: what is known now may not have been
 * known where the rule asks.  All kinds share the first two, that the entry can be read and stands
 * in no excluded part of its chain; the others are in explain_terms.c.
 */
#include <inttypes.h>
#include <string.h>

#include "rules/explain.h"
#include "rules/explain_terms.h"
#include "rules/rules_internal.h"

static void
explain_excluded(Explain *explain)
{
	const Claim *claim = explain->claim;
	const char *reason = claim->effective ? NULL :
	standing_excluded(explain->author, claim->seq, claim->time);
	const char *by = "no suspension, expulsion or revocation list names its place or time";
	const Standing *now = explain->author != NULL ? explain->author->now : NULL;

	if (reason != NULL && strcmp(reason, claim->reason) != 0)
		reason = NULL;
	for (size_t i = 0; reason != NULL && now != NULL && i < now->nexclusions; i++)
		if (strcmp(now->exclusions[i].reason, reason) == 0)
		{
			by = pool_format(explain->pool, "%s: entry %" PRId64 " of \"%s\"", reason,
							 now->exclusions[i].cause->said->claim.seq,
							 now->exclusions[i].cause->said->claim.origin);
			break;
		}
	explain_tell(explain, "it stands in no part of its chain that is excluded", reason == NULL,
				 by);
}

bool
rules_explain(Rules *rules, const char *origin, int64_t seq, ExplainVisit visit, void *state)
{
	ClaimQuery	query = {.kinds = CLAIM_SET_ALL, .origin = origin, .first = seq, .last = seq};
	Pool	   *pool = pool_new();
	Explain		explain = {.rules = rules, .pool = pool, .visit = visit, .state = state};
	Claim		claim;
	bool		found = rules->store->claim_next(rules->store_state, &query, NULL, pool, &claim);

	if (found)
	{
		const char *worth = claim.effective ? "every condition holds" :
		claim.reason != NULL ? claim.reason : "";
		bool		readable = claim.effective || strcmp(worth, "malformed entry") != 0;

		explain.claim = &claim;
		explain.author = rules_author(rules, &claim);
		explain_tell(&explain, "what it says can be read, by all programs alike", readable,
					 readable ? "the text of the entry" : worth);
		if (claim.kind != CLAIM_REKEY && claim.kind != CLAIM_FORK &&
			claim.kind != CLAIM_BIND_ROLE)
			explain_excluded(&explain);
		explain_terms(&explain);
		visit(state, "it has effect", claim.effective ? EXPLAIN_HOLDS : EXPLAIN_FAILS, worth);
	}
	pool_free(pool);
	return found;
}
