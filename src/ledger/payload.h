/*
 * payload.h: the JSON object whose bytes are an entry: written once, read
 * without ever being written again.
 */
#ifndef MEDCHAIN_LEDGER_PAYLOAD_H
#define MEDCHAIN_LEDGER_PAYLOAD_H

#include "postgres.h"
#include "common/jsonapi.h"
#include "datatype/timestamp.h"
#include "utils/uuid.h"
#include "core/hash.h"

#define PAYLOAD_MAX (16 * 1024 * 1024)	/* bytes: who has to read an entry can hold it, and its
										 * export, in memory */

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

/* Build the payload text. subject may be NULL.  palloc'd. */
extern char *payload_build(const char *kind, const char *origin, const pg_uuid_t *id,
						   TimestampTz time,
						   const char *actor, const char *role, const uint8_t *subject,
						   const char *body);

/*
 * Read the fields other columns index.  False, with *reason set, if text is not such an object: not
 * JSON, longer than PAYLOAD_MAX, a field missing, doubled or of the wrong form.
 */
extern bool payload_parse(const char *text, int len, PayloadFields *fields, const char **reason);

/*
 * Run PostgreSQL's parser over it; false if the text is not JSON or nested beyond what the stack
 * takes.
 */
extern bool payload_scan(const char *text, int len, JsonSemAction *actions);

#endif
