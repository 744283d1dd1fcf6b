/*
 * break_glass.c: who may read an examinee's records in an emergency, without a protocol, and for
 * how long; and who has said why.
 *
 * A member says so on its own chain, which opens the records everywhere; or the holder of records
 * says it on its chain, for the member that is connected to it, which opens them there.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "rules/rules_internal.h"

#define GLASS_DIGITS 6
#define GLASS_SECONDS_MAX (7 * 86400)	/* what is called short */

bool
break_glass_seconds(const char *text, int64_t *seconds)
{
	size_t		len = text != NULL ? strlen(text) : 0;

	if (len < 1 || len > GLASS_DIGITS || strspn(text, "0123456789") != len)
		return false;
	*seconds = strtoll(text, NULL, 10);
	return *seconds <= GLASS_SECONDS_MAX;
}

static bool
glass_has_text(const Claim *claim, const char *field)
{
	return json_slice_type(rules_field(claim, field)) == JSON_SLICE_STRING;
}

/*
 * Rule: a member whose contract has the capability emergency breaks the glass, on its chain; on
 * another one, if the author of that takes part, the entry names a block of the member's chain and
 * the member may there.  (doc/ledger.md, "Break-glass")
 */
static const char *
glass_may(Rules *rules, Pool *pool, const Claim *claim)
{
	char	   *member = json_slice_text(pool, rules_field(claim, "member"));
	Party	   *author = rules_author(rules, claim);
	Party	   *party;
	const char *reason;
	ClaimPoint	point;

	if (member != NULL && strcmp(member, claim->origin) == 0)
		return standing_reason(author, claim->seq, claim->time, claim->sealed,
							   CAPABILITY_EMERGENCY, "the author may not break the glass");
	reason = standing_reason(author, claim->seq, claim->time, claim->sealed, 0,
							 "the author takes no part");
	if (reason != NULL)
		return reason;
	claim_point(pool, rules_field(claim, "last"), &point);
	if (!point.valid)
		return "it names no block of the member's chain";
	party = member != NULL ? members_party(rules->members, member) : NULL;
	if (standing_excluded(party, point.size, claim->time) != NULL ||
		standing_reason(party, point.size, claim->time, claim->sealed, CAPABILITY_EMERGENCY,
						"") != NULL)
		return "the member may not break the glass there";
	return NULL;
}

/*
 * Rule: it is about an examinee, with a reason and an end, and opens for at most as long as the
 * policy break_glass_max allows; where there is none, nobody breaks the glass.  period: from when
 * to when, if it has effect.  (doc/ledger.md, "Break-glass")
 */
const char *
break_glass_reason(Rules *rules, Pool *pool, const Claim *claim, Period *period)
{
	Party	   *author = rules_author(rules, claim);
	const char *policy;
	const char *reason;
	char	   *end;
	int64_t		until;
	int64_t		seconds = 0;

	if (claim_is_empty(claim))
		return "malformed entry";
	reason = standing_excluded(author, claim->seq, claim->time);
	if (reason == NULL)
		reason = glass_may(rules, pool, claim);
	if (reason != NULL)
		return reason;
	if (!claim->has_subject)
		return "it names no subject";
	if (!glass_has_text(claim, "reason"))
		return "it gives no reason";
	end = json_slice_text(pool, rules_field(claim, "until"));
	if (end == NULL || !period_time(end, &until) || until <= claim->time)
		return "it has no end, or one before its beginning";
	policy = policy_at(rules, pool, POLICY_BREAK_GLASS, claim->origin, claim->seq);
	if (!break_glass_seconds(policy, &seconds) || seconds == 0)
		return "no policy allows to break the glass there";
	if (until > claim->time + seconds * PERIOD_SECOND)
		until = claim->time + seconds * PERIOD_SECOND;
	*period = period_between(&claim->time, &until);
	return NULL;
}

/* ----- justifications ----- */

/* Does a justification name this place? */
static bool
glass_is_named(Pool *pool, const Claim *justification, const Claim *glass)
{
	return rules_field_is(pool, justification, "chain", glass->origin) &&
		rules_field_is(pool, justification, "seq", state_number(pool, glass->seq));
}

bool
break_glass_of(Rules *rules, Pool *pool, const Claim *justification, Claim *glass)
{
	ClaimQuery	query = {.kinds = CLAIM_SET(CLAIM_BREAK_GLASS), .subject = justification->subject};
	char	   *seq = json_slice_text(pool, rules_field(justification, "seq"));
	size_t		len = seq != NULL ? strlen(seq) : 0;

	query.origin = json_slice_text(pool, rules_field(justification, "chain"));
	if (!justification->has_subject || query.origin == NULL || len < 1 || len > 18 ||
		strspn(seq, "0123456789") != len)
		return false;
	query.first = query.last = strtoll(seq, NULL, 10);
	return rules->store->claim_next(rules->store_state, &query, NULL, pool, glass) &&
		strcmp(glass->id, justification->about) == 0 && glass_is_named(pool, justification, glass);
}

/*
 * Rule: it is the member's, on its own chain or on the one on which it broke the glass, there
 * behind that; but for who was first.  glass: NULL if there is none.  (doc/ledger.md,
 * "Break-glass")
 */
static const char *
glass_justification_reason(Rules *rules, Pool *pool, const Claim *claim, const Claim *glass)
{
	const char *reason;
	char	   *member;

	if (claim_is_empty(claim))
		return "malformed entry";
	reason = standing_excluded(rules_author(rules, claim), claim->seq, claim->time);
	if (reason != NULL)
		return reason;
	member = json_slice_text(pool, rules_field(claim, "member"));
	if (glass == NULL || member == NULL || !rules_field_is(pool, glass, "member", member) ||
		(strcmp(claim->origin, glass->origin) == 0 && claim->seq < glass->seq))
		return "there is no such break-glass of this member";
	if (strcmp(claim->origin, member) != 0 && strcmp(claim->origin, glass->origin) != 0)
		return "only the member itself, or the holder of the records for it, justifies";
	return glass_has_text(claim, "justification") ? NULL : "there is no justification in it";
}

/* The next justification of that; *begun is false before the first. */
static bool
glass_justification(Rules *rules, const Claim *glass, bool *begun, Pool *pool, Claim *claim)
{
	ClaimQuery	query = {.kinds = CLAIM_SET(CLAIM_JUSTIFICATION), .about = glass->id,
	.subject = glass->subject};
	Claim		after = *claim;

	while (rules->store->claim_next(rules->store_state, &query, *begun ? &after : NULL, pool,
									claim))
	{
		*begun = true;
		if (glass_is_named(pool, claim, glass))
			return true;
		after = *claim;
	}
	return false;
}

/*
 * Rule: of several justifications the earliest counts.  False: there is none.  (doc/ledger.md,
 * "Break-glass")
 */
static bool
glass_justified(Rules *rules, Pool *pool, const Claim *glass, bool effective, Claim *first)
{
	Claim		claim = {0};
	bool		begun = false;
	bool		found = false;

	while (effective && glass_justification(rules, glass, &begun, pool, &claim))
		if (glass_justification_reason(rules, pool, &claim, glass) == NULL &&
			(!found || rules_order(&claim, first) < 0))
		{
			*first = claim;
			found = true;
		}
	begun = false;
	while (glass->has_subject && glass_justification(rules, glass, &begun, pool, &claim))
	{
		const char *reason = glass_justification_reason(rules, pool, &claim,
														effective ? glass : NULL);

		if (reason == NULL && rules_order(&claim, first) != 0)
			reason = "it is justified already";
		(void) rules_judge(rules, &claim, reason);
	}
	return found;
}

/* ----- settling ----- */

static void
glass_settle(Rules *rules, Pool *pool, const Claim *claim)
{
	/* longer than a subject, which is looked at as well */
	const char *place = pool_format(pool, "break-glass, entry %020" PRId64 " of %s", claim->seq,
									claim->origin);
	StateRow	row = {.table = STATE_BREAK_GLASS};
	Period		period;
	const char *reason;
	Claim		justification;
	bool		justified;

	/* with all that justifies it */
	if (rules_visited(rules, place, strlen(place)))
		return;
	reason = break_glass_reason(rules, pool, claim, &period);
	(void) rules_judge(rules, claim, reason);
	justified = glass_justified(rules, pool, claim, reason == NULL, &justification);
	row.values[0] = claim->origin;
	row.values[1] = state_number(pool, claim->seq);
	if (reason != NULL)
	{
		rules->store->row_remove(rules->store_state, &row);
		return;
	}
	row.values[2] = claim->id;
	row.values[3] = json_slice_text(pool, rules_field(claim, "member"));
	row.values[4] = state_bytes(pool, claim->subject, HASH_LEN);
	row.values[5] = json_slice_text(pool, rules_field(claim, "reason"));
	row.values[6] = period_text(pool, &period);
	if (justified)
	{
		row.values[7] = state_time(pool, justification.time);
		row.values[8] = json_slice_text(pool, rules_field(&justification, "justification"));
	}
	rules->store->row_put(rules->store_state, &row);
}

void
break_glass_settle_claim(Rules *rules, const Claim *claim)
{
	Pool	   *pool = pool_new();
	Claim		glass;

	if (claim->kind == CLAIM_BREAK_GLASS)
		glass_settle(rules, pool, claim);
	else if (break_glass_of(rules, pool, claim, &glass))
		glass_settle(rules, pool, &glass);
	else
		(void) rules_judge(rules, claim, glass_justification_reason(rules, pool, claim, NULL));
	pool_free(pool);
}

static void
glass_visit(Rules *rules, const Claim *claim, void *state)
{
	(void) state;
	break_glass_settle_claim(rules, claim);
}

void
break_glass_settle(Rules *rules, const uint8_t subject[HASH_LEN])
{
	ClaimQuery	query = {.kinds = CLAIM_SET_GLASS, .subject = subject};

	rules_each(rules, &query, glass_visit, NULL);
}
