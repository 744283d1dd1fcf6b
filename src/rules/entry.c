/*
 * entry.c: what a text has to be to become an entry of the ledger.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/encode.h"
#include "core/note.h"
#include "rules/entry.h"

typedef enum EntryField
{
	FIELD_KIND, FIELD_ORIGIN, FIELD_ID, FIELD_TIME, FIELD_ACTOR, FIELD_ROLE, FIELD_SUBJECT,
	FIELD_BODY,
	FIELD_COUNT
} EntryField;

static const struct
{
	const char *name;
	bool		optional;		/* role is missing in entries of old, subject where there is none */
}			fields[FIELD_COUNT] = {
	{"kind", false}, {"origin", false}, {"id", false}, {"time", false}, {"actor", false},
	{"role", true}, {"subject", true}, {"body", false}
};

/* A field as it stands in the text. */
typedef struct EntryValue
{
	int			seen;
	const char *at;
	size_t		len;
} EntryValue;

static void
entry_field(void *state, const char *name, size_t name_len, const char *value, size_t value_len,
			struct json_t *built)
{
	EntryValue *values = state;
	char		plain[ENTRY_TEXT_MAX + 1];

	(void) built;
	if (!json_text_string(name, name_len, plain, sizeof(plain)))
		return;
	for (int i = 0; i < FIELD_COUNT; i++)
		if (strcmp(plain, fields[i].name) == 0)
		{
			values[i].seen++;
			values[i].at = value;
			values[i].len = value_len;
		}
}

bool
entry_kind_valid(const char *kind)
{
	size_t		len = strlen(kind);

	return len <= ENTRY_KIND_MAX && kind[0] >= 'a' && kind[0] <= 'z' &&
		strspn(kind, "abcdefghijklmnopqrstuvwxyz0123456789_.-") == len;
}

bool
entry_name_valid(const char *name)
{
	return strlen(name) <= ENTRY_NAME_MAX && strchr(name, '/') == NULL && note_name_valid(name);
}

/* One spelling: lower case, with dashes. */
static bool
entry_id(const char *text, uint8_t id[ENTRY_ID_LEN])
{
	char		hex[2 * ENTRY_ID_LEN];
	size_t		digits = 0;

	if (strlen(text) != 36 || strpbrk(text, "ABCDEF") != NULL)
		return false;
	for (int i = 0; i < 36; i++)
	{
		bool		dash = (i == 8 || i == 13 || i == 18 || i == 23);

		if (dash != (text[i] == '-'))
			return false;
		if (!dash)
			hex[digits++] = text[i];
	}
	return decode_hex(hex, sizeof(hex), id);
}

/* The same: RFC 3339, UTC, microseconds, of a day that there is. */
static bool
entry_time_valid(const char *text)
{
	static const char form[] = "0000-00-00T00:00:00.000000Z";
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int			year;
	int			month;
	int			day;
	bool		leap;

	if (strlen(text) != ENTRY_TIME_LEN)
		return false;
	for (int i = 0; i < ENTRY_TIME_LEN; i++)
		if (form[i] == '0' ? text[i] < '0' || text[i] > '9' : text[i] != form[i])
			return false;
	year = atoi(text);
	month = atoi(text + 5);
	day = atoi(text + 8);
	leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return year >= 1 && month >= 1 && month <= 12 && day >= 1 &&
		day <= days[month - 1] + (month == 2 && leap) &&
		atoi(text + 11) <= 23 && atoi(text + 14) <= 59 && atoi(text + 17) <= 59;
}

static bool
entry_fail(CoreError *error, EntryField field, const char *what)
{
	return error_set(error, CORE_MALFORMED, "payload field \"%s\" is not %s", fields[field].name,
					 what);
}

static bool
entry_read_by(const char *text, size_t len, JsonTextRules rules, Entry *entry, CoreError *error)
{
	EntryValue	values[FIELD_COUNT] = {{0}};
	char		plain[FIELD_COUNT][ENTRY_TEXT_MAX + 1];

	memset(entry, 0, sizeof(*entry));
	if (!json_text_object(text, len, rules, entry_field, values, error))
		return false;
	for (int i = 0; i < FIELD_COUNT; i++)
	{
		if (fields[i].optional && values[i].seen == 0)
			continue;
		if (values[i].seen != 1 || (i != FIELD_BODY && values[i].at[0] != '"'))
			return error_set(error, CORE_MALFORMED, "payload must have one field \"%s\"%s",
							 fields[i].name, i == FIELD_BODY ? "" : ", a string");
		if (i != FIELD_BODY &&
			!json_text_string(values[i].at, values[i].len, plain[i], sizeof(plain[i])))
			return error_set(error, CORE_MALFORMED, "payload field \"%s\" is too long",
							 fields[i].name);
	}
	if (rules != JSON_TEXT_OLD && !entry_kind_valid(plain[FIELD_KIND]))
		return entry_fail(error, FIELD_KIND, "a kind of entry");
	if (rules != JSON_TEXT_OLD && !entry_name_valid(plain[FIELD_ORIGIN]))
		return entry_fail(error, FIELD_ORIGIN, "a member's name");
	if (!entry_id(plain[FIELD_ID], entry->id))
		return entry_fail(error, FIELD_ID, "a UUID");
	if (!entry_time_valid(plain[FIELD_TIME]))
		return entry_fail(error, FIELD_TIME, "an RFC 3339 time in UTC with microseconds");
	if (rules != JSON_TEXT_OLD && !entry_name_valid(plain[FIELD_ACTOR]))
		return entry_fail(error, FIELD_ACTOR, "a member's name");
	if (values[FIELD_SUBJECT].seen)
	{
		entry->has_subject = true;
		if (strlen(plain[FIELD_SUBJECT]) != 2 * HASH_LEN ||
			!decode_hex(plain[FIELD_SUBJECT], 2 * HASH_LEN, entry->subject))
			return entry_fail(error, FIELD_SUBJECT, "64 hexadecimal digits");
	}
	strcpy(entry->kind, plain[FIELD_KIND]);
	strcpy(entry->origin, plain[FIELD_ORIGIN]);
	strcpy(entry->time, plain[FIELD_TIME]);
	strcpy(entry->actor, plain[FIELD_ACTOR]);
	entry->body = values[FIELD_BODY].at;
	entry->body_len = values[FIELD_BODY].len;
	return true;
}

bool
entry_read(const char *text, size_t len, Entry *entry, CoreError *error)
{
	return entry_read_by(text, len, JSON_TEXT_READABLE, entry, error);
}

bool
entry_read_old(const char *text, size_t len, Entry *entry, CoreError *error)
{
	return entry_read_by(text, len, JSON_TEXT_OLD, entry, error);
}

bool
entry_read_any(const char *text, size_t len, Entry *entry, bool *readable, CoreError *why)
{
	*readable = entry_read(text, len, entry, why);
	return *readable || entry_read_old(text, len, entry, NULL);
}
