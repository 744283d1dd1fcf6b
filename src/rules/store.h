/*
 * store.h: what the rules need of whoever keeps claims, state and facts.
 *
 * The node keeps them in its tables, the offline verifier in memory (memory_store.h).  A function
 * that cannot do its work does not return (PostgreSQL's error); whoever owns the rules throws them
 * away then.
 */
#ifndef MEDCHAIN_RULES_STORE_H
#define MEDCHAIN_RULES_STORE_H

#include "rules/state.h"

/* Which claims: all conditions that are given must hold. */
typedef struct ClaimQuery
{
	uint32_t	kinds;			/* CLAIM_SET() of each */
	const char *origin;			/* NULL: any; with it, from first to last */
	int64_t		first;
	int64_t		last;
	const char *about;			/* NULL: any */
	const uint8_t *subject;		/* NULL: any */
	bool		effective;		/* only those */
	bool		bare;			/* what they say is not wanted, and may be missing */
} ClaimQuery;

typedef struct RulesStore
{
	/* Keep a claim, which is not judged yet; one that is there stays as it is. */
	void		(*claim_add) (void *store, const Claim *claim);

	/* What a claim is worth: effective if reason is NULL. */
	void		(*claim_judge) (void *store, const char *origin, int64_t seq, const char *reason);

	/* The claims of a chain from this one on are gone. */
	void		(*claims_remove) (void *store, const char *origin, int64_t first);

	/*
	 * The next claim in the order of (origin in byte order, seq) behind after (NULL: from the
	 * beginning); false if there is none.  What it points to is in the pool, or stays as long as
	 * the claim does.  Claims may have been judged anew, not added or removed, since the last
	 * call.
	 */
	bool		(*claim_next) (void *store, const ClaimQuery *query, const Claim *after,
							   Pool *pool, Claim *claim);

	/* The text of a claim's entry. */
	const char *(*entry_text) (void *store, Pool *pool, const char *origin, int64_t seq,
							   size_t *len);

	/* A row of state, instead of the one with the same key if there is one; or none. */
	void		(*row_put) (void *store, const StateRow *row);
	void		(*row_remove) (void *store, const StateRow *key);

	/* protocol_grant, data_index: none of that protocol from this ordinal on. */
	void		(*rows_trim) (void *store, StateTable table, const char *protocol, int64_t first);

	/*
	 * Facts, which never change: the answer (a text) to a question (a hash over all that it
	 * depends on).  Both may be NULL: nothing is kept.  fact_get returns NULL where there is no
	 * answer.
	 */
	char	   *(*fact_get) (void *store, Pool *pool, const uint8_t question[HASH_LEN]);
	void		(*fact_put) (void *store, const uint8_t question[HASH_LEN], const char *answer);
} RulesStore;

#endif
