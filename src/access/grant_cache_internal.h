/*
 * grant_cache_internal.h: what a session keeps of its member's grants, for the files that look
 * after it (see grant_cache.c).
 */
#ifndef MEDCHAIN_ACCESS_GRANT_CACHE_INTERNAL_H
#define MEDCHAIN_ACCESS_GRANT_CACHE_INTERNAL_H

#include "postgres.h"

#include "access/grant_cache.h"
#include "access/grant_load.h"
#include "access/grant_share.h"

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

extern GrantCache grant_cache;

/* What is known of a subject. */
typedef struct Answer
{
	const GrantTable *table;	/* NULL: nothing */
	uint32		head;
} Answer;

static inline Answer
answer_of(const GrantTable *table, uint32 head)
{
	Answer		answer = {table, head};

	return answer;
}

static inline Kept
kept_of(GrantTable *table, TimestampTz judged, TimestampTz horizon)
{
	Kept		kept = {table, judged, horizon};

	return kept;
}

/* grant_cache.c */

/* Once per statement: is the cache still true?  False if nobody is acting. */
extern bool grant_cache_refresh(void);

extern void grant_cache_drop_answers(void);
extern void grant_cache_drop_all(void);
extern bool grant_cache_has_glasses(const char *member, TimestampTz clock);

/* Returns the head of the subject's list. */
extern uint32 grant_cache_ask(GrantLoad *load, const char *member, const char *identity,
							  size_t len);

/* The head of a subject's list, where it stands under its identity or its pseudonym. */
extern uint32 grant_cache_head_in(GrantTable *table, const char *identity, size_t len);

/* All grants of a member as of a generation, or later; false: they are too many. */
extern bool grant_cache_share(GrantShare *share, const char *member, uint64 generation,
							  TimestampTz clock);

/* From here on grant_cache.share is what we have; and the same of what is to be had now. */
extern void grant_cache_have_all(TimestampTz clock);
extern bool grant_cache_load_all(TimestampTz clock);

extern GrantAnswer grant_cache_allowed(const Answer *answer, uint8 operation, Oid relation,
									   TimestampTz clock);

/* grant_renew.c */

/* Has a grant ended since somebody looked last? */
extern bool grant_cache_ran_out(Kept *kept, TimestampTz clock);

/* Bring them up to date; true: something is not allowed any more. */
extern bool grant_cache_renew_answers(const char *member, TimestampTz clock);
extern bool grant_cache_renew_all(const char *member, uint64 generation, TimestampTz clock);

#endif
