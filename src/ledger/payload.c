/*
 * payload.c: write an entry's JSON text, and read its fields back into the types of their columns.
 *
 * What is an entry at all is decided elsewhere, by rules/entry.h, and reading survives whatever
 * another hospital's database sends.
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
#include "rules/period.h"

#define PAYLOAD_TIME_LEN ENTRY_TIME_LEN

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

void
payload_add_hash(StringInfo json, const char *name, const uint8_t hash[HASH_LEN])
{
	char		hex[ENCODE_HEX_SIZE(HASH_LEN)];

	encode_hex(hash, HASH_LEN, hex);
	appendStringInfo(json, ",\"%s\":\"%s\"", name, hex);
}

void
payload_add_time(StringInfo json, const char *name, TimestampTz time)
{
	appendStringInfo(json, ",\"%s\":\"", name);
	payload_append_time(json, time);
	appendStringInfoChar(json, '"');
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

static void
payload_fields(const Entry *entry, PayloadFields *fields)
{
	memset(fields, 0, sizeof(*fields));
	if (!period_time(entry->time, &fields->time))
		elog(ERROR, "time \"%s\" cannot be read", entry->time);
	fields->kind = pstrdup(entry->kind);
	fields->origin = pstrdup(entry->origin);
	memcpy(fields->id.data, entry->id, UUID_LEN);
	fields->actor = pstrdup(entry->actor);
	fields->has_subject = entry->has_subject;
	memcpy(fields->subject, entry->subject, HASH_LEN);
}

/* What it cannot be for want of memory is an error. */
static const char *
payload_reason(const CoreError *error)
{
	if (error->code == CORE_INTERNAL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("%s", error->message)));
	return pstrdup(error->message);
}

bool
payload_parse(const char *text, size_t len, PayloadFields *fields, const char **reason)
{
	Entry		entry;
	CoreError	error = {0};

	if (!entry_read(text, len, &entry, &error))
	{
		*reason = payload_reason(&error);
		return false;
	}
	payload_fields(&entry, fields);
	return true;
}

bool
payload_parse_any(const char *text, size_t len, PayloadFields *fields, const char **reason)
{
	Entry		entry;
	CoreError	error = {0};
	bool		readable;
	bool		found = entry_read_any(text, len, &entry, &readable, &error);

	*reason = readable ? NULL : payload_reason(&error);
	if (found)
		payload_fields(&entry, fields);
	return found;
}
