/*
 * hold_rows.h: held entries of this transaction that are not rows yet.
 */
#ifndef MEDCHAIN_SYNC_HOLD_ROWS_H
#define MEDCHAIN_SYNC_HOLD_ROWS_H

#include "postgres.h"

/* In a trusted scope.  payload: a text, of so many bytes. */
extern void hold_rows_add(const char *source, const char *origin, int64 seq, Datum payload,
						  int32 bytes);

/* Make them rows that the next command sees. */
extern void hold_rows_insert(void);

/* The transaction has ended, and what was not inserted with it. */
extern void hold_rows_forget(void);

#endif
