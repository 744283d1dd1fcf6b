/*
 * derived_json.c: the state as JSON: the rows of its tables, with the columns that the database's
 * tables have.  It is written row by row, as it may be large.
 */
#include <inttypes.h>
#include <string.h>

#include <jansson.h>

#include "core/encode.h"
#include "derived.h"

/* How a column is written that is no text. */
typedef enum JsonForm
{
	JSON_FORM_TEXT, JSON_FORM_AS_IS, JSON_FORM_ARRAY
} JsonForm;

static JsonForm
json_form(StateTable table, const char *column)
{
	static const struct
	{
		const char *column;
		JsonForm	form;
	}			forms[] = {
		/* numbers */
		{"seq", JSON_FORM_AS_IS}, {"height", JSON_FORM_AS_IS}, {"offered_seq", JSON_FORM_AS_IS},
		{"accepted_seq", JSON_FORM_AS_IS}, {"ended_seq", JSON_FORM_AS_IS},
		{"from_height", JSON_FORM_AS_IS}, {"last_height", JSON_FORM_AS_IS},
		{"from_seq", JSON_FORM_AS_IS}, {"to_seq", JSON_FORM_AS_IS}, {"cause", JSON_FORM_AS_IS},
		{"cause_seq", JSON_FORM_AS_IS}, {"ordinal", JSON_FORM_AS_IS},
		/* booleans, and one more below */
		{"effective", JSON_FORM_AS_IS}, {"takes_part", JSON_FORM_AS_IS},
		/* JSON */
		{"body", JSON_FORM_AS_IS}, {"key", JSON_FORM_AS_IS}, {"withdrawn_at", JSON_FORM_AS_IS},
		{"capabilities", JSON_FORM_ARRAY}, {"operations", JSON_FORM_ARRAY},
		{"records", JSON_FORM_ARRAY}
	};

	/* of a contract it is when */
	if (table == STATE_MEMBER && strcmp(column, "accepted") == 0)
		return JSON_FORM_AS_IS;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (strcmp(forms[i].column, column) == 0)
			return forms[i].form;
	return JSON_FORM_TEXT;
}

static void
json_text(const char *text)
{
	json_t	   *value = text != NULL ? json_string(text) : json_null();

	json_dumpf(value, stdout, JSON_ENCODE_ANY);
	json_decref(value);
}

static void
json_array_of(Pool *pool, const char *text)
{
	size_t		count;
	const char **elements = derived_elements(pool, text, &count);

	putchar('[');
	for (size_t i = 0; i < count; i++)
	{
		if (i > 0)
			fputs(", ", stdout);
		json_text(elements[i]);
	}
	putchar(']');
}

static void
json_field(const char *name, bool first)
{
	if (!first)
		fputs(", ", stdout);
	json_text(name);
	fputs(": ", stdout);
}

/* The array that is being written. */
typedef struct JsonRows
{
	const Derived *derived;
	Pool	   *pool;			/* of a row */
	StateTable	table;
	bool		empty;
} JsonRows;

/* Begin the next table. */
static void
json_table(JsonRows *rows, StateTable table, bool first)
{
	if (!first)
		putchar(']');
	json_field(state_tables[table].name, false);
	putchar('[');
	rows->table = table;
	rows->empty = true;
}

static void
json_row(void *state, const StateRow *row)
{
	JsonRows   *rows = state;
	const StateTableInfo *info = &state_tables[row->table];
	const char *word = derived_word(rows->derived, row);

	while (rows->table != row->table)
		json_table(rows, rows->table + 1, false);
	fputs(rows->empty ? "{" : ", {", stdout);
	rows->empty = false;
	for (int i = 0; i < info->ncolumns; i++)
	{
		JsonForm	form = json_form(row->table, info->columns[i]);

		json_field(info->columns[i], i == 0);
		if (row->values[i] == NULL || form == JSON_FORM_TEXT)
			json_text(row->values[i]);
		else if (form == JSON_FORM_AS_IS)
			fputs(row->values[i], stdout);
		else
			json_array_of(rows->pool, row->values[i]);
	}
	if (word != NULL)
	{
		json_field("state", false);
		json_text(word);
	}
	putchar('}');
	pool_reset(rows->pool);
}

/* The sets of trust anchors, each since when. */
static void
json_anchors(const Derived *derived)
{
	Claim		claim;
	bool		begun = false;
	const char *separator = "";

	json_field("trust_anchors", false);
	putchar('[');
	while (derived_anchors(derived, &begun, &claim))
	{
		char		time[PERIOD_TIME_SIZE];
		char	   *pem = json_slice_text(derived->pool,
										  json_slice_get(claim.body, "trust_anchors"));

		period_time_text(claim.time, time);
		printf("%s{\"since\": ", separator);
		json_text(time);
		json_field("seq", false);
		printf("%lld", (long long) claim.seq);
		json_field("trust_anchors", false);
		json_text(pem);
		putchar('}');
		separator = ", ";
	}
	putchar(']');
}

static void
json_state(const Derived *derived)
{
	JsonRows	rows = {.derived = derived, .pool = pool_new()};
	uint8_t		hash[HASH_LEN];
	char		hex[ENCODE_HEX_SIZE(HASH_LEN)];

	memory_store_hash(derived->store, hash);
	encode_hex(hash, HASH_LEN, hex);
	json_field("state", false);
	putchar('{');
	json_field("hash", true);
	json_text(hex);
	json_table(&rows, 0, true);
	memory_store_rows(derived->store, json_row, &rows);
	while (rows.table != STATE_TABLES - 1)
		json_table(&rows, rows.table + 1, false);
	fputs("]", stdout);
	json_anchors(derived);
	putchar('}');
	pool_free(rows.pool);
}

static void
json_rejection(const Claim *claim)
{
	char		time[PERIOD_TIME_SIZE];
	json_t	   *object;

	period_time_text(claim->time, time);
	object = json_pack("{s:s, s:I, s:s, s:s, s:s, s:s, s:s}", "origin", claim->origin, "seq",
					   (json_int_t) claim->seq, "entry", claim->id, "kind",
					   claim_kind_name(claim->kind), "time", time, "about", claim->about, "reason",
					   claim->reason);
	json_dumpf(object, stdout, 0);
	json_decref(object);
}

static void
json_uncovered(const OversightCase *found)
{
	char		time[PERIOD_TIME_SIZE];
	char		subject[ENCODE_HEX_SIZE(HASH_LEN)];
	json_t	   *object;

	period_time_text(found->time, time);
	encode_hex(found->subject, HASH_LEN, subject);
	object = json_pack("{s:s, s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "holder", found->origin,
					   "seq", (json_int_t) found->seq, "entry", found->id, "kind", found->kind,
					   "time", time, "member", found->actor, "operation", found->operation,
					   "relation", found->relation, "reason", found->reason);
	if (found->has_subject)
		json_object_set_new(object, "subject", json_string(subject));
	json_dumpf(object, stdout, 0);
	json_decref(object);
}

static void
json_authorised(const Authorised *authorised)
{
	json_field("authorised", false);
	printf("{\"asked\": %" PRIu64 ", \"sets_not_here\": %" PRIu64 ", \"uncovered\": [",
		   authorised->asked, authorised->sets);
	for (size_t i = 0; i < authorised->ncases; i++)
	{
		if (i > 0)
			fputs(", ", stdout);
		json_uncovered(&authorised->cases[i]);
	}
	fputs("]}", stdout);
}

void
derived_write_json(const Derived *derived)
{
	char		as_of[PERIOD_TIME_SIZE];
	Claim		claim;
	bool		begun = false;

	period_time_text(derived->as_of, as_of);
	json_field("as_of", false);
	json_text(as_of);
	if (derived->state)
		json_state(derived);
	if (derived->authorised != NULL)
		json_authorised(derived->authorised);
	if (!derived->rejections)
		return;
	json_field("rejections", false);
	putchar('[');
	for (bool first = true; derived_rejection(derived, &begun, &claim); first = false)
	{
		if (!first)
			fputs(", ", stdout);
		json_rejection(&claim);
	}
	putchar(']');
}
