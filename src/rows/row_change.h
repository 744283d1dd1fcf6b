/*
 * row_change.h: what a set, or an entry, is going to say of one row.
 */
#ifndef MEDCHAIN_ROWS_ROW_CHANGE_H
#define MEDCHAIN_ROWS_ROW_CHANGE_H

#include "postgres.h"

#include "core/row_item.h"
#include "rows/row_commitment.h"
#include "rows/row_table.h"

typedef struct RowChange
{
	const RowTable *table;
	RowOperation operation;
	const uint8_t *id;
	const uint8_t *commitment;	/* to what the row has become; NULL: it is gone */
	const uint8_t *previous;	/* to what it was; NULL: it is new */
	const char *key_text;		/* of a row that is new, and has a key */
	const char *identity;		/* whom it is about; NULL: nobody */
} RowChange;

/*
 * now: what the row is, or NULL; was: what it was before, or NULL.  What the change points to is
 * theirs.
 */
extern void row_change_of(const RowTable *table, RowOperation operation, const RowImage *now,
						  const RowImage *was, RowChange *change);

/* In one piece, of this context. */
extern RowChange *row_change_copy(const RowChange *change, MemoryContext context);

#endif
