/*
 * state.c: the state that is folded from the ledger, as rows of text, and its hash.
 */
#include <stdlib.h>
#include <string.h>

#include "core/encode.h"
#include "rules/state.h"

const StateTableInfo state_tables[STATE_TABLES] = {
	[STATE_CLAIM] = {"claim", 2, {0, 1}, 12, {
		"origin", "seq", "id", "kind", "time", "height", "sealed", "about", "subject", "body",
		"effective", "reason"
	}},
	[STATE_MEMBER] = {"member", 1, {0}, 18, {
		"name", "kind", "certificate", "fingerprint", "contract", "capabilities", "valid",
		"accepted", "ledger_key", "configured_by", "suspended", "revoked", "ended", "expelled",
		"departure", "last_height", "last_hash", "takes_part"
	}},
	[STATE_CONTRACT] = {"contract", 1, {0}, 14, {
		"id", "member", "kind", "certificate", "capabilities", "valid", "offered",
		"offered_seq", "accepted", "accepted_seq", "ended", "ended_seq", "ended_by",
		"end_reason"
	}},
	[STATE_LEDGER_KEY] = {"ledger_key", 2, {0, 1}, 4, {
		"member", "from_height", "public_key", "follows"
	}},
	[STATE_MEMBER_CERTIFICATE] = {"member_certificate", 2, {8, 9}, 10, {
		"member", "fingerprint", "certificate", "period", "valid", "from_seq", "revoked",
		"revoke_reason", "cause_origin", "cause_seq"
	}},
	[STATE_EXCLUSION] = {"exclusion", 2, {0, 1}, 6, {
		"member", "cause", "from_seq", "to_seq", "during", "reason"
	}},
	[STATE_FORK] = {"fork", 2, {0, 1}, 8, {
		"origin", "seq", "member", "height", "hash", "other", "from_seq", "counts"
	}},
	[STATE_EXAMINEE_KEY] = {"examinee_key", 2, {0, 1}, 7, {
		"origin", "seq", "subject", "public_key", "registered", "withdrawn", "withdrawn_at"
	}},
	[STATE_PROTOCOL] = {"protocol", 1, {0}, 10, {
		"id", "issuer", "subject", "protocol_text", "valid", "issued", "revoked", "revoked_by",
		"revoke_reason", "version"
	}},
	[STATE_PROTOCOL_GRANT] = {"protocol_grant", 2, {0, 1}, 8, {
		"protocol", "ordinal", "subject", "grantee", "operations", "purpose", "records",
		"valid"
	}},
	[STATE_DATA_INDEX] = {"data_index", 2, {0, 1}, 6, {
		"protocol", "ordinal", "subject", "holder", "relation", "key"
	}},
	[STATE_BREAK_GLASS] = {"break_glass", 2, {0, 1}, 9, {
		"origin", "seq", "id", "member", "subject", "reason", "valid", "justified",
		"justification"
	}},
	[STATE_ROLE_BINDING] = {"role_binding", 1, {3}, 4, {
		"role", "member", "seq", "entry"
	}}
};

const char *
state_number(Pool *pool, int64_t number)
{
	char		digits[24];
	char	   *at = digits + sizeof(digits) - 1;
	uint64_t	rest = number < 0 ? 0 - (uint64_t) number : (uint64_t) number;

	/* printf() would be much of what a row costs */
	*at = '\0';
	do
		*--at = (char) ('0' + rest % 10);
	while ((rest /= 10) > 0);
	if (number < 0)
		*--at = '-';
	return pool_text(pool, at);
}

const char *
state_time(Pool *pool, int64_t time)
{
	char		text[PERIOD_TIME_SIZE];

	period_time_text(time, text);
	return pool_text(pool, text);
}

const char *
state_bytes(Pool *pool, const uint8_t *bytes, size_t len)
{
	char	   *text = pool_alloc(pool, 2 + ENCODE_HEX_SIZE(len));

	text[0] = '\\';
	text[1] = 'x';
	encode_hex(bytes, len, text + 2);
	return text;
}

const char *
state_boolean(bool value)
{
	return value ? "true" : "false";
}

static void
state_array_element(PoolText *out, const char *element)
{
	if (out->len > 1)
		pool_text_char(out, ',');
	if (element == NULL)
	{
		pool_text_puts(out, "NULL");
		return;
	}
	pool_text_char(out, '"');
	for (; *element != '\0'; element++)
	{
		if (*element == '"' || *element == '\\')
			pool_text_char(out, '\\');
		pool_text_char(out, *element);
	}
	pool_text_char(out, '"');
}

const char *
state_array(Pool *pool, const char *const *elements, size_t count)
{
	PoolText	out;

	pool_text_begin(&out, pool);
	pool_text_char(&out, '{');
	for (size_t i = 0; i < count; i++)
		state_array_element(&out, elements[i]);
	pool_text_char(&out, '}');
	return out.data;
}

const char *
state_json_array(Pool *pool, JsonSlice array)
{
	PoolText	out;
	JsonSliceStep step = {0};
	JsonSlice	item;

	pool_text_begin(&out, pool);
	pool_text_char(&out, '{');
	while (json_slice_next(array, &step, NULL, &item))
		state_array_element(&out, json_slice_text(pool, item));
	pool_text_char(&out, '}');
	return out.data;
}

void
state_claim_row(Pool *pool, const Claim *claim, StateRow *row)
{
	memset(row, 0, sizeof(*row));
	row->table = STATE_CLAIM;
	row->values[0] = claim->origin;
	row->values[1] = state_number(pool, claim->seq);
	row->values[2] = claim->id;
	row->values[3] = claim_kind_name(claim->kind);
	row->values[4] = state_time(pool, claim->time);
	row->values[5] = state_number(pool, claim->height);
	row->values[6] = state_time(pool, claim->sealed);
	row->values[7] = claim->about;
	row->values[8] = claim->has_subject ? state_bytes(pool, claim->subject, HASH_LEN) : NULL;
	row->values[9] = claim->canonical != NULL ? claim->canonical :
		json_slice_canonical(pool, claim->body, NULL);
	row->values[10] = state_boolean(claim->effective);
	row->values[11] = claim->effective ? NULL : claim->reason;
}

bool
state_is_forked(const StateRow *fork, const StateRow *row)
{
	const char *member = fork->values[2];
	const char *from_seq = fork->values[6];

	if (from_seq == NULL)
		return false;
	switch (row->table)
	{
		case STATE_CLAIM:
		case STATE_FORK:
			return strcmp(row->values[0], member) == 0 &&
				strtoll(row->values[1], NULL, 10) >= strtoll(from_seq, NULL, 10);
		case STATE_LEDGER_KEY:
			/* those that the data centre named are on no end of it */
			return strcmp(row->values[0], member) == 0 && row->values[3] == NULL &&
				strtoll(row->values[1], NULL, 10) > strtoll(fork->values[3], NULL, 10);
		default:
			return false;
	}
}

static void
state_put(PoolText *out, const char *value)
{
	if (value == NULL)
	{
		pool_text_char(out, '-');
		return;
	}
	pool_text_puts(out, state_number(out->pool, (int64_t) strlen(value)));
	pool_text_char(out, ':');
	pool_text_puts(out, value);
}

void
state_row_hash(Pool *pool, const StateRow *row, uint8_t hash[HASH_LEN])
{
	const StateTableInfo *info = &state_tables[row->table];
	PoolText	out;

	pool_text_begin(&out, pool);
	state_put(&out, info->name);
	for (int i = 0; i < info->ncolumns; i++)
		state_put(&out, row->values[i]);
	if (!hash_sha256(out.data, out.len, hash))
		pool_fail();
}

static int
state_hash_order(const void *a, const void *b)
{
	return memcmp(a, b, HASH_LEN);
}

void
state_hash(uint8_t (*rows)[HASH_LEN], size_t count, uint8_t hash[HASH_LEN])
{
	if (count > 1)
		qsort(rows, count, HASH_LEN, state_hash_order);
	if (!hash_sha256(rows, count * HASH_LEN, hash))
		pool_fail();
}
