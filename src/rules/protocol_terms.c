/*
 * protocol_terms.c: the terms of a protocol: what they must look like, and the rows they make.
 */
#include <string.h>

#include "rules/rules_internal.h"

static bool
terms_are(JsonSlice list, const char *one, const char *other)
{
	JsonSliceStep step = {0};
	JsonSlice	item;

	if (json_slice_type(list) != JSON_SLICE_ARRAY)
		return false;
	while (json_slice_next(list, &step, NULL, &item))
		if (!json_slice_is(item, one) && !json_slice_is(item, other))
			return false;
	return true;
}

/* Missing, or of that type: a null is neither. */
static bool
terms_may_be(JsonSlice value, JsonSliceType wanted)
{
	JsonSliceType type = json_slice_type(value);

	return type == JSON_SLICE_MISSING || type == wanted;
}

/* A field with a member's name. */
static bool
terms_name(JsonSlice value)
{
	char		name[ENTRY_NAME_MAX + 1];

	return json_slice_string(value, name, sizeof(name)) && entry_name_valid(name);
}

/*
 * Rule: a protocol has a text, a period, grants (a member's name, operations among query and
 * update, a period, and maybe a purpose and records) and a data index (holder and relation).
 * Users' spelling is normalised before it is signed.  (doc/ledger.md, "Protocols")
 */
const char *
protocol_terms_reason(JsonSlice terms)
{
	JsonSlice	grants = json_slice_get(terms, "grants");
	JsonSlice	index = json_slice_get(terms, "data_index");
	JsonSliceStep grant = {0};
	JsonSliceStep indexed = {0};
	JsonSlice	item;
	Period		period;

	if (json_slice_type(json_slice_get(terms, "text")) != JSON_SLICE_STRING)
		return "protocol has no text";
	if (json_slice_type(grants) != JSON_SLICE_ARRAY || json_slice_type(index) != JSON_SLICE_ARRAY)
		return "grants and data index must be arrays";
	if (!period_read(json_slice_get(terms, "valid"), &period) || period.empty)
		return "protocol has no valid period";
	while (json_slice_next(grants, &grant, NULL, &item))
		if (!terms_name(json_slice_get(item, "grantee")) ||
			!terms_are(json_slice_get(item, "operations"), "query", "update") ||
			!period_read(json_slice_get(item, "valid"), &period) || period.empty ||
			!terms_may_be(json_slice_get(item, "purpose"), JSON_SLICE_STRING) ||
			!terms_may_be(json_slice_get(item, "records"), JSON_SLICE_ARRAY))
			return "malformed grant";
	while (json_slice_next(index, &indexed, NULL, &item))
		if (json_slice_type(json_slice_get(item, "holder")) != JSON_SLICE_STRING ||
			json_slice_type(json_slice_get(item, "relation")) != JSON_SLICE_STRING)
			return "malformed data index";
	return NULL;
}

/* ----- rows ----- */

static int64_t
terms_grants(Rules *rules, Pool *pool, const Claim *base, const char *subject, JsonSlice terms,
			 const Period *term)
{
	JsonSliceStep step = {0};
	JsonSlice	item;
	int64_t		ordinal = 0;

	while (json_slice_next(json_slice_get(terms, "grants"), &step, NULL, &item))
	{
		StateRow	row = {.table = STATE_PROTOCOL_GRANT};
		JsonSlice	records = json_slice_get(item, "records");
		Period		period;

		(void) period_read(json_slice_get(item, "valid"), &period);
		period = period_intersect(&period, term);
		row.values[0] = base->id;
		row.values[1] = state_number(pool, ++ordinal);
		row.values[2] = subject;
		row.values[3] = json_slice_text(pool, json_slice_get(item, "grantee"));
		row.values[4] = state_json_array(pool, json_slice_get(item, "operations"));
		row.values[5] = json_slice_text(pool, json_slice_get(item, "purpose"));
		row.values[6] = records.value != NULL ? state_json_array(pool, records) : NULL;
		row.values[7] = period_text(pool, &period);
		rules->store->row_put(rules->store_state, &row);
	}
	return ordinal;
}

static int64_t
terms_index(Rules *rules, Pool *pool, const Claim *base, const char *subject, JsonSlice terms)
{
	JsonSliceStep step = {0};
	JsonSlice	item;
	int64_t		ordinal = 0;

	while (json_slice_next(json_slice_get(terms, "data_index"), &step, NULL, &item))
	{
		StateRow	row = {.table = STATE_DATA_INDEX};
		JsonSlice	key = json_slice_get(item, "key");

		row.values[0] = base->id;
		row.values[1] = state_number(pool, ++ordinal);
		row.values[2] = subject;
		row.values[3] = json_slice_text(pool, json_slice_get(item, "holder"));
		row.values[4] = json_slice_text(pool, json_slice_get(item, "relation"));
		row.values[5] = key.value != NULL ? json_slice_canonical(pool, key, NULL) : NULL;
		rules->store->row_put(rules->store_state, &row);
	}
	return ordinal;
}

static void
terms_visit_newest(Rules *rules, const Claim *claim, void *state)
{
	int64_t    *newest = state;

	(void) rules;
	if (claim->seq > *newest)
		*newest = claim->seq;
}

/*
 * The terms in force: those of the newest amendment, or the protocol's own; and their version: the
 * place of the entry on the issuer's chain, where both stand.
 */
static JsonSlice
terms_newest(Rules *rules, Pool *pool, const char *about, const Claim *base,
			 int64_t *version)
{
	ClaimQuery	query = {
		.kinds = CLAIM_SET(CLAIM_PROTOCOL) | CLAIM_SET(CLAIM_AMENDMENT), .origin = base->origin,
		.first = base->seq, .last = INT64_MAX, .about = about, .effective = true, .bare = true
	};
	Claim		claim = {0};

	*version = base->seq;
	/* one at a time: all of them might not fit into memory */
	rules_each(rules, &query, terms_visit_newest, version);
	query.first = query.last = *version;
	query.bare = false;
	(void) rules->store->claim_next(rules->store_state, &query, NULL, pool, &claim);
	return claim.body;
}

/* Where a revocation stands, and since when; there is none if the place is negative. */
typedef struct Revoked
{
	Pool	   *pool;
	const char *origin;
	int64_t		seq;
	int64_t		time;
} Revoked;

static void
terms_visit_revocation(Rules *rules, const Claim *claim, void *state)
{
	Revoked    *revoked = state;

	(void) rules;
	/* they come in the order of chain and place */
	if (revoked->seq >= 0 && claim->time >= revoked->time)
		return;
	if (revoked->seq < 0 || strcmp(revoked->origin, claim->origin) != 0)
		revoked->origin = pool_text(revoked->pool, claim->origin);
	revoked->seq = claim->seq;
	revoked->time = claim->time;
}

/* The revocation that counts: the earliest. */
static bool
terms_revocation(Rules *rules, Pool *pool, const char *about, Claim *earliest)
{
	ClaimQuery	query = {.kinds = CLAIM_SET(CLAIM_REVOCATION), .about = about, .effective = true,
	.bare = true};
	Revoked		revoked = {.pool = pool, .seq = -1};

	rules_each(rules, &query, terms_visit_revocation, &revoked);
	if (revoked.seq < 0)
		return false;
	query.origin = revoked.origin;
	query.first = query.last = revoked.seq;
	query.bare = false;
	return rules->store->claim_next(rules->store_state, &query, NULL, pool, earliest);
}

static bool
terms_is_id(const char *about)
{
	for (int i = 0; i < CLAIM_UUID_SIZE - 1; i++)
		if (i == 8 || i == 13 || i == 18 || i == 23 ? about[i] != '-' :
			about[i] == '\0' || strchr("0123456789abcdef", about[i]) == NULL)
			return false;
	return about[CLAIM_UUID_SIZE - 1] == '\0';
}

/*
 * Rule: of amendments the newest counts, of revocations the earliest, and a revocation always wins;
 * a grant is valid within the protocol's validity.  (doc/ledger.md, "Protocols")
 */
void
protocol_rows(Rules *rules, const char *about)
{
	Pool	   *pool;
	Claim		base;
	int64_t		grants = 0;
	int64_t		index = 0;

	if (!terms_is_id(about))
		return;
	pool = pool_new();
	if (protocol_base(rules, pool, about, &base))
	{
		StateRow	row = {.table = STATE_PROTOCOL};
		int64_t		version;
		JsonSlice	terms = terms_newest(rules, pool, about, &base, &version);
		const char *subject = state_bytes(pool, base.subject, HASH_LEN);
		Claim		end;
		Period		term;

		(void) period_read(json_slice_get(terms, "valid"), &term);
		row.values[0] = base.id;
		row.values[1] = base.origin;
		row.values[2] = subject;
		row.values[3] = json_slice_text(pool, json_slice_get(terms, "text"));
		row.values[4] = period_text(pool, &term);
		row.values[5] = state_time(pool, base.time);
		if (terms_revocation(rules, pool, about, &end))
		{
			row.values[6] = state_time(pool, end.time);
			row.values[7] = end.origin;
			row.values[8] = json_slice_text(pool, json_slice_get(end.body, "reason"));
		}
		row.values[9] = state_number(pool, version);
		rules->store->row_put(rules->store_state, &row);
		grants = terms_grants(rules, pool, &base, subject, terms, &term);
		index = terms_index(rules, pool, &base, subject, terms);
	}
	else
	{
		StateRow	key = {.table = STATE_PROTOCOL};

		key.values[0] = about;
		rules->store->row_remove(rules->store_state, &key);
	}
	rules->store->rows_trim(rules->store_state, STATE_PROTOCOL_GRANT, about, grants + 1);
	rules->store->rows_trim(rules->store_state, STATE_DATA_INDEX, about, index + 1);
	pool_free(pool);
}
