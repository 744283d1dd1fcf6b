/*
 * grant_cache.c: what the current member may do with whose records.
 *
 * The cache belongs to one session and is thrown away whenever the generation
 * of the state has moved, and that of what its member may do; this is looked at
 * once per statement, so that a revocation binds every later one, while a statement
 * of an hour does not keep reloading under a stream of unrelated changes.
 *
 * After that it is filled by need.  A statement that reads a handful of subjects
 * asks for these alone (an HMAC and an index lookup each); one that goes on asking
 * soon makes loading all grants of the member the cheaper way.  By then it has
 * spent about as much on single questions as the load costs, so that we are
 * never much worse than somebody who knew beforehand.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "access/grant_cache.h"
#include "access/grant_load.h"
#include "access/identity.h"
#include "access/latest.h"
#include "access/protection.h"
#include "compat.h"
#include "ledger/pseudonym.h"
#include "node/settings.h"

/* A single question costs about as much as loading so many grants. */
#define GRANTS_PER_QUESTION 5
#define MIN_QUESTIONS 16
#define MAX_QUESTIONS 20000

/* The planner's estimate is counted up to here; what is beyond is "many". */
#define ESTIMATE_COUNTED 100000

typedef enum Glasses
{
	GLASSES_UNKNOWN, GLASSES_NONE, GLASSES_SOME
} Glasses;

typedef struct GrantCache
{
	bool		checked;		/* the rest means something */
	uint64		run;			/* last statement that checked */
	uint64		generation;		/* what is in here was read behind it */
	uint64		identities;		/* the generation of identities, the same */
	char	   *member;			/* NULL: nobody is acting, nothing is allowed */

	GrantTable *table;			/* NULL: nothing asked yet */
	bool		complete;		/* holds all grants of the member */
	int64		questions;		/* left, until all grants are loaded */
	Glasses		glasses;		/* has the member broken any, for now? */
	TimestampTz judged;			/* clock by which withdrawals were counted last */
	TimestampTz horizon;		/* when to do so again */

	double		estimate;		/* subjects, -1: not known */
	uint64		withdrawals;
	int			watchers;
	int64		loads;			/* how often it was begun anew */
} GrantCache;

static GrantCache cache = {.estimate = -1};

/* Hardly anybody ever breaks the glass, so that is asked once. */
static bool
grant_cache_has_glasses(const char *member, TimestampTz clock)
{
	if (cache.glasses == GLASSES_UNKNOWN)
		cache.glasses = grant_load_has_glasses(member, clock) ? GLASSES_SOME : GLASSES_NONE;
	return cache.glasses == GLASSES_SOME;
}

static void
grant_cache_load(GrantLoad *load, const char *member)
{
	load->glasses = grant_cache_has_glasses(member, load->clock);
	grant_load_all(load, member);
}

/* Returns the head of the subject's list. */
static uint32
grant_cache_ask(GrantLoad *load, const char *member, const char *identity, size_t len)
{
	load->glasses = grant_cache_has_glasses(member, load->clock);
	return grant_load_one(load, member, identity, len);
}

static void
grant_cache_counted(TupleTableSlot *slot, void *arg)
{
	*(int64 *) arg = DatumGetInt64(slot->tts_values[0]);
}

/* Comparison of the old table with the new one, for those who watch. */
typedef struct Comparison
{
	GrantTable *old_table;
	GrantLoad  *load;
	const char *member;
	bool		complete;
	bool		lost;
} Comparison;

static void
grant_cache_compare_subject(const char *identity, size_t len, uint32 head, void *arg)
{
	Comparison *comparison = (Comparison *) arg;
	GrantTable *table = comparison->load->table;
	uint32	   *found;
	uint32		new_head;

	if (head == 0)
		return;
	if (!comparison->complete)
	{
		new_head = grant_cache_ask(comparison->load, comparison->member, identity, len);
		*grant_table_enter(table, identity, len) = new_head;
	}
	else
	{
		found = grant_table_find(table, identity, len);
		new_head = found ? *found : 0;
	}
	if (!grant_table_includes(table, new_head, comparison->old_table, head,
							  comparison->load->clock))
		comparison->lost = true;
}

static void
grant_cache_install(GrantLoad *load, bool complete)
{
	GrantTable *old = cache.table;

	grant_table_keep(load->table, TopMemoryContext);
	cache.table = load->table;
	cache.complete = complete;
	cache.judged = load->clock;
	cache.horizon = load->horizon;
	cache.identities = load->identities;
	if (complete)
		cache.estimate = (double) (grant_table_identities(load->table) +
								   grant_table_pseudonyms(load->table));
	if (old)
		grant_table_free(old);
}

static void
grant_cache_load_all(TimestampTz clock)
{
	GrantLoad	load = {NULL, clock, DT_NOEND, 0, 0};

	/* reparented when it is complete, so that an error in between takes it away */
	load.table = grant_table_create(CurrentMemoryContext);
	grant_cache_load(&load, cache.member);
	grant_cache_install(&load, true);
}

/* The state has changed, or who is acting: start anew. */
static void
grant_cache_replace(const char *member, uint64 generation, TimestampTz clock)
{
	bool		same_member = (cache.checked && cache.member && member &&
							   strcmp(cache.member, member) == 0);
	char	   *name;

	cache.loads++;
	cache.glasses = GLASSES_UNKNOWN;
	if (cache.watchers > 0 && cache.table != NULL && same_member)
	{
		GrantLoad	load = {NULL, clock, DT_NOEND, 0, 0};
		Comparison	comparison = {cache.table, &load, member, cache.complete, false};

		load.table = grant_table_create(CurrentMemoryContext);
		if (cache.complete)
			grant_cache_load(&load, member);
		grant_table_visit(cache.table, grant_cache_compare_subject, &comparison);
		if (comparison.lost || grant_table_ran_out(cache.table, cache.judged, clock))
			cache.withdrawals++;
		grant_cache_install(&load, cache.complete);
		cache.generation = generation;
		return;
	}

	name = member ? MemoryContextStrdup(TopMemoryContext, member) : NULL;
	if (cache.table != NULL)
	{
		grant_table_free(cache.table);
		cache.table = NULL;
		cache.withdrawals++;
	}
	if (cache.member)
		pfree(cache.member);
	if (!same_member)
		cache.estimate = -1;
	cache.member = name;
	cache.complete = false;
	cache.generation = generation;
	cache.checked = true;
}

/* Once per statement: is the cache still true?  False if nobody is acting. */
static bool
grant_cache_refresh(void)
{
	uint64		run = statement_run();
	uint64		generation;
	TimestampTz clock;
	const char *member;

	/* an outer statement that goes on was checked before the inner one that checked last */
	if (run != 0 && run <= cache.run && cache.checked)
		return cache.member != NULL;

	clock = statement_clock();
	member = identity_member_name();
	generation = member != NULL ? statement_member_generation(member) : 0;
	if (!cache.checked || generation != cache.generation ||
		(member == NULL) != (cache.member == NULL) ||
		(member != NULL && strcmp(member, cache.member) != 0))
		grant_cache_replace(member, generation, clock);
	else if (cache.table != NULL && clock >= cache.horizon)
	{
		if (grant_table_ran_out(cache.table, cache.judged, clock))
			cache.withdrawals++;
		cache.judged = clock;
		cache.horizon = grant_table_horizon(cache.table, clock);
	}
	if (run != 0)
		cache.run = run;
	return cache.member != NULL;
}

/* A grant that allows it; relation NULL: with any record. */
static const Grant *
grant_cache_evaluate(uint32 head, uint8 operation, const char *relation, TimestampTz clock)
{
	for (uint32 i = head; i != 0;)
	{
		const Grant *grant = grant_table_grant(cache.table, i);

		if ((grant->operations & operation) != 0 && validity_contains(&grant->validity, clock) &&
			grant_table_serves(cache.table, grant, setting_purpose) &&
			grant_table_covers(cache.table, grant, relation))
			return grant;
		i = grant->next;
	}
	return NULL;
}

/* Only where a grant is restricted to some relations is the name looked up. */
static bool
grant_cache_allowed(uint32 head, uint8 operation, Oid relation, TimestampTz clock)
{
	const Grant *grant = grant_cache_evaluate(head, operation, NULL, clock);
	const char *name;

	if (grant == NULL || grant->records == 0 || !OidIsValid(relation))
		return grant != NULL;
	name = protection_relation_name(relation);
	return name != NULL && grant_cache_evaluate(head, operation, name, clock) != NULL;
}

/* The cache does not know this subject: find out.  Returns the head of its grants. */
static uint32
grant_cache_miss(const char *identity, size_t len, TimestampTz clock)
{
	uint32		head = 0;

	if (!cache.complete)
	{
		GrantLoad	load = {cache.table, clock, cache.horizon, 0, 0};

		if (cache.table == NULL)
		{
			load.table = grant_table_create(CurrentMemoryContext);
			load.horizon = DT_NOEND;
			grant_cache_install(&load, false);
			cache.questions = Min(MAX_QUESTIONS, Max(MIN_QUESTIONS,
													 (int64) (grant_cache_estimate() /
															  GRANTS_PER_QUESTION)));
		}
		if (cache.questions-- > 0)
		{
			head = grant_cache_ask(&load, cache.member, identity, len);
			cache.horizon = load.horizon;
			*grant_table_enter(cache.table, identity, len) = head;
			return head;
		}
		grant_cache_load_all(clock);
		{
			uint32	   *found = grant_table_find(cache.table, identity, len);

			if (found)
				return *found;
		}
	}

	/* granted under a pseudonym that no record here has had so far? */
	if (grant_table_pseudonyms(cache.table) > 0)
	{
		uint8		pseudonym[HASH_LEN];
		uint32	   *found;

		pseudonym_of(identity, len, pseudonym);
		found = grant_table_find_pseudonym(cache.table, pseudonym);
		if (found)
			head = *found;
		*grant_table_enter(cache.table, identity, len) = head;
	}
	return head;
}

bool
grant_cache_allows(const char *identity, size_t len, uint8 operation, Oid relation)
{
	TimestampTz clock;
	uint32	   *found;

	if (!grant_cache_refresh())
		return false;
	clock = statement_clock();
	found = cache.table ? grant_table_find(cache.table, identity, len) : NULL;
	return grant_cache_allowed(found ? *found : grant_cache_miss(identity, len, clock),
							   operation, relation, clock);
}

const GrantSource *
grant_cache_source(const char *identity, size_t len, uint8 operation, const char *relation)
{
	uint32	   *found = cache.member != NULL && cache.table != NULL ?
	grant_table_find(cache.table, identity, len) : NULL;
	const Grant *grant = found ? grant_cache_evaluate(*found, operation, relation,
													  statement_clock()) : NULL;

	return grant ? &grant->source : NULL;
}

double
grant_cache_estimate(void)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[1] = {TEXTOID};
	Datum		values[1];
	int64		count = 0;

	if (!grant_cache_refresh())
		return 0;
	if (cache.estimate >= 0)
		return cache.estimate;

	values[0] = CStringGetTextDatum(cache.member);
	latest_query(&plan, CURSOR_OPT_CUSTOM_PLAN,
				 "SELECT count(*) FROM (SELECT FROM medchain.protocol_grant WHERE grantee = $1 "
				 "LIMIT "
				 CppAsString2(ESTIMATE_COUNTED) ") g",
				 1, types, values, grant_cache_counted, &count);
	cache.estimate = (double) count;
	return cache.estimate;
}

/* The subjects a call to grant_cache_subjects() collects. */
typedef struct Collection
{
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

	if (grant_cache_allowed(head, collection->operation, collection->relation,
							collection->clock))
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

/* ----- who is behind a pseudonym ----- */

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

static void
grant_cache_identified(TupleTableSlot *slot, void *arg)
{
	const uint8 *pseudonym = (uint8 *) VARDATA_ANY(DatumGetByteaPP(slot->tts_values[0]));
	text	   *identity = DatumGetTextPP(slot->tts_values[1]);
	uint32		head = *grant_table_find_pseudonym(cache.table, pseudonym);

	*grant_table_enter(cache.table, VARDATA_ANY(identity), VARSIZE_ANY_EXHDR(identity)) = head;
	grant_table_forget_pseudonym(cache.table, pseudonym);
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
	Unknown		unknown = {NULL, 0};

	if (generation == cache.identities || grant_table_pseudonyms(cache.table) == 0)
		return;
	unknown.pseudonyms = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(Datum) *
												(Size) grant_table_pseudonyms(cache.table));
	grant_table_visit_pseudonyms(cache.table, grant_cache_unknown, &unknown);
	values[0] = PointerGetDatum(construct_array(unknown.pseudonyms, unknown.count, BYTEAOID, -1,
												false, TYPALIGN_INT));
	latest_query(&plan, CURSOR_OPT_CUSTOM_PLAN,
				 "SELECT s.pseudonym, s.identity FROM medchain.subject_identity s "
				 "WHERE s.pseudonym = ANY ($1)",
				 1, types, values, grant_cache_identified, NULL);
	cache.identities = generation;
}

GrantedSubject *
grant_cache_subjects(uint8 operation, Oid relation, int64 *count)
{
	Collection	collection = {operation, relation};

	*count = 0;
	if (!grant_cache_refresh())
		return NULL;
	collection.clock = statement_clock();
	if (cache.table == NULL || !cache.complete)
		grant_cache_load_all(collection.clock);
	grant_cache_identify();
	collection.subjects = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(GrantedSubject) *
												 (Size) Max(grant_table_identities(cache.table),
															1));
	grant_table_visit(cache.table, grant_cache_collect, &collection);
	qsort(collection.subjects, (size_t) collection.count, sizeof(GrantedSubject),
		  grant_cache_compare);
	*count = collection.count;
	return collection.subjects;
}

bool
grant_cache_needs(const char *purpose)
{
	return grant_cache_refresh() && cache.table != NULL && grant_table_needs(cache.table, purpose);
}

uint64
grant_cache_withdrawals(void)
{
	(void) grant_cache_refresh();
	return cache.withdrawals;
}

PG_FUNCTION_INFO_V1(medchain_grant_cache_loads);

/* grant_cache_loads() -> bigint */
Datum
medchain_grant_cache_loads(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(cache.loads);
}

void
grant_cache_watch(void)
{
	cache.watchers++;
}

void
grant_cache_unwatch(void)
{
	cache.watchers--;
}
