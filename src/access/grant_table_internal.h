/*
 * grant_table_internal.h: the inside of a table of grants (see grant_table.c).
 */
#ifndef MEDCHAIN_ACCESS_GRANT_TABLE_INTERNAL_H
#define MEDCHAIN_ACCESS_GRANT_TABLE_INTERNAL_H

#include "postgres.h"

#include "common/hashfn.h"

#include "access/grant_table.h"

#define SUBJECT_INLINE 16

/*
 * The bytes of an identity or pseudonym: inside, or their distance from the start of the table's
 * heap, if they are more than fit.  (Those that are looked for lie outside of it.)
 */
typedef struct SubjectKey
{
	uint32		len;
	char		bytes[SUBJECT_INLINE];
} SubjectKey;

typedef struct SubjectEntry
{
	uint32		hash;
	uint32		head;			/* first grant */
	SubjectKey	key;
	char		status;
} SubjectEntry;

/* The relations a grant is restricted to, as the protocol names them. */
typedef struct RecordSet
{
	uint32		count;
	uint32		len;			/* of all of them, each with a null byte behind it */
	uint64		place;
} RecordSet;

struct subjects_hash;

struct GrantTable
{
	MemoryContext context;
	struct subjects_hash *identities;
	struct subjects_hash *pseudonyms;
	Grant	   *grants;			/* [0] is not used */
	uint32		ngrants;
	uint32		max_grants;
	RecordSet  *records;		/* [0] is not used */
	uint32		nrecords;
	uint32		max_records;
	uint64	   *purposes;		/* places; [0] is not used */
	uint32		npurposes;
	uint32		max_purposes;
	char	   *heap;
	uint64		heap_len;
	uint64		heap_max;
};

static inline const char *
subject_bytes(const GrantTable *table, const SubjectKey *key)
{
	int64		distance;

	if (key->len <= SUBJECT_INLINE)
		return key->bytes;
	memcpy(&distance, key->bytes, sizeof(distance));
	return (const char *) ((uintptr_t) table->heap + (uintptr_t) distance);
}

static inline SubjectKey
subject_key(const GrantTable *table, const char *bytes, size_t len)
{
	SubjectKey	key;
	int64		distance;

	key.len = (uint32) len;
	if (len <= SUBJECT_INLINE)
		memcpy(key.bytes, bytes, len);
	else
	{
		distance = (int64) ((uintptr_t) bytes - (uintptr_t) table->heap);
		memcpy(key.bytes, &distance, sizeof(distance));
	}
	return key;
}

static inline uint32
subject_hash_key(const GrantTable *table, const SubjectKey *key)
{
	return hash_bytes((const unsigned char *) subject_bytes(table, key), (int) key->len);
}

#define SH_PREFIX subjects
#define SH_ELEMENT_TYPE SubjectEntry
#define SH_KEY_TYPE SubjectKey
#define SH_KEY key
#define SH_HASH_KEY(tb, key) subject_hash_key((tb)->private_data, &(key))
#define SH_EQUAL(tb, a, b) \
	((a).len == (b).len && \
	 memcmp(subject_bytes((tb)->private_data, &(a)), subject_bytes((tb)->private_data, &(b)), \
			(a).len) == 0)
#define SH_STORE_HASH
#define SH_GET_HASH(tb, a) ((a)->hash)
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

#endif
