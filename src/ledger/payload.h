/*
 * payload.h: the JSON object whose bytes are an entry: written once, read
 * without ever being written again.
 */
#ifndef MEDCHAIN_LEDGER_PAYLOAD_H
#define MEDCHAIN_LEDGER_PAYLOAD_H

#include "postgres.h"
#include "datatype/timestamp.h"
#include "lib/stringinfo.h"
#include "utils/uuid.h"
#include "rules/entry.h"

typedef struct PayloadFields
{
	char	   *kind;
	char	   *origin;
	pg_uuid_t	id;
	TimestampTz time;
	char	   *actor;
	bool		has_subject;
	uint8_t		subject[HASH_LEN];
} PayloadFields;

/* Append ,"name":"hex of the hash" to an object that has a field before. */
extern void payload_add_hash(StringInfo json, const char *name, const uint8_t hash[HASH_LEN]);

/* The same with a time. */
extern void payload_add_time(StringInfo json, const char *name, TimestampTz time);

/* Build the payload text. subject may be NULL.  palloc'd. */
extern char *payload_build(const char *kind, const char *origin, const pg_uuid_t *id,
						   TimestampTz time,
						   const char *actor, const char *role, const uint8_t *subject,
						   const char *body);

/*
 * Read the fields other columns index, palloc'd.  False, with *reason set, if text is no entry.
 */
extern bool payload_parse(const char *text, size_t len, PayloadFields *fields,
						  const char **reason);

/* The same of what is on a ledger, see entry_read_any(); *reason (or NULL) as well if it is. */
extern bool payload_parse_any(const char *text, size_t len, PayloadFields *fields,
							  const char **reason);

#endif
