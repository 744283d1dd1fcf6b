/*
 * row_set.h: changes of rows that become entries together.
 *
 * Up to ROW_SET_MIN - 1 changes become an entry each, as if they had come alone, with the subject
 * of the row.  More become one entry, kind row.set, about all of them: their number, and the root
 * of an RFC 6962 tree over their items (core/row_item.h) in the order in which they came.  The
 * items stay here (row_store.h).
 */
#ifndef MEDCHAIN_ROWS_ROW_SET_H
#define MEDCHAIN_ROWS_ROW_SET_H

#include "postgres.h"

#include "core/row_item.h"
#include "ledger/append.h"
#include "rows/row_commitment.h"
#include "rows/row_table.h"

#define ROW_SET_MIN 16

typedef struct RowSet RowSet;

/*
 * An empty one, in a context below parent.  ERROR where no entry could be appended
 * (append_require()).
 */
extern RowSet *row_set_open(const RowTable *table, MemoryContext parent);

/* Another change; now: what the row is, or NULL; was: what it was before, or NULL. */
extern void row_set_add(RowSet *set, RowOperation operation, const RowImage *now,
						const RowImage *was);

/*
 * Append what has come; at: the last entry.  In the subtransaction in which it came, or
 * one within it; what was appended is not forgotten until row_set_free(), so that it can be done
 * again, if that was rolled back.
 */
extern void row_set_append(RowSet *set, AppendedAt *at);
extern void row_set_free(RowSet *set);

/* Which version of the table the set is about. */
extern int	row_set_version(const RowSet *set);

#endif
