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

#include "rows/row_change.h"

#define ROW_SET_MIN 16

typedef struct RowSet RowSet;

/*
 * An empty one, in a context below parent.  ERROR where no entry could be appended
 * (append_require()).
 */
extern RowSet *row_set_open(const RowTable *table, MemoryContext parent);

extern void row_set_add(RowSet *set, const RowChange *change);

/*
 * Append what has come.  In the subtransaction in which it came, or one within it; what was
 * appended is not forgotten until row_set_free(), so that it can be done again, if that was rolled
 * back.
 */
extern void row_set_append(RowSet *set);
extern void row_set_free(RowSet *set);

#endif
