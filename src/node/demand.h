/*
 * demand.h: what sessions ask of the workers, and why they cannot have it.
 *
 * Nobody waits for a worker that cannot come.
 */
#ifndef MEDCHAIN_NODE_DEMAND_H
#define MEDCHAIN_NODE_DEMAND_H

#include "postgres.h"
#include "node/shared.h"

/* Why a worker cannot be had, as the parts of an error. */
typedef struct DemandProblem
{
	int			sqlstate;
	const char *message;
	const char *detail;			/* or NULL */
	const char *hint;
} DemandProblem;

/*
 * ERROR unless this server can run workers at all: medchain was preloaded
 * (object_not_in_prerequisite_state), it is no standby (read_only_sql_transaction), and no
 * single-user or binary-upgrade mode.  call names what was called, as in "medchain.seal()".
 */
extern void demand_server(const char *call);

/*
 * Why the worker that was asked for does not come, as far as it is known.  *number is what
 * shared_wake() returned; a worker that was there then and is gone now is asked for again.  since:
 * when the wait began.  Looks at shared memory only, so that a commit may call it.  False: it is
 * there, or may still come.
 */
extern bool demand_problem(SharedDatabase *slot, WorkerKind kind, uint64 *number, TimestampTz since,
						   DemandProblem *problem);

/*
 * Why there is no such worker, in a few words for those who look; NULL: there is one, or nothing is
 * known.
 */
extern const char *demand_absence(SharedDatabase *slot, WorkerKind kind);

/* A problem as an ERROR, or as a WARNING. */
extern void demand_report(int elevel, const DemandProblem *problem);

/*
 * Make sure that the sealer is up; ERROR with the reason otherwise.  call as above.  at_once: also
 * when it keeps failing and the launcher would rather wait before it tries again.
 */
extern void demand_sealer(const char *call, bool at_once);

#endif
