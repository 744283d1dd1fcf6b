/*
 * row_hasher.h: a process beside a statement about many rows that hashes what it does to them.
 *
 * Hashing is half of what capturing a row takes, and what is hashed of one row does not depend on
 * another one.  So from a few thousand rows on, a set hands their texts to a background worker, in
 * the order in which they come, and gets their items back (core/row_item.h); the worker appends
 * them to the set's tree as well.  It needs no database.  Where there is no worker to be had, the
 * session does it alone.
 */
#ifndef MEDCHAIN_ROWS_ROW_HASHER_H
#define MEDCHAIN_ROWS_ROW_HASHER_H

#include "postgres.h"
#include "lib/stringinfo.h"

#include "core/tree.h"
#include "rows/row_change.h"

typedef struct RowHasher RowHasher;

/*
 * Have one come up for rows of this table; NULL: there is none to be had.  The items, and what they
 * complete of the tree for tiles of level 1, are going to be appended to these.  It goes with the
 * context.
 */
extern RowHasher *row_hasher_start(const RowTable *table, StringInfo items, StringInfo hashes,
								   MemoryContext context);

/* Has it come up?  If so the tree is its own from now on, as it is. */
extern bool row_hasher_takes_over(RowHasher *hasher, const TreeRange *tree);

extern void row_hasher_add(RowHasher *hasher, const RowChange *change);

/* Wait until all items are there; the tree is what it is then. */
extern void row_hasher_settle(RowHasher *hasher, TreeRange *tree);

#endif
