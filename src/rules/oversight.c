/*
 * oversight.c: reading the entries of a chain, one after the other, for oversight (oversight.h).
 */
#include <stdlib.h>
#include <string.h>

#include "core/encode.h"
#include "rules/oversight_internal.h"

/* Between that something is there, and that a statement which begins is judged by it. */
#define OVERSIGHT_MOMENT PERIOD_SECOND

/* A change is recorded while its statement runs, which may have begun that long before. */
#define OVERSIGHT_STATEMENT (3600 * PERIOD_SECOND)



Oversight *
oversight_new(Rules *rules)
{
	Pool	   *pool = pool_new();
	Oversight  *oversight = pool_piece(pool, sizeof(Oversight));

	memset(oversight, 0, sizeof(*oversight));
	oversight->rules = rules;
	oversight->pool = pool;
	oversight->entry_pool = pool_new();
	oversight->scratch = pool_new();
	return oversight;
}

void
oversight_free(Oversight *oversight)
{
	Pool	   *pool = oversight->pool;

	pool_free(oversight->entry_pool);
	pool_free(oversight->scratch);
	pool_piece_free(pool, oversight);
	pool_free(pool);
}

/* Single changes of rows: those of many rows have no subject. */
static bool
oversight_is_change(const char *kind)
{
	return strcmp(kind, "row.insert") == 0 || strcmp(kind, "row.update") == 0 ||
		strcmp(kind, "row.delete") == 0;
}

bool
oversight_wants(const char *kind)
{
	return strcmp(kind, "access") == 0 || strcmp(kind, "witness") == 0 ||
		oversight_is_change(kind);
}

static void
oversight_take_witness(Oversight *oversight, JsonSlice body)
{
	char		chain[ENTRY_NAME_MAX + 1];
	char	   *entries = json_slice_text(oversight->entry_pool, json_slice_get(body, "entries"));
	char		since[ENTRY_TIME_LEN + 1];
	void	  **newest;
	Had		   *had;
	int64_t		time;

	if (!json_slice_string(json_slice_get(body, "chain"), chain, sizeof(chain)) ||
		!json_slice_string(json_slice_get(body, "since"), since, sizeof(since)) ||
		!period_time(since, &time) || entries == NULL || strlen(entries) > 18 ||
		strspn(entries, "0123456789") != strlen(entries))
		return;
	if (oversight->had == NULL)
		oversight->had = map_new(oversight->pool);
	newest = map_at(oversight->had, chain, strlen(chain));
	had = pool_alloc(oversight->pool, sizeof(Had));
	had->entries = strtoll(entries, NULL, 10);
	had->since = time;
	had->before = *newest;
	*newest = had;
}

/* ----- entries ----- */

/* By what is named; who reads to change needs the one or the other. */
static const char *
oversight_named(Oversight *oversight, const char *id, int64_t version, bool glass)
{
	bool		changes = strcmp(oversight->asked.operation, "select") != 0;
	const char *reason = NULL;

	for (int update = changes ? 1 : 0; update >= 0; update--)
	{
		oversight->update = update == 1;
		reason = glass ? oversight_glass(oversight, id) :
			oversight_protocol(oversight, id, version);
		pool_reset(oversight->scratch);
		if (reason == NULL)
			break;
	}
	return reason;
}

static const char *
oversight_text(Oversight *oversight, JsonSlice body, const char *field)
{
	char	   *text = json_slice_text(oversight->entry_pool, json_slice_get(body, field));

	return text != NULL ? text : "";
}

/* What it was decided on, as the entry of an access to one examinee's records has it. */
static const char *
oversight_single(Oversight *oversight, JsonSlice body)
{
	const char *protocol = oversight_text(oversight, body, "protocol");
	const char *glass = oversight_text(oversight, body, "break_glass");
	const char *version = oversight_text(oversight, body, "version");
	size_t		len = strlen(version);

	if (glass[0] != '\0')
		return oversight_named(oversight, glass, 0, true);
	if (protocol[0] == '\0' || len < 1 || len > 18 || strspn(version, "0123456789") != len)
		return "it names no protocol";
	return oversight_named(oversight, protocol, strtoll(version, NULL, 10), false);
}

/* What was read by an access; false: nothing that has to be covered. */
static bool
oversight_access(Oversight *oversight, JsonSlice body)
{
	OversightCase *asked = &oversight->asked;
	const char *basis = oversight_text(oversight, body, "basis");

	if (strcmp(oversight_text(oversight, body, "outcome"), "read") != 0 ||
		strcmp(oversight_text(oversight, body, "subjects"), "0") == 0 ||
		(strcmp(oversight->member, oversight->origin) == 0 && strcmp(basis, "owner") == 0))
		return false;
	oversight->purpose = oversight_text(oversight, body, "purpose");
	oversight->moment = OVERSIGHT_MOMENT;
	if (!period_time(oversight_text(oversight, body, "decided"), &oversight->decided))
		asked->reason = "it does not say when it was decided";
	else if (oversight->decided > asked->time + OVERSIGHT_SKEW)
		asked->reason = "it was decided later than it was recorded";
	else if (strcmp(basis, "owner") == 0)
		asked->reason = "row security did not apply to another member's session";
	else if (!asked->has_subject)
		asked->by_set = true;
	else
		asked->reason = oversight_single(oversight, body);
	return true;
}

/* A change by another member; false: it is the chain's own. */
static bool
oversight_change(Oversight *oversight)
{
	if (strcmp(oversight->member, oversight->origin) == 0 || !oversight->asked.has_subject)
		return false;
	oversight->purpose = NULL;
	oversight->decided = oversight->asked.time;
	oversight->moment = OVERSIGHT_STATEMENT;
	oversight->update = true;
	oversight->asked.reason = oversight_any(oversight);
	pool_reset(oversight->scratch);
	return true;
}

static void
oversight_chain(Oversight *oversight, const char *origin)
{
	if (oversight->origin != NULL && strcmp(oversight->origin, origin) == 0)
		return;
	pool_reset(oversight->pool);
	oversight->had = NULL;
	oversight->origin = pool_text(oversight->pool, origin);
}

static void
oversight_id(const uint8_t *bytes, char *out)
{
	char		hex[ENCODE_HEX_SIZE(ENTRY_ID_LEN)];

	encode_hex(bytes, ENTRY_ID_LEN, hex);
	for (int i = 0; i < 2 * ENTRY_ID_LEN; i++)
	{
		if (i == 8 || i == 12 || i == 16 || i == 20)
			*out++ = '-';
		*out++ = hex[i];
	}
	*out = '\0';
}

bool
oversight_entry(Oversight *oversight, const char *payload, size_t len, const char *origin,
				int64_t seq, OversightCase *found)
{
	OversightCase *asked = &oversight->asked;
	CoreError	error = {0};
	Entry		entry;
	JsonSlice	body;
	bool		is_asked = false;

	oversight_chain(oversight, origin);
	pool_reset(oversight->entry_pool);
	memset(asked, 0, sizeof(*asked));
	if (!entry_read(payload, len, &entry, &error) || !oversight_wants(entry.kind) ||
		!period_time(entry.time, &asked->time))
		return false;
	body = json_slice_read(oversight->entry_pool, entry.body, entry.body_len, JSON_TEXT_UNIQUE);
	asked->origin = oversight->origin;
	asked->seq = seq;
	oversight_id(entry.id, asked->id);
	asked->kind = pool_text(oversight->entry_pool, entry.kind);
	asked->actor = oversight->member = pool_text(oversight->entry_pool, entry.actor);
	asked->relation = oversight_text(oversight, body, "relation");
	asked->operation = oversight_text(oversight, body, "operation");
	asked->has_subject = entry.has_subject;
	memcpy(asked->subject, entry.subject, HASH_LEN);
	if (strcmp(entry.kind, "witness") == 0)
		oversight_take_witness(oversight, body);
	else if (strcmp(entry.kind, "access") == 0)
		is_asked = oversight_access(oversight, body);
	else
	{
		asked->operation = asked->kind + strlen("row.");
		is_asked = oversight_change(oversight);
	}
	*found = *asked;
	return is_asked;
}

bool
oversight_leaf_source(const uint8_t leaf[OVERSIGHT_LEAF], char id[CLAIM_UUID_SIZE],
					  int64_t *version)
{
	static const uint8_t none[ENTRY_ID_LEN] = {0};
	const uint8_t *source = leaf + HASH_LEN;
	uint64_t	number = 0;

	for (int i = 0; i < 8; i++)
		number = number << 8 | source[ENTRY_ID_LEN + i];
	oversight_id(source, id);
	*version = number > INT64_MAX ? -1 : (int64_t) number;
	return memcmp(source, none, ENTRY_ID_LEN) != 0;
}

bool
oversight_leaf(Oversight *oversight, const uint8_t *leaf, size_t len, OversightCase *found)
{
	OversightCase *asked = &oversight->asked;
	char		id[CLAIM_UUID_SIZE];
	int64_t		version;

	if (!asked->by_set || len != OVERSIGHT_LEAF)
		return false;
	*found = *asked;
	found->by_set = false;
	found->has_subject = true;
	memcpy(asked->subject, leaf, HASH_LEN);
	memcpy(found->subject, leaf, HASH_LEN);
	found->reason = oversight_leaf_source(leaf, id, &version) ?
		oversight_named(oversight, id, version, version < 0) : "it names no protocol";
	return true;
}
