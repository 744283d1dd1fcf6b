/*
 * row_run.h: which changes of rows become entries together: those of one root table by one
 * statement, in one subtransaction.
 */
#ifndef MEDCHAIN_ROWS_ROW_RUN_H
#define MEDCHAIN_ROWS_ROW_RUN_H

#include "postgres.h"

#include "rows/row_order.h"
#include "rows/row_set.h"

/*
 * A change that a statement under way has made in this relation; now and was as for row_set_add(),
 * change as row_order_look() has it.
 */
extern void row_run_add(Relation relation, const RowTable *table, RowOperation operation,
						const RowImage *now, const RowImage *was, RowOrder *change);

/*
 * Append what was captured so far, as somebody is about to read it, or to append what has to come
 * behind it.  True if that was anything, so that older snapshots do not see it.
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

/* From _PG_init, while preloading: notice where statements end. */
extern void row_run_install(void);

#endif
