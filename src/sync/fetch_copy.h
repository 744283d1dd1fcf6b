/*
 * fetch_copy.h: what a peer answers to COPY ... TO STDOUT, a row at a time.
 */
#ifndef MEDCHAIN_SYNC_FETCH_COPY_H
#define MEDCHAIN_SYNC_FETCH_COPY_H

#include "postgres.h"
#include "datatype/timestamp.h"
#include "replication/walreceiver.h"

#define FETCH_COPY_ANSWER 30000 /* milliseconds for an answer to begin */

/* number: not negative; text: may be changed, and is gone after the call */
typedef void (*FetchCopyRow) (void *state, int64 number, char *text);

/*
 * Take the rows of a query that is COPY ... TO STDOUT of a number and a text, at most limit of
 * them; ERROR if there are more, or the peer lets us wait.
 */
extern void fetch_copy(WalReceiverConn *connection, const char *query, int64 limit,
					   TimestampTz until, FetchCopyRow take, void *state);

#endif
