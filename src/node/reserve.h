/*
 * reserve.h: parallel queries leave room for the workers that a node needs.
 */
#ifndef MEDCHAIN_NODE_RESERVE_H
#define MEDCHAIN_NODE_RESERVE_H

#include "postgres.h"
#include "postmaster/bgworker.h"

/* Count what is needed.  Called now and then by the launcher, in a transaction of its own. */
extern void reserve_watch(void);

/* Start a worker as one of the parallel workers, if these have room; false: they have none. */
extern bool reserve_start(BackgroundWorker *worker);

/* From _PG_init, while preloading. */
extern void reserve_install(void);

#endif
