/*
 * row_scan.h: the rows of a ledger table as they lie in storage.
 */
#ifndef MEDCHAIN_ROWS_ROW_SCAN_H
#define MEDCHAIN_ROWS_ROW_SCAN_H

#include "postgres.h"
#include "access/htup.h"
#include "nodes/pg_list.h"
#include "storage/lockdefs.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

/* Called for each row; the current memory context is emptied afterwards. */
typedef void (*RowScanVisit) (Relation part, HeapTuple row, void *arg);

/* Visit what the snapshot sees of a relation that has storage of its own. */
extern void row_scan(Relation part, Snapshot snapshot, RowScanVisit visit, void *arg);

/*
 * A relation, or the partitions below it that have storage: their oids, locked.  Those that
 * DETACH ... CONCURRENTLY has not finished with are among them.
 */
extern List *row_scan_parts(Oid relation, LOCKMODE lock);

#endif
