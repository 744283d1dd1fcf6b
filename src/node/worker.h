/*
 * worker.h: what the workers of one database have in common: coming up, claiming their slot, going
 * away.
 */
#ifndef MEDCHAIN_NODE_WORKER_H
#define MEDCHAIN_NODE_WORKER_H

#include "postgres.h"
#include "node/shared.h"

/*
 * Claim the place of this kind of worker and connect to the database, with settings of our
 * own.  Does not return when another one has it, medchain is not installed there, or somebody
 * wants the database for himself.
 */
extern SharedDatabase *worker_start(Datum database, WorkerKind kind, const char *name);

/*
 * Do the work, which returns by an error only.  That is logged once a minute if it lasts, failed
 * (or NULL) is told, and the process ends; the launcher starts another after a while.
 */
extern void worker_run(SharedDatabase *slot, void (*work) (SharedDatabase *slot),
					   void (*failed) (SharedDatabase *slot, const char *message));

/*
 * Sleep until the latch is set or timeout (ms; -1 for ever) has passed; then handle signals and
 * reload.  Leaves when somebody wants the database for himself, its settings have changed, or
 * nobody needs the workers.  True: the latch was set.
 */
extern bool worker_sleep(SharedDatabase *slot, long timeout, bool *reloaded);

/*
 * Nobody needs the workers of this database until somebody asks: leave, and have the others leave.
 */
extern void worker_dismiss(SharedDatabase *slot);

/* This one has nothing to do any more: it leaves, until somebody asks for it. */
extern void worker_retire(void);

/*
 * In a PG_CATCH block: what went wrong in a transaction concerns what it was for, and nothing else:
 * it is over, and in the log, if that is not what was said last time; last: NULL: not in the log.
 * Returns what it was, in that context.
 */
extern char *worker_recover(MemoryContext context, LastComplaint *last, const char *what);

/*
 * Start and end a transaction with a snapshot; leaves as worker_sleep() does, or when the extension
 * was dropped.
 */
extern void worker_begin(SharedDatabase *slot, const char *activity);
extern void worker_commit(void);

/* Was anything else than this said last, or a minute ago?  Notes that it is said now. */
extern bool worker_complaint_is_due(LastComplaint *last, const char *message);

/* In a PG_CATCH block: log the error, if that is due. */
extern void worker_complain(LastComplaint *last);

#endif
