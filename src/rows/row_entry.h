/*
 * row_entry.h: what an entry says about a row of a ledger table.
 */
#ifndef MEDCHAIN_ROWS_ROW_ENTRY_H
#define MEDCHAIN_ROWS_ROW_ENTRY_H

#include "postgres.h"

#include "core/hash.h"

typedef struct RowEntry
{
	char	   *relation;
	int			version;
	bool		has_commitment;
	bool		has_previous;
	uint8_t		id[HASH_LEN];
	uint8_t		commitment[HASH_LEN];
	uint8_t		previous[HASH_LEN];
} RowEntry;

/* False if the payload says nothing of the kind; never an error because of it. */
extern bool row_entry_parse(const char *payload, int len, RowEntry *entry);

/* What an entry of kind row.set says about all of its items. */
typedef struct RowSetSays
{
	char	   *relation;
	int			version;
	int64		number;			/* of items; positive */
	uint8_t		root[HASH_LEN];
	bool		has_subjects;
	uint8_t		subjects[HASH_LEN]; /* root of the tree of those */
} RowSetSays;

extern bool row_entry_parse_set(const char *payload, int len, RowSetSays *set);

/* The first 64 bits of a row's id, or a pseudonym: what an index holds. */
static inline int64
row_id_bits(const uint8_t id[8])
{
	uint64		bits = 0;

	for (int i = 0; i < 8; i++)
		bits = bits << 8 | id[i];
	return (int64) bits;
}

#endif
