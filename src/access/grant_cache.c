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
 * What others need of it is in grant_cache.h, and what it shares with grant_renew.c and
 * grant_list.c in grant_cache_internal.h.  What a grant says is in grant_table.c alone, whether it
 * is enough for a question in grant_cache_evaluate(), and where it comes from in grant_load.c.
 */
#include "postgres.h"

#include "access/xact.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "access/grant_cache.h"
#include "access/grant_cache_internal.h"
#include "access/grant_part_read.h"
#include "access/identity.h"
#include "access/protection.h"
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

GrantCache	grant_cache = {.estimate = -1};

/* ----- what is kept, and how long ----- */

void
grant_cache_drop_answers(void)
{
	if (grant_cache.answers.table != NULL)
		grant_table_free(grant_cache.answers.table);
	grant_cache.answers.table = NULL;
}

void
grant_cache_drop_all(void)
{
	if (grant_cache.behind != NULL)
		grant_table_free(grant_cache.behind);
	grant_cache.behind = NULL;
	if (grant_cache.all.table != NULL)
		grant_share_detach(&grant_cache.share);
	grant_cache.all.table = NULL;
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
			if (grant_cache.all.table != NULL && grant_cache.share.size > SMALL_SHARE)
				grant_cache_drop_all();
			break;
		default:
			break;
	}
}

/* Hardly anybody ever breaks the glass, so that is asked once. */
bool
grant_cache_has_glasses(const char *member, TimestampTz clock)
{
	if (grant_cache.glasses == GLASSES_UNKNOWN)
		grant_cache.glasses = grant_load_has_glasses(member, clock) ? GLASSES_SOME : GLASSES_NONE;
	return grant_cache.glasses == GLASSES_SOME;
}

/* Returns the head of the subject's list. */
uint32
grant_cache_ask(GrantLoad *load, const char *member, const char *identity, size_t len)
{
	load->glasses = grant_cache_has_glasses(member, load->clock);
	return grant_load_one(load, member, identity, len);
}

/* The head of a subject's list, where it stands under its identity or its pseudonym. */
uint32
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
bool
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
void
grant_cache_have_all(TimestampTz clock)
{
	static bool registered = false;

	if (!registered)
		RegisterXactCallback(grant_cache_transaction_ended, NULL);
	registered = true;
	grant_cache.all.table = grant_cache.share.table;
	grant_cache.all.judged = clock;
	grant_cache.all.horizon = 0;
	grant_cache.identities = grant_cache.share.as_of.identities;
	grant_cache.estimate = (double) grant_table_identities(grant_cache.all.table);
}

/* If another session has left them there, and this statement's questions are worth it. */
static bool
grant_cache_find_all(TimestampTz clock)
{
	int64		asked = grant_cache.asked++;

	if (grant_cache.all.table != NULL)
		return true;
	if ((asked != 0 && asked != FEW_QUESTIONS) ||
		!grant_share_attach(&grant_cache.share, grant_cache.member, grant_cache.generation,
							asked == 0 ? SMALL_SHARE : SIZE_MAX))
		return false;
	grant_cache_have_all(clock);
	return true;
}

bool
grant_cache_load_all(TimestampTz clock)
{
	if (grant_cache.all.table != NULL)
		return true;
	if (!grant_cache_share(&grant_cache.share, grant_cache.member, grant_cache.generation, clock))
		return false;
	grant_cache_have_all(clock);
	return true;
}

/* ----- is it still true? ----- */

/* The state has changed, or who is acting: start anew. */
static void
grant_cache_replace(const char *member, uint64 generation, TimestampTz clock)
{
	bool		same_member = (grant_cache.checked && grant_cache.member && member &&
							   strcmp(grant_cache.member, member) == 0);
	char	   *name;

	grant_cache.loads++;
	grant_cache.glasses = GLASSES_UNKNOWN;
	if (grant_cache.watchers > 0 && same_member)
	{
		bool		lost = grant_cache_renew_answers(member, clock);

		lost |= grant_cache_renew_all(member, generation, clock);
		grant_cache.withdrawals += lost;
		grant_cache.generation = generation;
		return;
	}

	name = member ? MemoryContextStrdup(TopMemoryContext, member) : NULL;
	if (grant_cache.answers.table != NULL || grant_cache.all.table != NULL)
		grant_cache.withdrawals++;
	grant_cache_drop_answers();
	grant_cache_drop_all();
	if (grant_cache.member)
		pfree(grant_cache.member);
	if (!same_member)
		grant_cache.estimate = -1;
	grant_cache.member = name;
	grant_cache.generation = generation;
	grant_cache.checked = true;
}

/* Once per statement: is the cache still true?  False if nobody is acting. */
bool
grant_cache_refresh(void)
{
	uint64		run = statement_run();
	uint64		generation;
	TimestampTz clock;
	const char *member;

	/* an outer statement that goes on was checked before the inner one that checked last */
	if (run != 0 && run <= grant_cache.run && grant_cache.checked)
		return grant_cache.member != NULL;

	grant_cache.asked = 0;
	clock = statement_clock();
	member = identity_member_name();
	generation = member != NULL ? statement_member_generation(member) : 0;
	if (!grant_cache.checked || generation != grant_cache.generation ||
		(member == NULL) != (grant_cache.member == NULL) ||
		(member != NULL && strcmp(member, grant_cache.member) != 0))
		grant_cache_replace(member, generation, clock);
	else
	{
		grant_cache.withdrawals += grant_cache_ran_out(&grant_cache.answers, clock);
		/* for nobody else is it worth a look at all of them */
		if (grant_cache.watchers > 0)
			grant_cache.withdrawals += grant_cache_ran_out(&grant_cache.all, clock);
	}
	if (run != 0)
		grant_cache.run = run;
	return grant_cache.member != NULL;
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
GrantAnswer
grant_cache_allowed(const Answer *answer, uint8 operation, Oid relation, TimestampTz clock)
{
	const Grant *grant = grant_cache_evaluate(answer, operation, NULL, clock);
	const Protection *protection;
	const char *name;

	if (grant == NULL)
		return GRANT_NOTHING;
	if (grant->records == 0 || !OidIsValid(relation))
		return GRANT_WHOLE;
	name = protection_relation_name(relation);
	if (name != NULL && grant_cache_evaluate(answer, operation, name, clock) != NULL)
		return GRANT_WHOLE;
	protection = name != NULL ? protection_of(relation) : NULL;
	return protection != NULL && protection->ungranted != UNGRANTED_ALL &&
		grant_cache_evaluate(answer, operation, protection->part, clock) != NULL ?
		GRANT_PARTS : GRANT_NOTHING;
}

/* What is known already of a subject. */
static Answer
grant_cache_known(const char *identity, size_t len)
{
	uint32	   *found;

	if (grant_cache.all.table != NULL)
	{
		found = grant_table_find(grant_cache.all.table, identity, len);
		if (found == NULL && grant_cache.behind != NULL)
			found = grant_table_find(grant_cache.behind, identity, len);
		if (found != NULL)
			return answer_of(grant_cache.all.table, *found);
	}
	else if (grant_cache.answers.table != NULL)
	{
		found = grant_table_find(grant_cache.answers.table, identity, len);
		if (found != NULL)
			return answer_of(grant_cache.answers.table, *found);
	}
	return answer_of(NULL, 0);
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
	Answer		answer = {grant_cache.all.table, 0};

	if (grant_table_pseudonyms(grant_cache.all.table) == 0)
		return answer;
	answer.head = grant_cache_head_in(grant_cache.all.table, identity, len);
	if (grant_cache.behind != NULL && grant_cache.watchers == 0 &&
		grant_cache_is_full(grant_cache.behind))
	{
		grant_table_free(grant_cache.behind);
		grant_cache.behind = NULL;
		grant_cache.identities = grant_cache.share.as_of.identities;
	}
	if (grant_cache.behind == NULL)
		grant_cache.behind = grant_table_create(TopMemoryContext);
	*grant_table_enter(grant_cache.behind, identity, len) = answer.head;
	return answer;
}

/* Ask for one subject, and keep the answer. */
static Answer
grant_cache_look_up(const char *identity, size_t len, TimestampTz clock)
{
	GrantLoad	load = {NULL, clock, DT_NOEND};
	uint32		head;

	if (grant_cache.answers.table != NULL && grant_cache.watchers == 0 &&
		grant_cache_is_full(grant_cache.answers.table))
		grant_cache_drop_answers();
	if (grant_cache.answers.table == NULL)
		grant_cache.answers = kept_of(grant_table_create(TopMemoryContext), clock, DT_NOEND);
	load.table = grant_cache.answers.table;
	if (grant_cache.answers.horizon != 0)
		load.horizon = grant_cache.answers.horizon;
	head = grant_cache_ask(&load, grant_cache.member, identity, len);
	grant_cache.answers.horizon = load.horizon;
	*grant_table_enter(grant_cache.answers.table, identity, len) = head;
	return answer_of(grant_cache.answers.table, head);
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
		if (grant_cache.answers.table == NULL)
			grant_cache.questions = grant_cache_questions();
		if (grant_cache.questions-- > 0)
			return grant_cache_look_up(identity, len, clock);
		if (!grant_cache_load_all(clock))
		{
			grant_cache.questions = MAX_QUESTIONS;
			return grant_cache_look_up(identity, len, clock);
		}
	}
	{
		Answer		answer = grant_cache_known(identity, len);

		return answer.table != NULL ? answer : grant_cache_look_behind(identity, len);
	}
}

GrantAnswer
grant_cache_allows(const char *identity, size_t len, uint8 operation, Oid relation)
{
	TimestampTz clock;
	Answer		answer;

	if (!grant_cache_refresh())
		return GRANT_NOTHING;
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

	if (grant_cache.member != NULL)
		answer = grant_cache_known(identity, len);
	grant = answer.table != NULL ? grant_cache_evaluate(&answer, operation, relation,
														statement_clock()) : NULL;
	if (grant == NULL && answer.table != NULL && relation != NULL)
		grant = grant_cache_evaluate(&answer, operation, grant_part_of(relation),
									 statement_clock());
	return grant ? &grant->source : NULL;
}

double
grant_cache_estimate(void)
{
	double		all;

	if (!grant_cache_refresh())
		return 0;
	if (grant_cache.estimate < 0)
		grant_cache.estimate = grant_share_subjects(grant_cache.member);
	if (grant_cache.estimate < 0)
		grant_cache.estimate = grant_load_estimate(grant_cache.member, &all);
	return grant_cache.estimate;
}

const char *
grant_cache_member(uint64 *generation)
{
	if (!grant_cache_refresh())
		return NULL;
	*generation = grant_cache.generation;
	return grant_cache.member;
}

bool
grant_cache_needs(const char *purpose)
{
	return grant_cache_refresh() &&
		((grant_cache.answers.table != NULL &&
		  grant_table_needs(grant_cache.answers.table, purpose)) ||
		 (grant_cache.all.table != NULL &&
		  grant_table_needs(grant_cache.all.table, purpose)));
}

uint64
grant_cache_withdrawals(void)
{
	(void) grant_cache_refresh();
	return grant_cache.withdrawals;
}

PG_FUNCTION_INFO_V1(medchain_grant_cache_loads);

/* grant_cache_loads() -> bigint */
Datum
medchain_grant_cache_loads(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(grant_cache.loads);
}

void
grant_cache_watch(void)
{
	grant_cache.watchers++;
}

void
grant_cache_unwatch(void)
{
	grant_cache.watchers--;
}
