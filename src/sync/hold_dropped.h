/*
 * hold_dropped.h: how much of what arrived in this transaction is not kept.
 */
#ifndef MEDCHAIN_SYNC_HOLD_DROPPED_H
#define MEDCHAIN_SYNC_HOLD_DROPPED_H

#include "postgres.h"

/* Of one chain; of nobody who is a member: empty. */
extern void hold_dropped_add(const char *origin, int entries, int blocks);

/* Was anything? */
extern bool hold_dropped_any(void);

/* Count it for that source, before the transaction commits; in a trusted scope. */
extern void hold_dropped_write(const char *source);

/* The transaction has ended. */
extern void hold_dropped_forget(void);

#endif
