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
	RowImage   *now;			/* what the following are part of, as far as they have yet to be */
	RowImage   *was;			/* hashed: row_change_hash() */
	const uint8_t *id;
	const uint8_t *commitment;	/* to what the row has become; NULL: it is gone */
	const uint8_t *previous;	/* to what it was; NULL: it is new */
	const char *key_text;		/* of a row that is new, and has a key */
	const char *identity;		/* whom it is about; NULL: nobody */
} RowChange;

/*
 * now: what the row is, or NULL; was: what it was before, or NULL.  What the change points to is
 * theirs; their texts will do.
 */
extern void row_change_of(const RowTable *table, RowOperation operation, RowImage *now,
						  RowImage *was, RowChange *change);

/* Id, commitment and previous are there after this. */
extern void row_change_hash(const RowChange *change);

/* The item of a set; returns how many bytes it has. */
extern size_t row_change_item(const RowChange *change, uint8_t out[ROW_ITEM_MAX]);

/* In one piece, of this context; hashed. */
extern RowChange *row_change_copy(const RowChange *change, MemoryContext context);

#endif
