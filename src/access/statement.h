/*
 * statement.h: time as the access rules see it: the statement that runs, its
 * clock, and the generation of the state it is judged by.
 */
#ifndef MEDCHAIN_ACCESS_STATEMENT_H
#define MEDCHAIN_ACCESS_STATEMENT_H

#include "postgres.h"
#include "datatype/timestamp.h"
#include "executor/execdesc.h"

/* At the start of an executor run.  partial: more may be fetched from this query later. */
typedef void (*StatementCheck) (QueryDesc *query, bool partial);

/*
 * From now on tell the executor runs of this session apart, and check each (cursor_check()): a plan
 * is made that asks the policies.
 */
extern void statement_track(StatementCheck check);

/*
 * Number of the innermost executor run of this session, 0 outside of any, and before
 * statement_track().  Later runs have higher numbers; a cursor's FETCH is a run of its own.
 */
extern uint64 statement_run(void);

/* When somebody first asked in that run; outside of any, now. */
extern TimestampTz statement_clock(void);

/* Differs from an earlier answer if medchain's state may have changed since.  Cheap. */
extern uint64 statement_generation(void);

/* The same of what that member may do; to be asked behind the other. */
extern uint64 statement_member_generation(const char *member);

/* The same of who is behind pseudonyms. */
extern uint64 statement_identity_generation(void);

/* A half-open stretch of time [from, to). */
typedef struct Validity
{
	TimestampTz from;
	TimestampTz to;
} Validity;

#define VALIDITY_ALWAYS ((Validity) {DT_NOBEGIN, DT_NOEND})

/* Cut *validity down to what it has in common with a tstzrange. */
extern void validity_restrict(Validity *validity, Datum range);

static inline bool
validity_contains(const Validity *validity, TimestampTz clock)
{
	return validity->from <= clock && (clock < validity->to || validity->to == DT_NOEND);
}

#endif
