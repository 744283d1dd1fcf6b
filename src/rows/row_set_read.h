/*
 * row_set_read.h: the tree of a set, computed again from what is stored of it.
 *
 * All of it in a trusted scope, by the active snapshot.
 */
#ifndef MEDCHAIN_ROWS_ROW_SET_READ_H
#define MEDCHAIN_ROWS_ROW_SET_READ_H

#include "postgres.h"
#include "port/atomics.h"
#include "utils/uuid.h"

#include "core/proof.h"
#include "rows/row_entry.h"
#include "rows/row_store.h"

/* Something is wrong with what is stored; in words that can follow "its ...". */
typedef void (*RowSetReport) (void *state, const char *fmt,...) pg_attribute_printf(2, 3);

/* One part of a set. */
typedef struct RowSetPart
{
	int			nitems;			/* that it ought to have */
	uint8_t		(*leaves)[HASH_LEN];	/* of the tree, in their order */
	uint8_t		hashes[ROW_PART_ITEMS / TREE_TILE_WIDTH][HASH_LEN];
	int			nhashes;		/* as far as they are stored */

	/* of each item, for who wants to know what is stored about its subject; or NULL */
	uint8_t		(*row_starts)[ROW_START_LEN];
} RowSetPart;

/*
 * Read part number of the set; leaves and row_starts have room for ROW_PART_ITEMS.  False, with one
 * report or more, unless all leaves could be had.  report may be NULL.
 */
extern bool row_set_read_part(const pg_uuid_t *entry, const RowSetSays *says, int number,
							  RowSetPart *part, RowSetReport report, void *state);

/* How many parts it ought to have. */
extern int	row_set_parts(const RowSetSays *says);

/* Compare all that is stored with what the entry says; done: counts the items, or NULL. */
extern void row_set_verify(const pg_uuid_t *entry, const RowSetSays *says, RowSetReport report,
						   void *state, pg_atomic_uint64 *done);

/*
 * RFC 6962 inclusion proof of the item at that place.  False if what is stored does not give one
 * that leads to the root in the entry.
 */
extern bool row_set_prove(const pg_uuid_t *entry, const RowSetSays *says, int64 place,
						  uint8_t hashes[PROOF_MAX_HASHES][HASH_LEN], int *nhashes);

#endif
