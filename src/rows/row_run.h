/*
 * row_run.h: which changes of rows become entries together: those of one root table by one
 * statement, with what its triggers and the functions that it calls do.
 */
#ifndef MEDCHAIN_ROWS_ROW_RUN_H
#define MEDCHAIN_ROWS_ROW_RUN_H

#include "postgres.h"

#include "rows/row_order.h"
#include "rows/row_set.h"

/*
 * What a statement under way has done to a row of this relation; then: what it did to the same row
 * as well, or NULL.
 */
extern void row_run_add(Relation relation, const RowChange *change, const RowChange *then,
						const RowOrder *order);

/*
 * Append what was captured so far, as somebody is about to read it, or to append what has to come
 * behind it; but not what waits for a change that has not been captured.  True if that was
 * anything, so that older snapshots do not see it.
 */
extern bool row_run_close_all(void);

/* The same, for whom it makes no difference: ledger_hooks.settle_rows. */
extern void row_run_settle(void);

/*
 * The same for who reads by the active snapshot: in between there is one that sees what has been
 * appended.  To the end goes what the beginning has returned.
 */
extern bool row_run_read_begin(void);
extern void row_run_read_end(bool appended);

/* A statement has: with the outermost one, all that was captured meanwhile is appended. */
extern void row_run_statement_ended(void);

#endif
