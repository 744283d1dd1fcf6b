/*
 * payload_index.h: do the columns of medchain.entry say what the payload says?
 */
#ifndef MEDCHAIN_LEDGER_PAYLOAD_INDEX_H
#define MEDCHAIN_LEDGER_PAYLOAD_INDEX_H

#include "postgres.h"
#include "datatype/timestamp.h"
#include "utils/uuid.h"
#include "core/hash.h"

/*
 * The index columns of one entry as they are stored.  A column that is null although it must not be
 * has NULL here.
 */
typedef struct PayloadIndex
{
	const char *origin;
	const pg_uuid_t *id;
	const text *kind;
	const TimestampTz *time;
	const text *actor;
	const bytea *subject;
} PayloadIndex;

#define PAYLOAD_INDEX_COLUMNS 6

extern const char *const payload_index_names[PAYLOAD_INDEX_COLUMNS];

typedef enum PayloadIndexResult
{
	PAYLOAD_INDEX_SAME,			/* every column agrees with the payload */
	PAYLOAD_INDEX_DIFFERS,
	PAYLOAD_INDEX_NO_ENTRY		/* the payload is none */
} PayloadIndexResult;

/*
 * Compare.  *differ has bit i set for payload_index_names[i].  *reason is why the payload would not
 * be accepted today, NULL if it would: an entry that versions of old took is one nevertheless.
 */
extern PayloadIndexResult payload_index_compare(const PayloadIndex *index, const char *payload,
												int len, unsigned *differ, const char **reason);

#endif
