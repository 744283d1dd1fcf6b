/*
 * fetch.h: asking a peer again for what was not kept when it came, or is here no more.
 */
#ifndef MEDCHAIN_SYNC_FETCH_H
#define MEDCHAIN_SYNC_FETCH_H

#include "postgres.h"

#include "node/shared.h"
#include "replication/walreceiver.h"
#include "sync/fetch_step.h"

/* What became of it. */
typedef enum FetchResult
{
	FETCH_DONE,					/* all that the peer has is here */
	FETCH_MORE,					/* there may be more: its turn is over */
	FETCH_FAILED
} FetchResult;

/* Start the worker, if there is something to ask for.  For the keeper, in a trusted scope. */
extern void fetch_call(void);

/* For the worker: the next chain of a peer that is to be asked for; false: none is now. */
extern bool fetch_next(SharedDatabase *slot, MemoryContext context);

/* A connection to the task's peer; ERROR if it takes longer than so many milliseconds. */
extern WalReceiverConn *fetch_connect(SharedDatabase *slot, const FetchTask *task, int patience);

/* What there is, step by step, until it is another's turn; ERROR if the peer is of no use. */
extern FetchResult fetch_turn(SharedDatabase *slot, WalReceiverConn *connection,
							  const FetchTask *task);

#endif
