/*
 * hold_rows.h: held entries of this transaction that are not rows yet.
 */
#ifndef MEDCHAIN_SYNC_HOLD_ROWS_H
#define MEDCHAIN_SYNC_HOLD_ROWS_H

#include "postgres.h"

#include "ledger/held.h"

/* In a trusted scope.  payload: a text, of so many bytes. */
extern void hold_rows_add(const char *source, const char *origin, int64 seq, Datum payload,
						  int32 bytes);

/* Make them rows that the next command sees. */
extern void hold_rows_insert(void);

/* They are all that this transaction has brought of entries, and one run of a chain. */
extern bool hold_rows_run(HeldRun *run);

/* So many, from the first on, shall not become rows; their bytes. */
extern int64 hold_rows_taken(int64 taken);

/* The transaction has ended, and what was not inserted with it. */
extern void hold_rows_forget(void);

#endif
