/*
 * grant_cache.h: what the current member may do with whose records.
 */
#ifndef MEDCHAIN_ACCESS_GRANT_CACHE_H
#define MEDCHAIN_ACCESS_GRANT_CACHE_H

#include "postgres.h"
#include "access/grant_table.h"

/* Which of them: grant_part.h knows more of parts. */
typedef enum GrantAnswer
{
	GRANT_NOTHING, GRANT_PARTS, GRANT_WHOLE
} GrantAnswer;

/*
 * May the current member, by the clock of the statement and for the purpose that the session
 * states, do that with the records of the subject in this relation (InvalidOid: with any record)?
 */
extern GrantAnswer grant_cache_allows(const char *identity, size_t len, uint8 operation,
									  Oid relation);

/*
 * What that was decided on, for the records that the ledger calls so, if it was asked in this
 * statement; NULL: nothing is known of it.  Asks nobody: may be called after an error.
 */
extern const GrantSource *grant_cache_source(const char *identity, size_t len, uint8 operation,
											 const char *relation);

/*
 * Subjects the current member has grants for, roughly: for the planner, who must not wait for it.
 */
extern double grant_cache_estimate(void);

/*
 * The identities for which grant_cache_allows() says yes, in byte order, valid until the next call
 * that reads the cache, or as long as the current memory context.  Subjects of whom this database
 * has no record are left out.
 */
typedef struct GrantedSubject
{
	const char *identity;
	size_t		len;
} GrantedSubject;

extern GrantedSubject *grant_cache_subjects(uint8 operation, Oid relation, int64 *count);

/* The current member, NULL for nobody, and as of when its grants are asked for. */
extern const char *grant_cache_member(uint64 *generation);

/* Has the current member a grant, of those that were looked at, for this purpose alone? */
extern bool grant_cache_needs(const char *purpose);

/*
 * How often the current member lost a grant, by revocation or by time.  Only
 * counted exactly between watch and unwatch, as it costs something.
 */
extern uint64 grant_cache_withdrawals(void);
extern void grant_cache_watch(void);
extern void grant_cache_unwatch(void);

#endif
