/*
 * grant_cache.c: what the current member may do with whose records.
 *
 * Two things are kept, and both are thrown away whenever the generation of what the member may do
 * has moved; this is looked at once per statement, so that a revocation binds every later one,
 * while a statement of an hour does not keep reloading under a stream of changes.
 *
 * Answers: subjects that were asked for one by one (an HMAC and some lookups by index each).  They
 * belong to the session, and there is an end to what they may take.
 *
 * All grants of the member: made by the session that first asks so much that loading them costs no
 * more, and left for the others in shared memory (grant_share.c).  A session has them for a
 * transaction.  Where they are too many to be left there, answers have to do.
 *
 * What others need of it is in grant_cache.h; what a grant says, and whether that is enough for a
 * question, is in grant_table.c alone, and where it comes from in grant_load.c.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "access/grant_cache.h"
#include "access/grant_load.h"
#include "access/grant_share.h"
#include "access/identity.h"
#include "access/latest.h"
#include "access/protection.h"
#include "compat.h"
#include "ledger/pseudonym.h"
#include "node/settings.h"

/*
 * A single question costs about as much as loading a few grants; but what is loaded is there for
 * all sessions.
 */
#define GRANTS_PER_QUESTION 10
#define MIN_QUESTIONS 16
#define MAX_QUESTIONS 20000

/* So many questions of a statement cost as much as it does to have a large segment mapped. */
#define FEW_QUESTIONS 8

/* What is no larger a session has mapped from one transaction to the next. */
#define SMALL_SHARE ((Size) 32 * 1024 * 1024)

typedef enum Glasses
{
	GLASSES_UNKNOWN, GLASSES_NONE, GLASSES_SOME
} Glasses;

/* A table, and when to look again whether any of its grants has ended. */
typedef struct Kept
{
	GrantTable *table;			/* NULL: none */
	TimestampTz judged;			/* clock by which withdrawals were counted last */
	TimestampTz horizon;		/* when to do so again; 0: not known yet */
} Kept;

typedef struct GrantCache
{
	bool		checked;		/* the rest means something */
	uint64		run;			/* last statement that checked */
	uint64		generation;		/* what is in here was read behind it */
	char	   *member;			/* NULL: nobody is acting, nothing is allowed */

	Kept		answers;		/* of this session */
	int64		questions;		/* left, until all grants are loaded */
	Glasses		glasses;		/* has the member broken any, for now? */

	GrantShare	share;			/* all of the member's, while there is a table in "all" */
	Kept		all;
	GrantTable *behind;			/* identities that were found behind pseudonyms of "all", with the
								 * grants there; NULL: none */
	uint64		identities;		/* the generation as of which all are that can be */
	int64		asked;			/* questions of this statement for which answers did not do */

	double		estimate;		/* subjects, -1: not known */
	uint64		withdrawals;
	int			watchers;
	int64		loads;			/* how often it was begun anew */
} GrantCache;

static GrantCache cache = {.estimate = -1};

/* What is known of a subject. */
typedef struct Answer
{
	const GrantTable *table;	/* NULL: nothing */
	uint32		head;
} Answer;

/* ----- what is kept, and how long ----- */

static void
grant_cache_drop_answers(void)
{
	if (cache.answers.table != NULL)
		grant_table_free(cache.answers.table);
	cache.answers.table = NULL;
}

static void
grant_cache_drop_all(void)
{
	if (cache.behind != NULL)
		grant_table_free(cache.behind);
	cache.behind = NULL;
	if (cache.all.table != NULL)
		grant_share_detach(&cache.share);
	cache.all.table = NULL;
}

static void
grant_cache_transaction_ended(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PARALLEL_ABORT:
		case XACT_EVENT_PREPARE:
			/* what a session has anyway, it may have of these */
			if (cache.all.table != NULL && cache.share.size > SMALL_SHARE)
				grant_cache_drop_all();
			break;
		default:
			break;
	}
}

/* Hardly anybody ever breaks the glass, so that is asked once. */
static bool
grant_cache_has_glasses(const char *member, TimestampTz clock)
{
	if (cache.glasses == GLASSES_UNKNOWN)
		cache.glasses = grant_load_has_glasses(member, clock) ? GLASSES_SOME : GLASSES_NONE;
	return cache.glasses == GLASSES_SOME;
}

/* Returns the head of the subject's list. */
static uint32
grant_cache_ask(GrantLoad *load, const char *member, const char *identity, size_t len)
{
	load->glasses = grant_cache_has_glasses(member, load->clock);
	return grant_load_one(load, member, identity, len);
}

/* ----- all of them ----- */

/* Load them, and leave them to all sessions; false: they are too many. */
static bool
grant_cache_make_share(GrantShare *share, const char *member, TimestampTz clock)
{
	GrantLoad	load = {NULL, clock, DT_NOEND};
	GrantsAsOf	as_of = {statement_member_generation(member), statement_identity_generation()};
	bool		left;

	/* an error in between takes the table away */
	load.table = grant_table_create(CurrentMemoryContext);
	load.glasses = grant_cache_has_glasses(member, clock);
	left = grant_load_all(&load, member, 2 * grant_share_room());
	left = grant_share_leave(share, member, &as_of, left ? load.table : NULL);
	grant_table_free(load.table);
	return left;
}

/* All grants of a member as of a generation, or later; false: they are too many. */
static bool
grant_cache_share(GrantShare *share, const char *member, uint64 generation, TimestampTz clock)
{
	bool		found;

	if (grant_share_attach(share, member, generation, SIZE_MAX))
		return true;
	if (grant_share_too_many(member, generation))
		return false;
	grant_share_lock(member);
	/* whom we have waited for has done it */
	found = grant_share_attach(share, member, generation, SIZE_MAX) ||
		(!grant_share_too_many(member, generation) &&
		 grant_cache_make_share(share, member, clock));
	grant_share_unlock(member);
	return found;
}

/* From here on we have them. */
static void
grant_cache_have_all(TimestampTz clock)
{
	static bool registered = false;

	if (!registered)
		RegisterXactCallback(grant_cache_transaction_ended, NULL);
	registered = true;
	cache.all.table = cache.share.table;
	cache.all.judged = clock;
	cache.all.horizon = 0;
	cache.identities = cache.share.as_of.identities;
	cache.estimate = (double) grant_table_identities(cache.all.table);
}

/* If another session has left them there, and this statement's questions are worth it. */
static bool
grant_cache_find_all(TimestampTz clock)
{
	int64		asked = cache.asked++;

	if (cache.all.table != NULL)
		return true;
	if ((asked != 0 && asked != FEW_QUESTIONS) ||
		!grant_share_attach(&cache.share, cache.member, cache.generation,
							asked == 0 ? SMALL_SHARE : SIZE_MAX))
		return false;
	grant_cache_have_all(clock);
	return true;
}

static bool
grant_cache_load_all(TimestampTz clock)
{
	if (cache.all.table != NULL)
		return true;
	if (!grant_cache_share(&cache.share, cache.member, cache.generation, clock))
		return false;
	grant_cache_have_all(clock);
	return true;
}

/* ----- is it still true? ----- */

/* Comparison of what was with what is, for those who watch. */
typedef struct Comparison
{
	const GrantTable *old_table;
	GrantTable *new_table;
	GrantLoad  *load;			/* NULL: the new table has all */
	const char *member;
	TimestampTz clock;
	bool		lost;
} Comparison;

/* The head of a subject's list, where it stands under its identity or its pseudonym. */
static uint32
grant_cache_head_in(GrantTable *table, const char *identity, size_t len)
{
	uint32	   *found = grant_table_find(table, identity, len);
	uint8		pseudonym[HASH_LEN];

	if (found == NULL && grant_table_pseudonyms(table) > 0)
	{
		pseudonym_of(identity, len, pseudonym);
		found = grant_table_find_pseudonym(table, pseudonym);
	}
	return found ? *found : 0;
}

static void
grant_cache_compare_subject(const char *identity, size_t len, uint32 head, void *arg)
{
	Comparison *comparison = (Comparison *) arg;
	uint32		new_head;

	if (head == 0 || comparison->lost)
		return;
	if (comparison->load != NULL)
	{
		new_head = grant_cache_ask(comparison->load, comparison->member, identity, len);
		*grant_table_enter(comparison->new_table, identity, len) = new_head;
	}
	else
		new_head = grant_cache_head_in(comparison->new_table, identity, len);
	if (!grant_table_includes(comparison->new_table, new_head, comparison->old_table, head,
							  comparison->clock))
		comparison->lost = true;
}

/* Has a grant ended since somebody looked last? */
static bool
grant_cache_ran_out(Kept *kept, TimestampTz clock)
{
	bool		ran_out = false;

	if (kept->table == NULL)
		return false;
	if (kept->horizon == 0)
		kept->horizon = grant_table_horizon(kept->table, kept->judged);
	if (clock < kept->horizon)
		return false;
	ran_out = grant_table_ran_out(kept->table, kept->judged, clock);
	kept->judged = clock;
	kept->horizon = grant_table_horizon(kept->table, clock);
	return ran_out;
}

/* Answers as they are now; true: something is not allowed any more. */
static bool
grant_cache_renew_answers(const char *member, TimestampTz clock)
{
	GrantLoad	load = {NULL, clock, DT_NOEND};
	Comparison	comparison = {cache.answers.table, NULL, &load, member, clock, false};

	if (cache.answers.table == NULL)
		return false;
	if (grant_cache_ran_out(&cache.answers, clock))
		comparison.lost = true;
	load.table = grant_table_create(CurrentMemoryContext);
	comparison.new_table = load.table;
	grant_table_visit(cache.answers.table, grant_cache_compare_subject, &comparison);
	grant_cache_drop_answers();
	grant_table_keep(load.table, TopMemoryContext);
	cache.answers = (Kept) {load.table, clock, load.horizon};
	return comparison.lost;
}

/* The same of all grants; those that are too many now cannot be compared. */
static bool
grant_cache_renew_all(const char *member, uint64 generation, TimestampTz clock)
{
	GrantShare	share;
	Comparison	comparison = {cache.all.table, NULL, NULL, member, clock, false};

	if (cache.all.table == NULL)
		return false;
	if (!grant_cache_share(&share, member, generation, clock))
	{
		grant_cache_drop_all();
		return true;
	}
	comparison.new_table = share.table;
	comparison.lost = grant_cache_ran_out(&cache.all, clock);
	grant_table_visit(cache.all.table, grant_cache_compare_subject, &comparison);
	if (cache.behind != NULL)
		grant_table_visit(cache.behind, grant_cache_compare_subject, &comparison);
	grant_cache_drop_all();
	cache.share = share;
	grant_cache_have_all(clock);
	return comparison.lost;
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
	if (cache.watchers > 0 && same_member)
	{
		bool		lost = grant_cache_renew_answers(member, clock);

		lost |= grant_cache_renew_all(member, generation, clock);
		cache.withdrawals += lost;
		cache.generation = generation;
		return;
	}

	name = member ? MemoryContextStrdup(TopMemoryContext, member) : NULL;
	if (cache.answers.table != NULL || cache.all.table != NULL)
		cache.withdrawals++;
	grant_cache_drop_answers();
	grant_cache_drop_all();
	if (cache.member)
		pfree(cache.member);
	if (!same_member)
		cache.estimate = -1;
	cache.member = name;
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

	cache.asked = 0;
	clock = statement_clock();
	member = identity_member_name();
	generation = member != NULL ? statement_member_generation(member) : 0;
	if (!cache.checked || generation != cache.generation ||
		(member == NULL) != (cache.member == NULL) ||
		(member != NULL && strcmp(member, cache.member) != 0))
		grant_cache_replace(member, generation, clock);
	else
	{
		cache.withdrawals += grant_cache_ran_out(&cache.answers, clock);
		/* for nobody else is it worth a look at all of them */
		if (cache.watchers > 0)
			cache.withdrawals += grant_cache_ran_out(&cache.all, clock);
	}
	if (run != 0)
		cache.run = run;
	return cache.member != NULL;
}

/* ----- questions ----- */

/* A grant that allows it; relation NULL: with any record. */
static const Grant *
grant_cache_evaluate(const Answer *answer, uint8 operation, const char *relation,
					 TimestampTz clock)
{
	const GrantTable *table = answer->table;

	for (uint32 i = answer->head; i != 0;)
	{
		const Grant *grant = grant_table_grant(table, i);

		if ((grant->operations & operation) != 0 && validity_contains(&grant->validity, clock) &&
			grant_table_serves(table, grant, setting_purpose) &&
			grant_table_covers(table, grant, relation))
			return grant;
		i = grant->next;
	}
	return NULL;
}

/* Only where a grant is restricted to some relations is the name looked up. */
static bool
grant_cache_allowed(const Answer *answer, uint8 operation, Oid relation, TimestampTz clock)
{
	const Grant *grant = grant_cache_evaluate(answer, operation, NULL, clock);
	const char *name;

	if (grant == NULL || grant->records == 0 || !OidIsValid(relation))
		return grant != NULL;
	name = protection_relation_name(relation);
	return name != NULL && grant_cache_evaluate(answer, operation, name, clock) != NULL;
}

/* What is known already of a subject. */
static Answer
grant_cache_known(const char *identity, size_t len)
{
	uint32	   *found;

	if (cache.all.table != NULL)
	{
		found = grant_table_find(cache.all.table, identity, len);
		if (found == NULL && cache.behind != NULL)
			found = grant_table_find(cache.behind, identity, len);
		if (found != NULL)
			return (Answer) {cache.all.table, *found};
	}
	else if (cache.answers.table != NULL)
	{
		found = grant_table_find(cache.answers.table, identity, len);
		if (found != NULL)
			return (Answer) {cache.answers.table, *found};
	}
	return (Answer) {NULL, 0};
}

/* A table of the session's own takes no more than PostgreSQL gives a hash table. */
static bool
grant_cache_is_full(const GrantTable *table)
{
	return grant_table_memory(table) > get_hash_memory_limit();
}

/* Of all that is granted: is it under a pseudonym that no record here has had so far? */
static Answer
grant_cache_look_behind(const char *identity, size_t len)
{
	Answer		answer = {cache.all.table, 0};

	if (grant_table_pseudonyms(cache.all.table) == 0)
		return answer;
	answer.head = grant_cache_head_in(cache.all.table, identity, len);
	if (cache.behind != NULL && cache.watchers == 0 && grant_cache_is_full(cache.behind))
	{
		grant_table_free(cache.behind);
		cache.behind = NULL;
		cache.identities = cache.share.as_of.identities;
	}
	if (cache.behind == NULL)
		cache.behind = grant_table_create(TopMemoryContext);
	*grant_table_enter(cache.behind, identity, len) = answer.head;
	return answer;
}

/* Ask for one subject, and keep the answer. */
static Answer
grant_cache_look_up(const char *identity, size_t len, TimestampTz clock)
{
	GrantLoad	load = {NULL, clock, DT_NOEND};
	uint32		head;

	if (cache.answers.table != NULL && cache.watchers == 0 &&
		grant_cache_is_full(cache.answers.table))
		grant_cache_drop_answers();
	if (cache.answers.table == NULL)
		cache.answers = (Kept) {grant_table_create(TopMemoryContext), clock, DT_NOEND};
	load.table = cache.answers.table;
	if (cache.answers.horizon != 0)
		load.horizon = cache.answers.horizon;
	head = grant_cache_ask(&load, cache.member, identity, len);
	cache.answers.horizon = load.horizon;
	*grant_table_enter(cache.answers.table, identity, len) = head;
	return (Answer) {cache.answers.table, head};
}

/* How many answers cost as much as all grants of the member. */
static int64
grant_cache_questions(void)
{
	return Min(MAX_QUESTIONS, Max(MIN_QUESTIONS,
								  (int64) (grant_cache_estimate() / GRANTS_PER_QUESTION)));
}

/* Nothing is known of this subject: find out. */
static Answer
grant_cache_find_out(const char *identity, size_t len, TimestampTz clock)
{
	if (!grant_cache_find_all(clock))
	{
		if (cache.answers.table == NULL)
			cache.questions = grant_cache_questions();
		if (cache.questions-- > 0)
			return grant_cache_look_up(identity, len, clock);
		if (!grant_cache_load_all(clock))
		{
			cache.questions = MAX_QUESTIONS;
			return grant_cache_look_up(identity, len, clock);
		}
	}
	{
		Answer		answer = grant_cache_known(identity, len);

		return answer.table != NULL ? answer : grant_cache_look_behind(identity, len);
	}
}

bool
grant_cache_allows(const char *identity, size_t len, uint8 operation, Oid relation)
{
	TimestampTz clock;
	Answer		answer;

	if (!grant_cache_refresh())
		return false;
	clock = statement_clock();
	answer = grant_cache_known(identity, len);
	if (answer.table == NULL)
		answer = grant_cache_find_out(identity, len, clock);
	return grant_cache_allowed(&answer, operation, relation, clock);
}

const GrantSource *
grant_cache_source(const char *identity, size_t len, uint8 operation, const char *relation)
{
	Answer		answer = {NULL, 0};
	const Grant *grant;

	if (cache.member != NULL)
		answer = grant_cache_known(identity, len);
	grant = answer.table != NULL ? grant_cache_evaluate(&answer, operation, relation,
														statement_clock()) : NULL;
	return grant ? &grant->source : NULL;
}

double
grant_cache_estimate(void)
{
	double		all;

	if (!grant_cache_refresh())
		return 0;
	if (cache.estimate < 0)
		cache.estimate = grant_share_subjects(cache.member);
	if (cache.estimate < 0)
		cache.estimate = grant_load_estimate(cache.member, &all);
	return cache.estimate;
}

/* ----- all subjects ----- */

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
	uint32	   *head = grant_table_find_pseudonym(cache.all.table, pseudonym);

	*grant_table_enter(cache.behind, VARDATA_ANY(identity), VARSIZE_ANY_EXHDR(identity)) = *head;
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
	Unknown		unknown = {NULL, 0};

	if (generation == cache.identities || grant_table_pseudonyms(cache.all.table) == 0)
		return;
	unknown.pseudonyms = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(Datum) *
											(Size) grant_table_pseudonyms(cache.all.table));
	grant_table_visit_pseudonyms(cache.all.table, grant_cache_unknown, &unknown);
	values[0] = PointerGetDatum(construct_array(unknown.pseudonyms, unknown.count, BYTEAOID, -1,
												false, TYPALIGN_INT));
	if (cache.behind == NULL)
		cache.behind = grant_table_create(TopMemoryContext);
	latest_query(&plan, CURSOR_OPT_CUSTOM_PLAN, true,
				 "SELECT s.pseudonym, s.identity FROM medchain.subject_identity s "
				 "WHERE s.pseudonym = ANY ($1)",
				 1, types, values, grant_cache_identified, NULL);
	cache.identities = generation;
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
		tables[0] = cache.all.table;
		tables[1] = cache.behind;
		collection.table = cache.all.table;
	}
	else
	{
		/* somebody wants an array of them all, which takes as much */
		GrantLoad	load = {NULL, collection.clock, DT_NOEND};

		load.table = grant_table_create(CurrentMemoryContext);
		load.glasses = grant_cache_has_glasses(cache.member, load.clock);
		(void) grant_load_all(&load, cache.member, SIZE_MAX);
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

bool
grant_cache_needs(const char *purpose)
{
	return grant_cache_refresh() &&
		((cache.answers.table != NULL && grant_table_needs(cache.answers.table, purpose)) ||
		 (cache.all.table != NULL && grant_table_needs(cache.all.table, purpose)));
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
