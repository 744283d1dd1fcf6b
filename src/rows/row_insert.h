/*
 * row_insert.h: many rows into one of medchain's own tables, and its indexes, at a time.
 */
#ifndef MEDCHAIN_ROWS_ROW_INSERT_H
#define MEDCHAIN_ROWS_ROW_INSERT_H

#include "postgres.h"
#include "executor/tuptable.h"
#include "nodes/execnodes.h"
#include "utils/relcache.h"

#define ROW_INSERT_BATCH 64

/* A table open for inserts. */
typedef struct RowInsert
{
	Relation	relation;
	EState	   *estate;
	ResultRelInfo *target;
	TupleTableSlot *slots[ROW_INSERT_BATCH];
	int			count;			/* of those that are to be inserted */
	MemoryContext context;		/* of what they hold */
} RowInsert;

extern void row_insert_open(RowInsert *store, const char *name);

/* A row to be filled in; what it points to is to be in store->context. */
extern TupleTableSlot *row_insert_row(RowInsert *store);
extern void row_insert_done(RowInsert *store);
extern void row_insert_close(RowInsert *store);

#endif
