/*
 * worker.h: what the workers of one database have in common: coming up, claiming their slot, going
 * away.
 */
#ifndef MEDCHAIN_LEDGER_WORKER_H
#define MEDCHAIN_LEDGER_WORKER_H

#include "postgres.h"
#include "ledger/shared.h"

/*
 * Connect to the database and claim the slot for this kind of worker.  Does not return when another
 * one has it, or medchain is not installed there.
 */
extern SharedDatabase *worker_start(Datum database, WorkerKind kind, const char *name);

/*
 * Sleep until the latch is set or timeout (ms; -1 for ever) has passed; then handle signals and
 * reload.
 */
extern void worker_sleep(long timeout, bool *reloaded);

/* Start and end a transaction with a snapshot; exits when the extension was dropped. */
extern void worker_begin(SharedDatabase *slot, const char *activity);
extern void worker_commit(void);

#endif
