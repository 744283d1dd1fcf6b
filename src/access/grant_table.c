/*
 * grant_table.c: the grants of one member, by subject.
 *
 * A whole-table query asks once per row, so what it costs is cache misses.  An
 * entry of the hash is 32 bytes, with the first 16 bytes of the identity inside:
 * most questions are answered out of one cache line, refusals always (the stored
 * hash tells), and grants lie in one array.
 *
 * Nothing in a table points: what is longer lies in one heap of bytes, and is named by its place
 * there.  So a table that is complete can be written down as an image, which other sessions have in
 * their memory at other addresses (grant_share.c), and look into as if it were their own.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "access/grant_part_read.h"
#include "access/grant_table_internal.h"

#define RECORD_SETS_COMPARED 64
#define PURPOSES_COMPARED 64
#define GRANTS_COMPARED 8

GrantTable *
grant_table_create(MemoryContext parent)
{
	MemoryContext context = AllocSetContextCreate(parent, "medchain grants",
												  ALLOCSET_DEFAULT_SIZES);
	GrantTable *table = MemoryContextAllocZero(context, sizeof(GrantTable));

	table->context = context;
	table->identities = subjects_create(context, 64, table);
	table->pseudonyms = subjects_create(context, 4, table);
	table->max_grants = 64;
	table->grants = MemoryContextAllocZero(context, table->max_grants * sizeof(Grant));
	table->ngrants = 1;
	table->max_records = 4;
	table->records = MemoryContextAllocZero(context, table->max_records * sizeof(RecordSet));
	table->nrecords = 1;
	table->max_purposes = 4;
	table->purposes = MemoryContextAllocZero(context, table->max_purposes * sizeof(uint64));
	table->npurposes = 1;
	table->heap_max = 1024;
	table->heap = MemoryContextAlloc(context, table->heap_max);
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

Size
grant_table_memory(const GrantTable *table)
{
	return MemoryContextMemAllocated(table->context, false);
}

/* ----- the heap ----- */

static void
heap_reserve(GrantTable *table, uint64 len)
{
	if (table->heap_len + len <= table->heap_max)
		return;
	while (table->heap_len + len > table->heap_max)
		table->heap_max *= 2;
	table->heap = repalloc_huge(table->heap, table->heap_max);
}

/* Where it is now. */
static uint64
heap_add(GrantTable *table, const char *bytes, uint64 len)
{
	uint64		place = table->heap_len;

	heap_reserve(table, len);
	memcpy(table->heap + place, bytes, len);
	table->heap_len += len;
	return place;
}

/* ----- grants ----- */

/*
 * The same relations in the same order?  (Another order is another set, which costs memory only.)
 */
static bool
record_set_equal(const GrantTable *table, const RecordSet *set, const GrantTable *other_table,
				 const RecordSet *other)
{
	return set->count == other->count && set->len == other->len &&
		memcmp(table->heap + set->place, other_table->heap + other->place, set->len) == 0;
}

static bool
record_set_contains(const GrantTable *table, const RecordSet *set, const char *relation)
{
	const char *name = table->heap + set->place;

	for (uint32 i = 0; i < set->count; i++)
	{
		if (strcmp(name, relation) == 0)
			return true;
		name += strlen(name) + 1;
	}
	return false;
}

static uint32
grant_table_records(GrantTable *table, Datum records)
{
	RecordSet	set = {0, 0, table->heap_len};
	Datum	   *elements;
	bool	   *nulls;
	int			count;

	deconstruct_array(DatumGetArrayTypeP(records), TEXTOID, -1, false, TYPALIGN_INT, &elements,
					  &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		char	   *name;
		char	   *part;

		if (nulls[i])
			continue;
		name = TextDatumGetCString(elements[i]);
		/* besides all that it says, so that another part is another set */
		part = name[0] == '{' ? grant_part_name(name) : NULL;
		if (part != NULL)
		{
			heap_add(table, part, strlen(part) + 1);
			set.count++;
			pfree(part);
		}
		heap_add(table, name, strlen(name) + 1);
		set.count++;
		pfree(name);
	}
	set.len = (uint32) (table->heap_len - set.place);
	pfree(elements);
	pfree(nulls);

	/* protocols tend to name the same few sets */
	for (uint32 i = table->nrecords; i-- > 1 && table->nrecords - i <= RECORD_SETS_COMPARED;)
	{
		if (record_set_equal(table, &table->records[i], table, &set))
		{
			table->heap_len = set.place;
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

static const char *
grant_table_purpose_name(const GrantTable *table, uint32 purpose)
{
	return table->heap + table->purposes[purpose];
}

/* Most members have grants for the same few purposes, or for none. */
static uint32
grant_table_purpose(GrantTable *table, const char *purpose)
{
	for (uint32 i = table->npurposes; i-- > 1 && table->npurposes - i <= PURPOSES_COMPARED;)
	{
		if (strcmp(grant_table_purpose_name(table, i), purpose) == 0)
			return i;
	}
	if (table->npurposes == table->max_purposes)
	{
		table->max_purposes *= 2;
		table->purposes = repalloc_huge(table->purposes, table->max_purposes * sizeof(uint64));
	}
	table->purposes[table->npurposes] = heap_add(table, purpose, strlen(purpose) + 1);
	return table->npurposes++;
}

/* Does one of the newest few in the list allow all that this one does? */
static bool
grant_table_has(const GrantTable *table, uint32 head, const Grant *grant)
{
	for (int i = 0; head != 0 && i < GRANTS_COMPARED; i++)
	{
		const Grant *other = &table->grants[head];

		if (other->records == grant->records && other->purpose == grant->purpose &&
			(grant->operations & ~other->operations) == 0 &&
			other->validity.from <= grant->validity.from &&
			other->validity.to >= grant->validity.to)
			return true;
		head = other->next;
	}
	return false;
}

uint32
grant_table_add(GrantTable *table, uint32 head, const GrantSource *source, Validity validity,
				uint8 operations, Datum records, Datum purpose)
{
	Grant		grant = {validity, 0, head, 0, operations, *source};

	if (records != (Datum) 0)
		grant.records = grant_table_records(table, records);
	if (purpose != (Datum) 0)
	{
		char	   *name = TextDatumGetCString(purpose);

		grant.purpose = grant_table_purpose(table, name);
		pfree(name);
	}
	if (grant_table_has(table, head, &grant))
		return head;
	if (table->ngrants == table->max_grants)
	{
		if (table->max_grants > PG_UINT32_MAX / 2)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("too many grants")));
		table->max_grants *= 2;
		table->grants = repalloc_huge(table->grants, (Size) table->max_grants * sizeof(Grant));
	}
	table->grants[table->ngrants] = grant;
	return table->ngrants++;
}

/* ----- subjects ----- */

static uint32 *
subjects_find_head(const GrantTable *table, subjects_hash *hash, const char *bytes, size_t len)
{
	SubjectEntry *entry = subjects_lookup(hash, subject_key(table, bytes, len));

	return entry ? &entry->head : NULL;
}

static uint32 *
subjects_enter_head(GrantTable *table, subjects_hash *hash, const char *bytes, size_t len)
{
	bool		found;
	SubjectEntry *entry;

	/* before the entry is there, which is not to be left behind by an error */
	if (len > SUBJECT_INLINE)
		heap_reserve(table, len);
	entry = subjects_insert(hash, subject_key(table, bytes, len), &found);
	if (!found)
	{
		entry->head = 0;
		if (len > SUBJECT_INLINE)
		{
			int64		distance = (int64) heap_add(table, bytes, len);

			memcpy(entry->key.bytes, &distance, sizeof(distance));
		}
	}
	return &entry->head;
}

uint32 *
grant_table_find(GrantTable *table, const char *identity, size_t len)
{
	return subjects_find_head(table, table->identities, identity, len);
}

uint32 *
grant_table_enter(GrantTable *table, const char *identity, size_t len)
{
	return subjects_enter_head(table, table->identities, identity, len);
}

uint32 *
grant_table_find_pseudonym(GrantTable *table, const uint8 pseudonym[HASH_LEN])
{
	return subjects_find_head(table, table->pseudonyms, (const char *) pseudonym, HASH_LEN);
}

uint32 *
grant_table_enter_pseudonym(GrantTable *table, const uint8 pseudonym[HASH_LEN])
{
	return subjects_enter_head(table, table->pseudonyms, (const char *) pseudonym, HASH_LEN);
}

void
grant_table_forget_pseudonym(GrantTable *table, const uint8 pseudonym[HASH_LEN])
{
	(void) subjects_delete(table->pseudonyms, subject_key(table, (const char *) pseudonym,
														  HASH_LEN));
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
	return record_set_contains(table, &table->records[grant->records], relation);
}

bool
grant_table_serves(const GrantTable *table, const Grant *grant, const char *purpose)
{
	return grant->purpose == 0 ||
		(purpose[0] != '\0' &&
		 strcmp(grant_table_purpose_name(table, grant->purpose), purpose) == 0);
}

bool
grant_table_needs(const GrantTable *table, const char *purpose)
{
	for (uint32 i = 1; i < table->npurposes; i++)
	{
		if (strcmp(grant_table_purpose_name(table, i), purpose) == 0)
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
		visit(subject_bytes(table, &entry->key), entry->key.len, entry->head, arg);
}

void
grant_table_visit_pseudonyms(GrantTable *table, GrantVisitPseudonym visit, void *arg)
{
	subjects_iterator iterator;
	SubjectEntry *entry;

	subjects_start_iterate(table->pseudonyms, &iterator);
	while ((entry = subjects_iterate(table->pseudonyms, &iterator)) != NULL)
		visit((const uint8 *) subject_bytes(table, &entry->key), entry->head, arg);
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
				  strcmp(grant_table_purpose_name(other, candidate->purpose),
						 grant_table_purpose_name(table, grant->purpose)) == 0)) &&
				(candidate->records == 0 ||
				 (grant->records != 0 &&
				  record_set_equal(other, &other->records[candidate->records],
								   table, &table->records[grant->records])));
		}
		if (!found)
			return false;
	}
	return true;
}
