/*
 * fetch_step.h: asking a peer for the next blocks of a chain, and for their entries.
 */
#ifndef MEDCHAIN_SYNC_FETCH_STEP_H
#define MEDCHAIN_SYNC_FETCH_STEP_H

#include "postgres.h"
#include "replication/walreceiver.h"

#include "node/shared.h"

/* What to ask for, and where. */
typedef struct FetchTask
{
	char	   *source;
	char	   *origin;
	char	   *conninfo;
	char	   *kinds;			/* a text array: of entries that are asked for; NULL: all */
	int64		doubt_first;	/* blocks of which it may have others, or -1 */
	int64		doubt_last;
	int64		dropped;		/* of it, so far */
	char	   *error;			/* of the last time, or NULL */
} FetchTask;

/* What became of one step. */
typedef struct FetchStep
{
	const FetchTask *task;
	int64		height;			/* of the chain, before */
	int64		size;
	int64		last_height;	/* up to which all was asked for */
	int64		last_size;
	int64		wanted;			/* payloads up to there, as far as the blocks say */
} FetchStep;

/* Ask for blocks that somebody has verified others of, so that there are both: fork.c. */
extern void fetch_doubted(SharedDatabase *slot, WalReceiverConn *connection,
						  const FetchTask *task);

/* Ask, and hold what comes as the keeper wants it; ERROR if the peer sends something else. */
extern void fetch_step(SharedDatabase *slot, WalReceiverConn *connection, const FetchTask *task,
					   FetchStep *step);

#endif
