/*
 * payload_index.c: comparing an entry's index columns with its payload, a million times.
 *
 * payload_build() writes the fields of an entry in one order and spelling.  A payload that starts
 * with exactly the text that the columns would give, up to the body, and goes on with one JSON
 * value and a brace has these fields and no others, so that only the body is left for the JSON
 * parser.  Whatever looks different takes payload_parse().
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "core/encode.h"
#include "ledger/payload.h"
#include "ledger/payload_index.h"

#define TIME_SECONDS_LEN 20		/* 2026-01-31T23:59:59. */
#define BODY_SHORT 1000			/* nested less deep than PAYLOAD_DEPTH_MAX whatever is in it */

const char *const payload_index_names[PAYLOAD_INDEX_COLUMNS] =
{"origin", "id", "kind", "time", "actor", "subject"};

/* A position in the payload. */
typedef struct Cursor
{
	const char *at;
	const char *end;
} Cursor;

static bool
cursor_take(Cursor *cursor, const char *expected, size_t len)
{
	if ((size_t) (cursor->end - cursor->at) < len || memcmp(cursor->at, expected, len) != 0)
		return false;
	cursor->at += len;
	return true;
}

#define cursor_literal(cursor, literal) cursor_take(cursor, literal, sizeof(literal) - 1)

/* A string in quotes that needs no escapes: then its JSON is its text. */
static bool
cursor_plain(Cursor *cursor, const char *expected, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (expected[i] == '"' || expected[i] == '\\' || (unsigned char) expected[i] < ' ')
			return false;
	return cursor_literal(cursor, "\"") && cursor_take(cursor, expected, len) &&
		cursor_literal(cursor, "\"");
}

static bool
cursor_text(Cursor *cursor, const text *expected)
{
	return expected != NULL && cursor_plain(cursor, VARDATA_ANY(expected),
											VARSIZE_ANY_EXHDR(expected));
}

/* Any string without escapes. */
static bool
cursor_any_plain(Cursor *cursor)
{
	if (!cursor_literal(cursor, "\""))
		return false;
	while (cursor->at < cursor->end && *cursor->at != '"')
	{
		if (*cursor->at == '\\' || (unsigned char) *cursor->at < ' ')
			return false;
		cursor->at++;
	}
	return cursor_literal(cursor, "\"");
}

static bool
cursor_uuid(Cursor *cursor, const pg_uuid_t *id)
{
	char		hex[ENCODE_HEX_SIZE(UUID_LEN)];

	if (id == NULL)
		return false;
	encode_hex(id->data, UUID_LEN, hex);
	return cursor_literal(cursor, "\"") &&
		cursor_take(cursor, hex, 8) && cursor_literal(cursor, "-") &&
		cursor_take(cursor, hex + 8, 4) && cursor_literal(cursor, "-") &&
		cursor_take(cursor, hex + 12, 4) && cursor_literal(cursor, "-") &&
		cursor_take(cursor, hex + 16, 4) && cursor_literal(cursor, "-") &&
		cursor_take(cursor, hex + 20, 12) && cursor_literal(cursor, "\"");
}

/* Entries come in the order of time, more or less: most share their second with the one before. */
static bool
cursor_time(Cursor *cursor, const TimestampTz *time)
{
	static char known_text[TIME_SECONDS_LEN];
	static TimestampTz known = PG_INT64_MIN;	/* the moment known_text stands for */
	char		fraction[7];
	TimestampTz second;

	if (time == NULL || TIMESTAMP_NOT_FINITE(*time))
		return false;
	second = *time - (((*time % USECS_PER_SEC) + USECS_PER_SEC) % USECS_PER_SEC);
	if (second != known)
	{
		struct pg_tm tm;
		fsec_t		fsec;
		char text[	64];

		if (timestamp2tm(second, NULL, &tm, &fsec, NULL, NULL) != 0 || tm.tm_year < 1 ||
			tm.tm_year > 9999)
			return false;
		snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.",
				 tm.tm_year, tm.tm_mon, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
		memcpy(known_text, text, TIME_SECONDS_LEN);
		known = second;
	}
	for (int i = 5, rest = (int) (*time - second); i >= 0; i--, rest /= 10)
		fraction[i] = '0' + rest % 10;
	fraction[6] = 'Z';
	return cursor_literal(cursor, "\"") && cursor_take(cursor, known_text, TIME_SECONDS_LEN) &&
		cursor_take(cursor, fraction, sizeof(fraction)) && cursor_literal(cursor, "\"");
}

static bool
cursor_subject(Cursor *cursor, const bytea *subject)
{
	char		hex[ENCODE_HEX_SIZE(HASH_LEN)];

	if (subject == NULL)
		return true;
	if (VARSIZE_ANY_EXHDR(subject) != HASH_LEN)
		return false;
	encode_hex((const uint8_t *) VARDATA_ANY(subject), HASH_LEN, hex);
	return cursor_literal(cursor, ",\"subject\":\"") && cursor_take(cursor, hex, 2 * HASH_LEN) &&
		cursor_literal(cursor, "\"");
}

/* One JSON value without escapes, which need more care, and not too deep. */
static bool
cursor_body(const char *body, int len)
{
	JsonSemAction nothing = {0};

	if (memchr(body, '\\', (size_t) len) != NULL || len > BODY_SHORT)
		return false;
	return pg_parse_json(compat_json_lexer(unconstify(char *, body), len, false), &nothing) ==
		JSON_SUCCESS;
}

static bool
payload_index_quick(const PayloadIndex *index, const char *payload, int len)
{
	Cursor		cursor = {payload, payload + len};

	if (!cursor_literal(&cursor, "{\"kind\":") || !cursor_text(&cursor, index->kind) ||
		!cursor_literal(&cursor, ",\"origin\":") ||
		!cursor_plain(&cursor, index->origin, strlen(index->origin)) ||
		!cursor_literal(&cursor, ",\"id\":") || !cursor_uuid(&cursor, index->id) ||
		!cursor_literal(&cursor, ",\"time\":") || !cursor_time(&cursor, index->time) ||
		!cursor_literal(&cursor, ",\"actor\":") || !cursor_text(&cursor, index->actor) ||
		!cursor_literal(&cursor, ",\"role\":") || !cursor_any_plain(&cursor) ||
		!cursor_subject(&cursor, index->subject) ||
		!cursor_literal(&cursor, ",\"body\":"))
		return false;
	return cursor.end - cursor.at >= 2 && cursor.end[-1] == '}' &&
		cursor_body(cursor.at, (int) (cursor.end - 1 - cursor.at));
}

static bool
payload_index_same(const text *column, const char *expected)
{
	return column != NULL && VARSIZE_ANY_EXHDR(column) == strlen(expected) &&
		memcmp(VARDATA_ANY(column), expected, strlen(expected)) == 0;
}

bool
payload_index_agrees(const PayloadIndex *index, const char *payload, int len, unsigned *differ,
					 const char **reason)
{
	PayloadFields fields;
	bool		agree[PAYLOAD_INDEX_COLUMNS];

	*differ = 0;
	*reason = NULL;
	if (payload_index_quick(index, payload, len))
		return true;
	if (!payload_parse(payload, len, &fields, reason))
		return false;
	agree[0] = strcmp(fields.origin, index->origin) == 0;
	agree[1] = index->id != NULL && memcmp(index->id->data, fields.id.data, UUID_LEN) == 0;
	agree[2] = payload_index_same(index->kind, fields.kind);
	agree[3] = index->time != NULL && *index->time == fields.time;
	agree[4] = payload_index_same(index->actor, fields.actor);
	agree[5] = fields.has_subject
		? index->subject != NULL && VARSIZE_ANY_EXHDR(index->subject) == HASH_LEN &&
		memcmp(VARDATA_ANY(index->subject), fields.subject, HASH_LEN) == 0
		: index->subject == NULL;
	for (int i = 0; i < PAYLOAD_INDEX_COLUMNS; i++)
		if (!agree[i])
			*differ |= 1U << i;
	return *differ == 0;
}
