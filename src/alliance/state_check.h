/*
 * state_check.h: what the files share that compare the state with the ledger, for verify().
 *
 * Members, policies and bindings of roles are few, and are derived by every process as a whole.
 * What is about examinees and their protocols is cut into parts, of a bounded number of claims
 * each unless one examinee has more, which are derived, compared and forgotten one by one.
 */
#ifndef MEDCHAIN_ALLIANCE_STATE_CHECK_H
#define MEDCHAIN_ALLIANCE_STATE_CHECK_H

#include "postgres.h"
#include "port/atomics.h"

#include "alliance/state_rows.h"
#include "core/note.h"
#include "ledger/local_node.h"
#include "rules/memory_store.h"
#include "rules/rules.h"

#define CHECK_FACTS 1000		/* that are compared at once */
#define CHECK_FAULTS 10000		/* that are told */

typedef struct StateFault
{
	char		origin[NOTE_NAME_MAX + 1];
	char		detail[480];	/* as verify() has them */
} StateFault;

/* What processes that compare share. */
typedef struct StateJob
{
	pg_atomic_uint32 next;		/* part */
	pg_atomic_uint32 nfaults;	/* found; those beyond the limit are not kept */
	uint32		nbounds;
	bool		whole;			/* there are no parts: all is derived at once */
	Size		faults_at;		/* offset of StateFault, behind the bounds */
	uint8		bounds[FLEXIBLE_ARRAY_MEMBER][HASH_LEN];	/* subjects, in their order */
} StateJob;

typedef struct StateCheck
{
	StateJob   *job;
	MemoryContext context;		/* of this process's check */
	MemoryContext step;			/* of one statement */
	LocalNode	node;
	Pool	   *pool;			/* of one row */
	char	  **types[STATE_TABLES];	/* NULL: not asked for yet */
	MemoryStore *members;		/* all that is not in a part */
	MemoryStore *part;			/* of the part that is being looked at; NULL: none is */
	Rules	   *rules;
	int			nfacts;
	char	   *questions[CHECK_FACTS]; /* hex */
	char	   *answers[CHECK_FACTS];
} StateCheck;

/* The kinds of claims that are in parts. */
#define CHECK_PARTED (CLAIM_SET_EXAMINEE | CLAIM_SET_PROTOCOL | CLAIM_SET_GLASS)

/* Of these tables, rows are in parts. */
extern bool check_parted(StateTable table);

extern void check_fault(StateCheck *check, const char *origin, const char *detail);

/* A row of the tables, compared with the one of the store that has to have it. */
extern void check_here(StateCheck *check, MemoryStore *store, const StateRow *row);

/* A row that should be there. */
extern void check_missing(StateCheck *check, const StateRow *row);

/* A row that the ledger knows nothing of. */
extern void check_surplus(StateCheck *check, const StateRow *row);

/* Where the rules put facts, given the check; and compare those that were found out since. */
extern const RulesStore check_facts_store;
extern void check_facts(StateCheck *check);

/* ----- parts ----- */

/* How many parts there are, by the number of bounds. */
extern uint32 state_part_count(const StateJob *job);

/* Derive and compare that one. */
extern void state_part_check(StateCheck *check, uint32 number);

#endif
