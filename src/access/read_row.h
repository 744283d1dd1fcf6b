/*
 * read_row.h: where the row is that a scan is at, and the scans of rows that are looked at again.
 */
#ifndef MEDCHAIN_ACCESS_READ_ROW_H
#define MEDCHAIN_ACCESS_READ_ROW_H

#include "postgres.h"
#include "nodes/execnodes.h"
#include "nodes/pathnodes.h"
#include "nodes/plannodes.h"

/* The table that the query names, if it reads this one as an heir of that; or 0. */
extern Oid	read_row_named(const PlannedStmt *statement, Index index);

/* Where the index of the scan has the column; 0: nowhere. */
extern AttrNumber read_row_indexed(const IndexOnlyScan * plan, AttrNumber attribute);

/* The row that a scan is at, which has returned slot; NULL: it is about to, in its filter. */
extern TupleTableSlot *read_row_at(PlanState * node, TupleTableSlot *slot);

/* Call walk for what such a node runs for rows that others have changed meanwhile. */
extern void read_row_again(PlanState * node, bool (*walk) (PlanState * node, void *arg), void *arg);

#endif
