/*
 * row_captured.h: which versions of rows that statements at work have made were captured by now.
 */
#ifndef MEDCHAIN_ROWS_ROW_CAPTURED_H
#define MEDCHAIN_ROWS_ROW_CAPTURED_H

#include "postgres.h"
#include "access/xact.h"
#include "storage/itemptr.h"

extern void row_captured_note(Oid relation, const ItemPointerData *version);

/* False as well if that is not known. */
extern bool row_captured_is(Oid relation, const ItemPointerData *version);

/* Nobody will ask any more. */
extern void row_captured_forget(void);

/* What a subtransaction has made is its parent's now. */
extern void row_captured_commit(SubTransactionId parent);

/* What it has made is gone, and something else may be where it was. */
extern void row_captured_abort(SubTransactionId subtransaction);

#endif
