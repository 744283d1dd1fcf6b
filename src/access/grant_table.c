/*
 * grant_table.c: the grants of one member, by subject.
 *
 * A whole-table query asks once per row, so what it costs is cache misses.  An
 * entry of the hash is 32 bytes, with the first 16 bytes of the identity inside:
 * most questions are answered out of one cache line, refusals always (the stored
 * hash tells), and grants lie in one array.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "access/grant_table.h"

#define SUBJECT_INLINE 16
#define RECORD_SETS_COMPARED 64
#define PURPOSES_COMPARED 64

/* The bytes of an identity or pseudonym: inside, or behind a pointer if they are more than fit. */
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

static inline const char *
subject_bytes(const SubjectKey *key)
{
	const char *outside;

	if (key->len <= SUBJECT_INLINE)
		return key->bytes;
	memcpy(&outside, key->bytes, sizeof(outside));
	return outside;
}

static inline SubjectKey
subject_key(const char *bytes, size_t len)
{
	SubjectKey	key;

	key.len = (uint32) len;
	if (len <= SUBJECT_INLINE)
		memcpy(key.bytes, bytes, len);
	else
		memcpy(key.bytes, &bytes, sizeof(bytes));
	return key;
}

static inline uint32
subject_hash_key(const SubjectKey *key)
{
	return hash_bytes((const unsigned char *) subject_bytes(key), (int) key->len);
}

#define SH_PREFIX subjects
#define SH_ELEMENT_TYPE SubjectEntry
#define SH_KEY_TYPE SubjectKey
#define SH_KEY key
#define SH_HASH_KEY(tb, key) subject_hash_key(&(key))
#define SH_EQUAL(tb, a, b) \
	((a).len == (b).len && memcmp(subject_bytes(&(a)), subject_bytes(&(b)), (a).len) == 0)
#define SH_STORE_HASH
#define SH_GET_HASH(tb, a) ((a)->hash)
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* The relations a grant is restricted to, as the protocol names them. */
typedef struct RecordSet
{
	int			count;
	char	  **relations;
} RecordSet;

struct GrantTable
{
	MemoryContext context;
	subjects_hash *identities;
	subjects_hash *pseudonyms;
	Grant	   *grants;			/* [0] is not used */
	uint32		ngrants;
	uint32		max_grants;
	RecordSet  *records;		/* [0] is not used */
	uint32		nrecords;
	uint32		max_records;
	char	  **purposes;		/* [0] is not used */
	uint32		npurposes;
	uint32		max_purposes;
};

GrantTable *
grant_table_create(MemoryContext parent)
{
	MemoryContext context = AllocSetContextCreate(parent, "medchain grants",
												  ALLOCSET_DEFAULT_SIZES);
	GrantTable *table = MemoryContextAllocZero(context, sizeof(GrantTable));

	table->context = context;
	table->identities = subjects_create(context, 64, NULL);
	table->pseudonyms = subjects_create(context, 4, NULL);
	table->max_grants = 64;
	table->grants = MemoryContextAlloc(context, table->max_grants * sizeof(Grant));
	table->ngrants = 1;
	table->max_records = 4;
	table->records = MemoryContextAlloc(context, table->max_records * sizeof(RecordSet));
	table->nrecords = 1;
	table->npurposes = 1;
	return table;
}

void
grant_table_keep(GrantTable *table, MemoryContext parent)
{
	MemoryContextSetParent(table->context, parent);
}

void
grant_table_free(GrantTable *table)
{
	MemoryContextDelete(table->context);
}

/*
 * The same relations in the same order?  (Another order is another set, which costs memory only.)
 */
static bool
record_set_equal(const RecordSet *a, const RecordSet *b)
{
	if (a->count != b->count)
		return false;
	for (int i = 0; i < a->count; i++)
	{
		if (strcmp(a->relations[i], b->relations[i]) != 0)
			return false;
	}
	return true;
}

static bool
record_set_contains(const RecordSet *set, const char *relation)
{
	for (int i = 0; i < set->count; i++)
	{
		if (strcmp(set->relations[i], relation) == 0)
			return true;
	}
	return false;
}

static uint32
grant_table_records(GrantTable *table, Datum records)
{
	RecordSet	set;
	Datum	   *elements;
	bool	   *nulls;
	int			count;
	MemoryContext old = MemoryContextSwitchTo(table->context);

	deconstruct_array(DatumGetArrayTypeP(records), TEXTOID, -1, false, TYPALIGN_INT, &elements,
					  &nulls, &count);
	set.count = 0;
	set.relations = palloc(Max(count, 1) * sizeof(char *));
	for (int i = 0; i < count; i++)
	{
		if (!nulls[i])
			set.relations[set.count++] = TextDatumGetCString(elements[i]);
	}
	pfree(elements);
	pfree(nulls);
	MemoryContextSwitchTo(old);

	/* protocols tend to name the same few sets */
	for (uint32 i = table->nrecords; i-- > 1 && table->nrecords - i <= RECORD_SETS_COMPARED;)
	{
		if (record_set_equal(&table->records[i], &set))
		{
			for (int j = 0; j < set.count; j++)
				pfree(set.relations[j]);
			pfree(set.relations);
			return i;
		}
	}

	if (table->nrecords == table->max_records)
	{
		table->max_records *= 2;
		table->records = repalloc_huge(table->records, table->max_records * sizeof(RecordSet));
	}
	table->records[table->nrecords] = set;
	return table->nrecords++;
}

/* Most members have grants for the same few purposes, or for none. */
static uint32
grant_table_purpose(GrantTable *table, const char *purpose)
{
	for (uint32 i = table->npurposes; i-- > 1 && table->npurposes - i <= PURPOSES_COMPARED;)
	{
		if (strcmp(table->purposes[i], purpose) == 0)
			return i;
	}
	if (table->npurposes >= table->max_purposes)
	{
		Size		size = (Size) Max(table->max_purposes * 2, 4);

		table->purposes = table->purposes == NULL ?
			MemoryContextAlloc(table->context, size * sizeof(char *)) :
			repalloc_huge(table->purposes, size * sizeof(char *));
		table->max_purposes = (uint32) size;
	}
	table->purposes[table->npurposes] = MemoryContextStrdup(table->context, purpose);
	return table->npurposes++;
}

uint32
grant_table_add(GrantTable *table, uint32 head, const GrantSource *source, Validity validity,
				uint8 operations, Datum records, Datum purpose)
{
	Grant	   *grant;

	if (table->ngrants == table->max_grants)
	{
		if (table->max_grants > PG_UINT32_MAX / 2)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("too many grants")));
		table->max_grants *= 2;
		table->grants = repalloc_huge(table->grants, (Size) table->max_grants * sizeof(Grant));
	}
	grant = &table->grants[table->ngrants];
	grant->source = *source;
	grant->validity = validity;
	grant->operations = operations;
	grant->next = head;
	grant->records = 0;
	if (records != (Datum) 0)
		grant->records = grant_table_records(table, records);
	grant->purpose = 0;
	if (purpose != (Datum) 0)
		grant->purpose = grant_table_purpose(table, TextDatumGetCString(purpose));
	return table->ngrants++;
}

static uint32 *
subjects_find_head(subjects_hash *hash, const char *bytes, size_t len)
{
	SubjectEntry *entry = subjects_lookup(hash, subject_key(bytes, len));

	return entry ? &entry->head : NULL;
}

static uint32 *
subjects_enter_head(GrantTable *table, subjects_hash *hash, const char *bytes, size_t len)
{
	bool		found;
	SubjectEntry *entry = subjects_insert(hash, subject_key(bytes, len), &found);

	if (!found)
	{
		entry->head = 0;
		if (len > SUBJECT_INLINE)
		{
			char	   *copy;

			/*
			 * until the copy is made the key points to the caller's bytes: don't leave such an
			 * entry behind
			 */
			copy = MemoryContextAllocExtended(table->context, len, MCXT_ALLOC_NO_OOM);
			if (copy == NULL)
			{
				subjects_delete_item(hash, entry);
				ereport(ERROR,
						(errcode(ERRCODE_OUT_OF_MEMORY),
						 errmsg("out of memory")));
			}
			memcpy(copy, bytes, len);
			memcpy(entry->key.bytes, &copy, sizeof(copy));
		}
	}
	return &entry->head;
}

uint32 *
grant_table_find(GrantTable *table, const char *identity, size_t len)
{
	return subjects_find_head(table->identities, identity, len);
}

uint32 *
grant_table_enter(GrantTable *table, const char *identity, size_t len)
{
	return subjects_enter_head(table, table->identities, identity, len);
}

uint32 *
grant_table_find_pseudonym(GrantTable *table, const uint8 pseudonym[HASH_LEN])
{
	return subjects_find_head(table->pseudonyms, (const char *) pseudonym, HASH_LEN);
}

uint32 *
grant_table_enter_pseudonym(GrantTable *table, const uint8 pseudonym[HASH_LEN])
{
	return subjects_enter_head(table, table->pseudonyms, (const char *) pseudonym, HASH_LEN);
}

void
grant_table_forget_pseudonym(GrantTable *table, const uint8 pseudonym[HASH_LEN])
{
	(void) subjects_delete(table->pseudonyms, subject_key((const char *) pseudonym, HASH_LEN));
}

const Grant *
grant_table_grant(const GrantTable *table, uint32 index)
{
	return &table->grants[index];
}

bool
grant_table_covers(const GrantTable *table, const Grant *grant, const char *relation)
{
	if (grant->records == 0 || relation == NULL)
		return true;
	return record_set_contains(&table->records[grant->records], relation);
}

bool
grant_table_serves(const GrantTable *table, const Grant *grant, const char *purpose)
{
	return grant->purpose == 0 ||
		(purpose[0] != '\0' && strcmp(table->purposes[grant->purpose], purpose) == 0);
}

bool
grant_table_needs(const GrantTable *table, const char *purpose)
{
	for (uint32 i = 1; i < table->npurposes; i++)
	{
		if (strcmp(table->purposes[i], purpose) == 0)
			return true;
	}
	return false;
}

int64
grant_table_identities(const GrantTable *table)
{
	return table->identities->members;
}

int64
grant_table_pseudonyms(const GrantTable *table)
{
	return table->pseudonyms->members;
}

void
grant_table_visit(GrantTable *table, GrantVisit visit, void *arg)
{
	subjects_iterator iterator;
	SubjectEntry *entry;

	subjects_start_iterate(table->identities, &iterator);
	while ((entry = subjects_iterate(table->identities, &iterator)) != NULL)
		visit(subject_bytes(&entry->key), entry->key.len, entry->head, arg);
}

void
grant_table_visit_pseudonyms(GrantTable *table, GrantVisitPseudonym visit, void *arg)
{
	subjects_iterator iterator;
	SubjectEntry *entry;

	subjects_start_iterate(table->pseudonyms, &iterator);
	while ((entry = subjects_iterate(table->pseudonyms, &iterator)) != NULL)
		visit((const uint8 *) subject_bytes(&entry->key), entry->head, arg);
}

TimestampTz
grant_table_horizon(const GrantTable *table, TimestampTz clock)
{
	TimestampTz horizon = DT_NOEND;

	for (uint32 i = 1; i < table->ngrants; i++)
	{
		const Validity *validity = &table->grants[i].validity;

		if (validity->from > clock)
			horizon = Min(horizon, validity->from);
		if (validity->to > clock)
			horizon = Min(horizon, validity->to);
	}
	return horizon;
}

bool
grant_table_ran_out(const GrantTable *table, TimestampTz since, TimestampTz until)
{
	for (uint32 i = 1; i < table->ngrants; i++)
	{
		const Validity *validity = &table->grants[i].validity;

		if (validity->from < validity->to && validity->to > since && validity->to <= until)
			return true;
	}
	return false;
}

bool
grant_table_includes(const GrantTable *other, uint32 other_head,
					 const GrantTable *table, uint32 head, TimestampTz clock)
{
	for (uint32 i = head; i != 0; i = table->grants[i].next)
	{
		const Grant *grant = &table->grants[i];
		bool		found = false;

		if (!validity_contains(&grant->validity, clock))
			continue;
		for (uint32 j = other_head; j != 0 && !found; j = other->grants[j].next)
		{
			const Grant *candidate = &other->grants[j];

			found = validity_contains(&candidate->validity, clock) &&
				(grant->operations & ~candidate->operations) == 0 &&
				(candidate->purpose == 0 ||
				 (grant->purpose != 0 &&
				  strcmp(other->purposes[candidate->purpose],
						 table->purposes[grant->purpose]) == 0)) &&
				(candidate->records == 0 ||
				 (grant->records != 0 &&
				  record_set_equal(&other->records[candidate->records],
								   &table->records[grant->records])));
		}
		if (!found)
			return false;
	}
	return true;
}
