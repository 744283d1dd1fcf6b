/*
 * read_hold.h: result rows wait until it is recorded who has read them.
 */
#ifndef MEDCHAIN_ACCESS_READ_HOLD_H
#define MEDCHAIN_ACCESS_READ_HOLD_H

#include "postgres.h"
#include "executor/execdesc.h"
#include "tcop/dest.h"

/* Do rows that are given to it leave at once, before the run of the query is over? */
extern bool read_hold_needed(const DestReceiver *dest);

/* In its place: keeps what it is given. */
extern DestReceiver *read_hold_create(QueryDesc *query);

/* Give it on, as if it came from the executor now. */
extern void read_hold_release(DestReceiver *hold, DestReceiver *dest);

/* Throw it away. */
extern void read_hold_free(DestReceiver *hold);

#endif
