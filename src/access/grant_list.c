/*
 * grant_list.c: all subjects whose records the current member may see.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "access/grant_cache.h"
#include "access/grant_cache_internal.h"
#include "access/latest.h"
#include "compat.h"

/* The subjects a call to grant_cache_subjects() collects. */
typedef struct Collection
{
	const GrantTable *table;
	uint8		operation;
	Oid			relation;
	TimestampTz clock;
	GrantedSubject *subjects;
	int64		count;
} Collection;

static void
grant_cache_collect(const char *identity, size_t len, uint32 head, void *arg)
{
	Collection *collection = (Collection *) arg;
	Answer		answer = {collection->table, head};

	if (grant_cache_allowed(&answer, collection->operation, collection->relation,
							collection->clock) != GRANT_NOTHING)
	{
		collection->subjects[collection->count].identity = identity;
		collection->subjects[collection->count].len = len;
		collection->count++;
	}
}

static int
grant_cache_compare(const void *a, const void *b)
{
	const GrantedSubject *left = (const GrantedSubject *) a;
	const GrantedSubject *right = (const GrantedSubject *) b;
	int			order = memcmp(left->identity, right->identity, Min(left->len, right->len));

	if (order != 0)
		return order;
	return left->len < right->len ? -1 : left->len > right->len;
}

/* Who is behind a pseudonym. */
typedef struct Unknown
{
	Datum	   *pseudonyms;
	int			count;
} Unknown;

static void
grant_cache_unknown(const uint8 pseudonym[HASH_LEN], uint32 head, void *arg)
{
	Unknown    *unknown = (Unknown *) arg;
	bytea	   *copy = palloc(VARHDRSZ + HASH_LEN);

	SET_VARSIZE(copy, VARHDRSZ + HASH_LEN);
	memcpy(VARDATA(copy), pseudonym, HASH_LEN);
	unknown->pseudonyms[unknown->count++] = PointerGetDatum(copy);
}

static bool
grant_cache_identified(TupleTableSlot *slot, void *arg)
{
	const uint8 *pseudonym = (uint8 *) VARDATA_ANY(DatumGetByteaPP(slot->tts_values[0]));
	text	   *identity = DatumGetTextPP(slot->tts_values[1]);
	uint32	   *head = grant_table_find_pseudonym(grant_cache.all.table, pseudonym);

	*grant_table_enter(grant_cache.behind, VARDATA_ANY(identity),
					   VARSIZE_ANY_EXHDR(identity)) = *head;
	return true;
}

/*
 * Identities come with records, and change no grant: whose grants were here under a pseudonym only
 * is known by now, maybe.
 */
static void
grant_cache_identify(void)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[1] = {BYTEAARRAYOID};
	Datum		values[1];
	uint64		generation = statement_identity_generation();
	Size		count = (Size) grant_table_pseudonyms(grant_cache.all.table);
	Unknown		unknown = {NULL, 0};

	if (generation == grant_cache.identities || count == 0)
		return;
	unknown.pseudonyms = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(Datum) * count);
	grant_table_visit_pseudonyms(grant_cache.all.table, grant_cache_unknown, &unknown);
	values[0] = PointerGetDatum(construct_array(unknown.pseudonyms, unknown.count, BYTEAOID, -1,
												false, TYPALIGN_INT));
	if (grant_cache.behind == NULL)
		grant_cache.behind = grant_table_create(TopMemoryContext);
	latest_query(&plan, CURSOR_OPT_CUSTOM_PLAN, true,
				 "SELECT s.pseudonym, s.identity FROM medchain.subject_identity s "
				 "WHERE s.pseudonym = ANY ($1)",
				 1, types, values, grant_cache_identified, NULL);
	grant_cache.identities = generation;
}

GrantedSubject *
grant_cache_subjects(uint8 operation, Oid relation, int64 *count)
{
	Collection	collection = {NULL, operation, relation};
	GrantTable *tables[2] = {NULL, NULL};
	int64		most = 1;

	*count = 0;
	if (!grant_cache_refresh())
		return NULL;
	collection.clock = statement_clock();
	if (grant_cache_load_all(collection.clock))
	{
		grant_cache_identify();
		tables[0] = grant_cache.all.table;
		tables[1] = grant_cache.behind;
		collection.table = grant_cache.all.table;
	}
	else
	{
		/* somebody wants an array of them all, which takes as much */
		GrantLoad	load = {NULL, collection.clock, DT_NOEND};

		load.table = grant_table_create(CurrentMemoryContext);
		load.glasses = grant_cache_has_glasses(grant_cache.member, load.clock);
		(void) grant_load_all(&load, grant_cache.member, SIZE_MAX);
		tables[0] = load.table;
		collection.table = load.table;
	}
	for (int i = 0; i < 2 && tables[i] != NULL; i++)
		most += grant_table_identities(tables[i]);
	collection.subjects = MemoryContextAllocHuge(CurrentMemoryContext,
												 sizeof(GrantedSubject) * (Size) most);
	for (int i = 0; i < 2 && tables[i] != NULL; i++)
		grant_table_visit(tables[i], grant_cache_collect, &collection);
	qsort(collection.subjects, (size_t) collection.count, sizeof(GrantedSubject),
		  grant_cache_compare);
	*count = collection.count;
	return collection.subjects;
}
