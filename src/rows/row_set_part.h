/*
 * row_set_part.h: one part of a set, as it is read back.
 */
#ifndef MEDCHAIN_ROWS_ROW_SET_PART_H
#define MEDCHAIN_ROWS_ROW_SET_PART_H

#include "postgres.h"

#include "core/tree.h"
#include "rows/row_set_names.h"
#include "rows/row_store.h"

typedef struct RowSetPart
{
	int			nitems;			/* that it ought to have */
	uint8_t		(*leaves)[HASH_LEN];	/* of the tree, in their order */
	uint8_t		hashes[ROW_PART_ITEMS / TREE_TILE_WIDTH][HASH_LEN];
	int			nhashes;		/* as far as they are stored */

	/* of each item, for who wants to know what is stored about its subject; or NULL */
	uint8_t		(*row_starts)[ROW_START_LEN];

	const RowSetNames *names;	/* for who wants to know whether they are theirs; or NULL */
} RowSetPart;

#endif
