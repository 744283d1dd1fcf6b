/*
 * scan.c: reading the rows of one chain in order, by table and index access methods.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/index.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "ledger/scan.h"
#include "node/trusted.h"

static void
scan_damaged(const char *table, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("table medchain.%s is not as medchain made it", table),
			 errdetail("%s", what),
			 errhint("Somebody altered it; restore its definition before the ledger can be "
					 "verified.")));
}

static AttrNumber
scan_attribute(ChainScan *scan, const char *table, const char *name, Oid type)
{
	AttrNumber	attribute = get_attnum(RelationGetRelid(scan->heap), name);

	if (attribute <= 0)
		scan_damaged(table, psprintf("It has no column \"%s\".", name));
	if (TupleDescAttr(RelationGetDescr(scan->heap), attribute - 1)->atttypid != type)
		scan_damaged(table, psprintf("Column \"%s\" is of another type.", name));
	return attribute;
}

/* Is the index over (origin, position) and nothing that could leave rows out? */
static void
scan_check_index(ChainScan *scan, const char *table, AttrNumber origin, AttrNumber position)
{
	Form_pg_index index = scan->index->rd_index;

	if (index->indnkeyatts != 2 || index->indkey.values[0] != origin ||
		index->indkey.values[1] != position ||
		!index->indisvalid)
		scan_damaged(table, "Its primary key is another one.");
}

void
scan_begin(ChainScan *scan, const char *table, const ScanColumn *columns, int ncolumns,
		   const char *origin, const char *position, int64 first, int64 last)
{
	AttrNumber	origin_attribute;
	AttrNumber	position_attribute;
	Oid			key;
	ScanKeyData keys[3];

	Assert(ncolumns <= SCAN_COLUMNS_MAX);
	memset(scan, 0, sizeof(*scan));
	scan->context = CurrentMemoryContext;
	scan->heap = table_open(get_relname_relid(table, trusted_schema(false)), AccessShareLock);
	scan->ncolumns = ncolumns;
	for (int i = 0; i < ncolumns; i++)
		scan->attributes[i] = scan_attribute(scan, table, columns[i].name, columns[i].type);
	origin_attribute = scan_attribute(scan, table, "origin", TEXTOID);
	position_attribute = scan_attribute(scan, table, position, INT8OID);

	key = compat_primary_key_index(scan->heap);
	if (!OidIsValid(key))
		scan_damaged(table, "It has no primary key.");
	scan->index = index_open(key, AccessShareLock);
	scan_check_index(scan, table, origin_attribute, position_attribute);

	ScanKeyEntryInitialize(&keys[0], 0, 1, BTEqualStrategyNumber, InvalidOid,
						   scan->index->rd_indcollation[0],
						   F_TEXTEQ, CStringGetTextDatum(origin));
	ScanKeyInit(&keys[1], 2, BTGreaterEqualStrategyNumber, F_INT8GE, Int64GetDatum(first));
	ScanKeyInit(&keys[2], 2, BTLessStrategyNumber, F_INT8LT, Int64GetDatum(last));
	scan->descriptor = compat_index_beginscan(scan->heap, scan->index, GetActiveSnapshot(), 3);
	index_rescan(scan->descriptor, keys, 3, NULL, 0);
	scan->slot = table_slot_create(scan->heap, NULL);
}

bool
scan_next(ChainScan *scan)
{
	MemoryContext old;

	/* a B-tree scan that is asked again after its end starts anew */
	if (scan->at_end)
		return false;

	/*
	 * the access methods allocate what they keep from row to row in whatever context they are
	 * called
	 */
	old = MemoryContextSwitchTo(scan->context);
	scan->at_end = !index_getnext_slot(scan->descriptor, ForwardScanDirection, scan->slot);
	MemoryContextSwitchTo(old);
	if (scan->at_end)
		return false;
	slot_getallattrs(scan->slot);
	for (int i = 0; i < scan->ncolumns; i++)
	{
		scan->values[i] = scan->slot->tts_values[scan->attributes[i] - 1];
		scan->nulls[i] = scan->slot->tts_isnull[scan->attributes[i] - 1];
	}
	return true;
}

void
scan_end(ChainScan *scan)
{
	ExecDropSingleTupleTableSlot(scan->slot);
	index_endscan(scan->descriptor);
	index_close(scan->index, AccessShareLock);
	table_close(scan->heap, AccessShareLock);
}
