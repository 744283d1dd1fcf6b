/*
 * notify.h: events, for applications that LISTEN: NOTIFY medchain, with a JSON object as text.
 */
#ifndef MEDCHAIN_NODE_NOTIFY_H
#define MEDCHAIN_NODE_NOTIFY_H

#include "postgres.h"
#include "node/shared.h"

/* From now on this process, a worker, sends events; in others nothing comes of them. */
extern void notify_start(void);

/*
 * Something has happened if the current transaction commits: {"event": event, ...} with pairs of a
 * name and a value, up to NULL.  Values are short.
 */
extern void notify_event(const char *event,...);

/*
 * Between transactions: send what has happened.  Returns after how many milliseconds to do that
 * again, at most limit (-1: no limit).
 */
extern long notify_send(SharedDatabase *slot, long limit);

/* The event that a chain has grown, to so many entries. */
extern void notify_block(const char *origin, int64 entries);

#endif
