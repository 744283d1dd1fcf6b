/*
 * scan.h: reading medchain.entry and medchain.block in the order of one chain, straight from the
 * primary key.
 *
 * verify() looks at every row there is; through SQL the executor would cost more than the hashing.
 */
#ifndef MEDCHAIN_LEDGER_SCAN_H
#define MEDCHAIN_LEDGER_SCAN_H

#include "postgres.h"
#include "access/genam.h"
#include "executor/tuptable.h"
#include "utils/relcache.h"

#define SCAN_COLUMNS_MAX 10

typedef struct ScanColumn
{
	const char *name;
	Oid			type;
} ScanColumn;

typedef struct ChainScan
{
	Relation	heap;
	Relation	index;
	IndexScanDesc descriptor;
	TupleTableSlot *slot;
	MemoryContext context;		/* the one scan_begin() was called in; must outlive the scan */
	bool		at_end;
	int			ncolumns;
	AttrNumber	attributes[SCAN_COLUMNS_MAX];

	/* the row that scan_next() found: column i of those asked for; valid until the next call */
	Datum		values[SCAN_COLUMNS_MAX];
	bool		nulls[SCAN_COLUMNS_MAX];
} ChainScan;

/*
 * Rows of medchain.<table> of this origin with first <= position < last in the order of position,
 * which is the second column of the primary key, by the active snapshot.  ERROR (data_corrupted) if
 * the table has lost its key or a column, or a column its type: whoever did that, nothing else can
 * be said then.
 */
extern void scan_begin(ChainScan *scan, const char *table, const ScanColumn *columns, int ncolumns,
					   const char *origin, const char *position, int64 first, int64 last);
extern bool scan_next(ChainScan *scan);
extern void scan_end(ChainScan *scan);

#endif
