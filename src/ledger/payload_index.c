/*
 * payload_index.c: comparing an entry's index columns with its payload, a million times.
 */
#include "postgres.h"

#include "compat.h"
#include "ledger/payload.h"
#include "ledger/payload_index.h"

const char *const payload_index_names[PAYLOAD_INDEX_COLUMNS] =
{"origin", "id", "kind", "time", "actor", "subject"};

static bool
payload_index_same(const text *column, const char *expected)
{
	return column != NULL && VARSIZE_ANY_EXHDR(column) == strlen(expected) &&
		memcmp(VARDATA_ANY(column), expected, strlen(expected)) == 0;
}

PayloadIndexResult
payload_index_compare(const PayloadIndex *index, const char *payload, int len, unsigned *differ,
					  const char **reason)
{
	PayloadFields fields;
	bool		agree[PAYLOAD_INDEX_COLUMNS];

	*differ = 0;
	if (!payload_parse_any(payload, (size_t) len, &fields, reason))
		return PAYLOAD_INDEX_NO_ENTRY;
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
	return *differ == 0 ? PAYLOAD_INDEX_SAME : PAYLOAD_INDEX_DIFFERS;
}
