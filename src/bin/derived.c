/*
 * derived.c: the state that follows from an export, as of a time, by the rules.
 *
 * What an entry says counts from when its block was sealed.  So the state as of a time follows from
 * the blocks that were sealed until then, and what is valid in it is what was valid at that time.
 */
#include <string.h>

#include "derived.h"

void
derived_begin(Derived *derived, const char *alliance, const char *data_center, Facts *facts)
{
	derived->pool = pool_new();
	derived->alliance = pool_text(derived->pool, alliance);
	derived->data_center = pool_text(derived->pool, data_center);
	derived->store = memory_store_new(false);
	derived->rules = rules_new(alliance, data_center, derived->node, facts, &memory_store,
							   derived->store);
}

void
derived_chain(Derived *derived)
{
	derived->passed = false;
}

bool
derived_block(Derived *derived, int64_t sealed)
{
	if (derived->as_of_given)
		derived->passed = derived->passed || sealed > derived->as_of;
	else if (sealed > derived->as_of)
		derived->as_of = sealed;
	return !derived->passed;
}

void
derived_take(Derived *derived, const Claim *claim, Statement *said, const char *payload,
			 size_t len)
{
	memory_store_entry(derived->store, payload, len);
	rules_take_claim(derived->rules, claim, said);
}

static void
derived_keep(void *state, const StateRow *row)
{
	Derived    *derived = state;
	size_t	   *count = &derived->nrows[row->table];

	if (row->table == STATE_CLAIM)
		return;
	derived->rows[row->table] = pool_grow(derived->pool, derived->rows[row->table], *count,
										  sizeof(StateRow *));
	derived->rows[row->table][(*count)++] = row;
}

void
derived_end(Derived *derived)
{
	if (derived->rules == NULL)
		return;

	/* once, over all, in whatever order they came */
	rules_settle(derived->rules, NULL, 0, INT64_MAX);
	if (derived->authorised != NULL)
		authorised_end(derived->authorised, derived->rules,
					   derived->as_of_given ? derived->as_of : INT64_MAX);
	rules_free(derived->rules);
	derived->rules = NULL;
	memory_store_rows(derived->store, derived_keep, derived);
	derived->contracts = map_new(derived->pool);
	for (size_t i = 0; i < derived->nrows[STATE_MEMBER]; i++)
	{
		const StateRow *row = derived->rows[STATE_MEMBER][i];
		const char *name = derived_value(row, "name");

		*map_at(derived->contracts, name, strlen(name)) = (void *) derived_value(row, "contract");
	}
}

bool
derived_has_node(const Derived *derived)
{
	for (size_t i = 0; i < derived->nrows[STATE_MEMBER]; i++)
		if (derived->node != NULL &&
			strcmp(derived_value(derived->rows[STATE_MEMBER][i], "name"), derived->node) == 0)
			return true;
	return derived->node == NULL;
}

void
derived_free(Derived *derived)
{
	memory_store_free(derived->store);
	pool_free(derived->pool);
}

bool
derived_rejection(const Derived *derived, bool *begun, Claim *claim)
{
	static const ClaimQuery any = {.kinds = CLAIM_SET_ALL};
	Claim		after = *claim;

	do
	{
		if (!memory_store.claim_next(derived->store, &any, *begun ? &after : NULL, derived->pool,
									 claim))
			return false;
		after = *claim;
		*begun = true;
	} while (claim->effective);
	return true;
}

bool
derived_anchors(const Derived *derived, bool *begun, Claim *claim)
{
	static const ClaimQuery sets = {
		.kinds = CLAIM_SET(CLAIM_GENESIS) | CLAIM_SET(CLAIM_ANCHORS), .effective = true
	};
	Claim		after = *claim;
	bool		found = memory_store.claim_next(derived->store, &sets, *begun ? &after : NULL,
												derived->pool, claim);

	*begun = true;
	return found;
}

const char *
derived_value(const StateRow *row, const char *column)
{
	const StateTableInfo *info = &state_tables[row->table];

	for (int i = 0; i < info->ncolumns; i++)
		if (strcmp(info->columns[i], column) == 0)
			return row->values[i];
	return NULL;
}

bool
derived_period(const char *text, Period *period)
{
	char		end[PERIOD_TIME_SIZE];
	size_t		len = text != NULL ? strlen(text) : 0;
	const char *comma = text != NULL ? strchr(text, ',') : NULL;

	memset(period, 0, sizeof(*period));
	period->empty = text != NULL && strcmp(text, "empty") == 0;
	if (period->empty)
		return true;
	if (comma == NULL || (size_t) (comma - text) > sizeof(end) ||
		len - (size_t) (comma - text) > sizeof(end))
		return false;
	period->has_from = comma - text > 1;
	period->from_inclusive = text[0] == '[';
	memcpy(end, text + 1, (size_t) (comma - text) - 1);
	end[comma - text - 1] = '\0';
	if (period->has_from && !period_time(end, &period->from))
		return false;
	period->has_to = text + len - comma > 2;
	period->to_inclusive = text[len - 1] == ']';
	memcpy(end, comma + 1, (size_t) (text + len - comma) - 2);
	end[text + len - comma - 2] = '\0';
	return !period->has_to || period_time(end, &period->to);
}

const char **
derived_elements(Pool *pool, const char *text, size_t *count)
{
	const char **elements = NULL;
	const char *at = text + 1;

	*count = 0;
	while (*at != '}' && *at != '\0')
	{
		PoolText	element;
		bool		quoted = *at == '"';

		pool_text_begin(&element, pool);
		for (at += quoted; *at != '\0' && (quoted ? *at != '"' : *at != ',' && *at != '}'); at++)
		{
			at += *at == '\\';
			pool_text_char(&element, *at);
		}
		elements = pool_grow(pool, elements, *count, sizeof(char *));
		elements[(*count)++] = quoted ? element.data : NULL;
		at += quoted;
		at += *at == ',';
	}
	return elements;
}

/* ----- in one word ----- */

/* Before, in or after a period: -1, 0, 1. */
static int
derived_place(const Derived *derived, const char *text)
{
	Period		period;

	if (!derived_period(text, &period) || period_has(&period, derived->as_of))
		return 0;
	return period.has_from && derived->as_of < period.from ? -1 : 1;
}

static const char *
derived_member_word(const Derived *derived, const StateRow *row)
{
	const char *revoked = derived_value(row, "revoked");
	int64_t		since;

	if (derived_value(row, "expelled") != NULL)
		return "expelled";
	if (derived_value(row, "ended") != NULL)
		return "ended";
	if (derived_value(row, "suspended") != NULL)
		return "suspended";
	if (strcmp(derived_value(row, "accepted"), "true") != 0)
		return "admitted";
	if (derived_value(row, "ledger_key") == NULL)
		return "accepted";
	if ((revoked != NULL && period_time(revoked, &since) && since <= derived->as_of) ||
		strcmp(derived_value(row, "takes_part"), "true") != 0)
		return "revoked";
	return derived_place(derived, derived_value(row, "valid")) != 0 ? "expired" : "active";
}

static const char *
derived_contract_word(const Derived *derived, const StateRow *row)
{
	const char *member = derived_value(row, "member");
	const char *current;

	if (derived_value(row, "ended") != NULL)
		return "ended";
	if (derived_value(row, "accepted") == NULL)
		return "offered";
	current = map_get(derived->contracts, member, strlen(member));
	if (current != NULL && strcmp(current, derived_value(row, "id")) != 0)
		return "superseded";
	return derived_place(derived, derived_value(row, "valid")) != 0 ? "expired" : "in force";
}

static const char *
derived_protocol_word(const Derived *derived, const StateRow *row)
{
	int			place;

	if (derived_value(row, "revoked") != NULL)
		return "revoked";
	place = derived_place(derived, derived_value(row, "valid"));
	return place < 0 ? "future" : place == 0 ? "active" : "expired";
}

const char *
derived_word(const Derived *derived, const StateRow *row)
{
	switch (row->table)
	{
		case STATE_MEMBER:
			return derived_member_word(derived, row);
		case STATE_CONTRACT:
			return derived_contract_word(derived, row);
		case STATE_PROTOCOL:
			return derived_protocol_word(derived, row);
		default:
			return NULL;
	}
}
