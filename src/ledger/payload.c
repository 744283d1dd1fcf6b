/*
 * payload.c: write an entry's JSON text, and read its fields back.
 *
 * Reading has to survive whatever another hospital's database sends: nothing
 * here raises an error because of the text, not even for nesting so deep that
 * PostgreSQL's parser gives up.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "core/encode.h"
#include "ledger/payload.h"

#define PAYLOAD_DEPTH_MAX 512
#define PAYLOAD_TIME_LEN 27		/* 2026-01-31T23:59:59.123456Z */

typedef enum PayloadField
{
	FIELD_KIND,
	FIELD_ORIGIN,
	FIELD_ID,
	FIELD_TIME,
	FIELD_ACTOR,
	FIELD_SUBJECT,
	FIELD_BODY,
	FIELD_COUNT,
	FIELD_OTHER = FIELD_COUNT
} PayloadField;

static const char *const field_names[FIELD_COUNT] =
{"kind", "origin", "id", "time", "actor", "subject", "body"};

typedef struct PayloadReader
{
	int			depth;
	bool		is_object;		/* the outermost value is an object */
	PayloadField current;
	int			seen[FIELD_COUNT];
	char	   *values[FIELD_COUNT];	/* NULL unless a string */
} PayloadReader;

static char *
payload_digits(char *at, int value, int width, char then)
{
	at = pg_ultostr_zeropad(at, (uint32) value, width);
	*at = then;
	return at + 1;
}

static void
payload_append_time(StringInfo out, TimestampTz time)
{
	struct pg_tm tm;
	fsec_t		fsec;
	char text[	PAYLOAD_TIME_LEN];
	char	   *at;

	if (timestamp2tm(time, NULL, &tm, &fsec, NULL, NULL) != 0 || tm.tm_year < 1 ||
		tm.tm_year > 9999)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range")));
	at = payload_digits(text, tm.tm_year, 4, '-');
	at = payload_digits(at, tm.tm_mon, 2, '-');
	at = payload_digits(at, tm.tm_mday, 2, 'T');
	at = payload_digits(at, tm.tm_hour, 2, ':');
	at = payload_digits(at, tm.tm_min, 2, ':');
	at = payload_digits(at, tm.tm_sec, 2, '.');
	at = payload_digits(at, (int) fsec, 6, 'Z');
	appendBinaryStringInfo(out, text, (int) (at - text));
}

char *
payload_build(const char *kind, const char *origin, const pg_uuid_t *id, TimestampTz time,
			  const char *actor, const char *role, const uint8_t *subject, const char *body)
{
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfoString(&out, "{\"kind\":");
	escape_json(&out, kind);
	appendStringInfoString(&out, ",\"origin\":");
	escape_json(&out, origin);
	appendStringInfoString(&out, ",\"id\":\"");
	appendStringInfoString(&out, DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(id))));
	appendStringInfoString(&out, "\",\"time\":\"");
	payload_append_time(&out, time);
	appendStringInfoString(&out, "\",\"actor\":");
	escape_json(&out, actor);
	appendStringInfoString(&out, ",\"role\":");
	escape_json(&out, role);
	if (subject != NULL)
	{
		char		hex[ENCODE_HEX_SIZE(HASH_LEN)];

		encode_hex(subject, HASH_LEN, hex);
		appendStringInfo(&out, ",\"subject\":\"%s\"", hex);
	}
	appendStringInfoString(&out, ",\"body\":");
	appendStringInfoString(&out, body);
	appendStringInfoChar(&out, '}');
	return out.data;
}

/*
 * A limit of our own: what one node takes and another's smaller stack does not would split the
 * alliance.
 */
static void
payload_descend(PayloadReader *reader)
{
	if (++reader->depth > PAYLOAD_DEPTH_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_STATEMENT_TOO_COMPLEX),
				 errmsg("payload is nested deeper than %d levels", PAYLOAD_DEPTH_MAX)));
}

static COMPAT_JSON_RETURN
payload_object_start(void *state)
{
	PayloadReader *reader = state;

	if (reader->depth == 0)
		reader->is_object = true;
	payload_descend(reader);
	COMPAT_JSON_OK;
}

static COMPAT_JSON_RETURN
payload_array_start(void *state)
{
	payload_descend(state);
	COMPAT_JSON_OK;
}

static COMPAT_JSON_RETURN
payload_nested_end(void *state)
{
	((PayloadReader *) state)->depth--;
	COMPAT_JSON_OK;
}

static COMPAT_JSON_RETURN
payload_field_start(void *state, char *name, bool isnull)
{
	PayloadReader *reader = state;

	if (reader->depth == 1)
	{
		reader->current = FIELD_OTHER;
		for (int i = 0; i < FIELD_COUNT; i++)
			if (strcmp(name, field_names[i]) == 0)
			{
				reader->current = i;
				reader->seen[i]++;
			}
	}
	COMPAT_JSON_OK;
}

static COMPAT_JSON_RETURN
payload_scalar(void *state, char *token, JsonTokenType type)
{
	PayloadReader *reader = state;

	if (reader->depth == 1 && reader->current < FIELD_COUNT && type == JSON_TOKEN_STRING)
		reader->values[reader->current] = token;
	COMPAT_JSON_OK;
}

/* Strictly the form payload_append_time() writes: one spelling per point in time. */
static bool
payload_parse_time(const char *text, TimestampTz *result)
{
	struct pg_tm tm = {0};
	int			fsec;
	StringInfoData again;
	int			used = 0;
	bool		same;

	if (strlen(text) != PAYLOAD_TIME_LEN ||
		sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%6dZ%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
			   &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &fsec, &used) != 7 ||
		used != PAYLOAD_TIME_LEN)
		return false;
	if (tm.tm_year < 1 || tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 ||
		tm.tm_mday > day_tab[isleap(tm.tm_year)][tm.tm_mon - 1] ||
		tm.tm_hour < 0 || tm.tm_hour > 23 || tm.tm_min < 0 || tm.tm_min > 59 ||
		tm.tm_sec < 0 || tm.tm_sec > 59 || fsec < 0)
		return false;
	if (tm2timestamp(&tm, fsec, NULL, result) != 0)
		return false;
	initStringInfo(&again);
	payload_append_time(&again, *result);
	same = strcmp(again.data, text) == 0;
	pfree(again.data);
	return same;
}

static bool
payload_parse_uuid(const char *text, pg_uuid_t *id)
{
	char		hex[UUID_LEN * 2];
	int			digits = 0;

	if (strlen(text) != 36)
		return false;
	for (int i = 0; i < 36; i++)
	{
		bool		dash = (i == 8 || i == 13 || i == 18 || i == 23);

		if (dash != (text[i] == '-') ||(text[i] >= 'A' && text[i] <= 'F'))
			return false;
		if (!dash)
			hex[digits++] = text[i];
	}
	return decode_hex(hex, sizeof(hex), id->data);
}

bool
payload_scan(const char *text, int len, JsonSemAction *actions)
{
	volatile bool fine = false;
	MemoryContext context = CurrentMemoryContext;

	PG_TRY();
	{
		JsonLexContext *lex = compat_json_lexer(unconstify(char *, text), len, true);

		fine = pg_parse_json(lex, actions) == JSON_SUCCESS;
	}
	PG_CATCH();
	{
		/*
		 * Only the stack limit and out-of-repertoire characters are the text's own fault; nothing
		 * was changed.
		 */
		int			code = geterrcode();

		if (code != ERRCODE_STATEMENT_TOO_COMPLEX && code != ERRCODE_UNTRANSLATABLE_CHARACTER)
			PG_RE_THROW();
		MemoryContextSwitchTo(context);
		FlushErrorState();
	}
	PG_END_TRY();
	return fine;
}

bool
payload_parse(const char *text, int len, PayloadFields *fields, const char **reason)
{
	PayloadReader reader = {0};
	JsonSemAction actions = {0};

	memset(fields, 0, sizeof(*fields));
	reader.current = FIELD_OTHER;
	if (len > PAYLOAD_MAX)
	{
		*reason = psprintf("payload is longer than %d bytes", PAYLOAD_MAX);
		return false;
	}
	actions.semstate = &reader;
	actions.object_start = payload_object_start;
	actions.object_end = payload_nested_end;
	actions.array_start = payload_array_start;
	actions.array_end = payload_nested_end;
	actions.object_field_start = payload_field_start;
	actions.scalar = payload_scalar;
	if (!payload_scan(text, len, &actions) || !reader.is_object)
	{
		*reason = "payload is not a JSON object, is nested too deep, or has \\u0000 in it";
		return false;
	}
	for (int i = 0; i < FIELD_COUNT; i++)
	{
		if (i == FIELD_SUBJECT && reader.seen[i] == 0)
			continue;
		if (reader.seen[i] != 1 || (i != FIELD_BODY && reader.values[i] == NULL))
		{
			*reason = psprintf("payload must have one field \"%s\"%s", field_names[i],
							   i == FIELD_BODY ? "" : ", a string");
			return false;
		}
	}
	fields->kind = reader.values[FIELD_KIND];
	fields->origin = reader.values[FIELD_ORIGIN];
	fields->actor = reader.values[FIELD_ACTOR];
	if (!payload_parse_uuid(reader.values[FIELD_ID], &fields->id))
	{
		*reason = "payload field \"id\" is not a UUID";
		return false;
	}
	if (!payload_parse_time(reader.values[FIELD_TIME], &fields->time))
	{
		*reason = "payload field \"time\" is not an RFC 3339 time in UTC with microseconds";
		return false;
	}
	if (reader.seen[FIELD_SUBJECT])
	{
		fields->has_subject = true;
		if (strlen(reader.values[FIELD_SUBJECT]) != 2 * HASH_LEN ||
			!decode_hex(reader.values[FIELD_SUBJECT], 2 * HASH_LEN, fields->subject))
		{
			*reason = "payload field \"subject\" is not 64 hexadecimal digits";
			return false;
		}
	}
	return true;
}
