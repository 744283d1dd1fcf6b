/*
 * statement.c: a claim about members, with all that cryptography says of it.
 */
#include <stdlib.h>
#include <string.h>

#include "rules/fork.h"
#include "rules/statement.h"

static const struct
{
	const char *name;
	Capability	capability;
}			capabilities[] = {
	{"admit", CAPABILITY_ADMIT}, {"configure", CAPABILITY_CONFIGURE}, {"issue", CAPABILITY_ISSUE},
	{"query", CAPABILITY_QUERY}, {"update", CAPABILITY_UPDATE}, {"audit", CAPABILITY_AUDIT},
	{"emergency", CAPABILITY_EMERGENCY}
};

#define NCAPABILITIES (sizeof(capabilities) / sizeof(capabilities[0]))

static const char *
statement_text(Facts *facts, const Claim *claim, const char *field)
{
	return json_slice_text(facts_pool(facts), json_slice_get(claim->body, field));
}

static void
statement_capabilities(Facts *facts, Statement *said)
{
	JsonSlice	list = json_slice_get(said->claim.body, "capabilities");
	JsonSliceStep step = {0};
	JsonSlice	item;

	said->capable = json_slice_type(list) == JSON_SLICE_ARRAY;
	while (json_slice_next(list, &step, NULL, &item))
	{
		bool		known = false;

		for (size_t i = 0; i < NCAPABILITIES; i++)
			if (json_slice_is(item, capabilities[i].name))
			{
				known = true;
				said->capabilities |= capabilities[i].capability;
			}
		said->capable = said->capable && known;
	}
	if (said->capable)
		said->capability_list = state_json_array(facts_pool(facts), list);
}

/*
 * The points in a list of the data centre's.  No member's name is longer than that, and an index
 * takes no longer ones.
 */
static void
statement_points(Facts *facts, Statement *said)
{
	Pool	   *pool = facts_pool(facts);
	JsonSlice	last = json_slice_get(said->claim.body, "last");
	StatementPoint *points = NULL;
	JsonSliceStep step = {0};
	const char *name;
	JsonSlice	value;
	ClaimPoint	point;

	said->last_is_object = json_slice_type(last) == JSON_SLICE_OBJECT;
	said->points_valid = claim_points_valid(pool, last);
	while (said->points_valid && json_slice_next(last, &step, &name, &value))
	{
		if (strlen(name) > ENTRY_NAME_MAX)
			continue;
		claim_point(pool, value, &point);
		points = pool_grow(pool, points, said->npoints, sizeof(StatementPoint));
		points[said->npoints].member = pool_text(pool, name);
		points[said->npoints++].size = point.size;
	}
	said->points = points;
}

/* How many days after the end of its certificate the data centre may renew the anchors next. */
static void
statement_grace(Facts *facts, Statement *said)
{
	const char *days = statement_text(facts, &said->claim, "grace_days");
	size_t		len = days != NULL ? strlen(days) : 0;
	long		number = days != NULL && len <= 3 ? strtol(days, NULL, 10) : -1;

	said->grace = -1;
	said->graced = days == NULL || (len >= 1 && strspn(days, "0123456789") == len &&
									number >= 0 && number <= STATEMENT_GRACE_DAYS_MAX);
	if (days != NULL && said->graced)
		said->grace = number * INT64_C(86400) * PERIOD_SECOND;
}

Statement *
statement_new(Facts *facts, const Claim *claim, const char *payload, size_t len)
{
	Pool	   *pool = facts_pool(facts);
	Statement  *said = pool_alloc(pool, sizeof(Statement));
	Claim	   *copy = &said->claim;

	*copy = *claim;
	copy->origin = facts_keep(facts, claim->origin);
	copy->about = facts_keep(facts, claim->about);
	copy->body = json_slice_keep(pool, claim->body);
	said->empty = claim_is_empty(copy);
	said->member = facts_keep(facts, statement_text(facts, copy, "member"));
	said->alliance = statement_text(facts, copy, "alliance");
	said->why = statement_text(facts, copy, "reason");
	claim_point(pool, json_slice_get(copy->body, "last"), &said->last);
	switch (copy->kind)
	{
		case CLAIM_GENESIS:
			said->anchors = facts_keep(facts, statement_text(facts, copy, "trust_anchors"));
			break;
		case CLAIM_CONTRACT:
			said->kind = statement_text(facts, copy, "kind");
			said->timed = period_read(json_slice_get(copy->body, "valid"), &said->valid) &&
				!said->valid.empty;
			statement_capabilities(facts, said);
			break;
		case CLAIM_ACCEPTANCE:
		case CLAIM_ENDING:
			said->contract = statement_text(facts, copy, "contract");
			break;
		case CLAIM_REKEY:
			said->previous = statement_text(facts, copy, "previous");
			break;
		case CLAIM_ANCHORS:
			said->anchors = facts_keep(facts, statement_text(facts, copy, "trust_anchors"));
			statement_grace(facts, said);
			statement_points(facts, said);
			break;
		case CLAIM_CRL:
			said->crl = facts_keep(facts, statement_text(facts, copy, "crl"));
			statement_points(facts, said);
			break;
		case CLAIM_FORK:
			said->fork = fork_read(facts, copy->body);
			said->why = "it has signed two blocks of one height";
			break;
		default:
			break;
	}
	if (copy->kind == CLAIM_GENESIS || copy->kind == CLAIM_CONTRACT || copy->kind == CLAIM_REKEY)
		said->certificate = facts_certificate(facts, statement_text(facts, copy, "certificate"));
	if (copy->kind == CLAIM_CONFIGURE || copy->kind == CLAIM_REKEY)
		said->public_key = facts_key(facts, statement_text(facts, copy, "public_key"));
	if (copy->kind == CLAIM_CONTRACT || copy->kind == CLAIM_ACCEPTANCE ||
		copy->kind == CLAIM_REKEY || copy->kind == CLAIM_ANCHORS)
		claim_envelope(pool, payload, len, &said->envelope);
	return said;
}

const char *
statement_path(Facts *facts, Statement *said, const char *anchors)
{
	if (said->certificate == NULL)
		return "certificate is not accepted: it is missing";
	if (anchors == NULL)
		return "certificate is not accepted: there are no trust anchors";
	if (said->path_anchors != anchors)
	{
		said->path = facts_path(facts, said->certificate, anchors, said->claim.time);
		said->path_anchors = anchors;
	}
	return said->path->told;
}

static const SignedText *
statement_envelope(void *state)
{
	return &((Statement *) state)->envelope;
}

const char *
statement_signed(Facts *facts, Statement *said, const KeyFact *key)
{
	const char *reason;
	unsigned	place;

	/* of tens of thousands, the facts do not have all at hand */
	for (unsigned i = 0; i < said->nsignatures && i < STATEMENT_SIGNATURES; i++)
		if (said->signatures[i].key == key)
			return said->signatures[i].reason;
	reason = facts_signed(facts, &said->claim, key, statement_envelope, said);
	place = said->nsignatures++ % STATEMENT_SIGNATURES;
	said->signatures[place].key = key;
	said->signatures[place].reason = reason;
	return reason;
}
