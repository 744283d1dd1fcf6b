/*
 * row_record.c: what DDL says about all rows of a table at once.
 */
#include "postgres.h"

#include "access/table.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "rows/row_commitment.h"
#include "rows/row_run.h"
#include "rows/row_scan.h"

/* How row_record() goes over the rows. */
typedef struct Recording
{
	RowOperation operation;
	const RowTable *table;		/* of the relation that is read */
	RowSet	   *set;
	int64		count;
} Recording;

static void
record_row(Relation part, HeapTuple row, void *arg)
{
	Recording  *recording = (Recording *) arg;
	const RowTable *table = recording->table;
	TupleDesc	desc = RelationGetDescr(part);
	RowImage	image;
	RowImage	before;
	RowChange	change;

	row_image_texts(table, desc, row, table->version, &image);
	if (recording->operation == ROW_UPDATE)
		row_image_texts(table, desc, row, table->version - 1, &before);
	row_change_of(table, recording->operation,
				  recording->operation == ROW_DELETE ? NULL : &image,
				  recording->operation == ROW_DELETE ? &image :
				  recording->operation == ROW_UPDATE ? &before : NULL, &change);
	row_set_add(recording->set, &change);
	recording->count++;
}

PG_FUNCTION_INFO_V1(medchain_row_record);

/*
 * row_record(kind text, source regclass, root regclass) -> bigint: an entry for every row that
 * source and the partitions below it have now, or one about all of them, as of the ledger table
 * root: row.baseline for rows that came with it, row.delete for those that leave, row.update for
 * those that DDL has just given a new column with something in it, which the table's version before
 * knew nothing of.
 */
Datum
medchain_row_record(PG_FUNCTION_ARGS)
{
	char	   *kind = text_to_cstring(PG_GETARG_TEXT_PP(0));
	Oid			root = PG_GETARG_OID(2);
	Recording	recording = {0};
	ListCell   *cell;

	if (strncmp(kind, "row.", 4) != 0 || !row_item_operation(kind + 4, &recording.operation))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is no kind of entry about a row", kind)));
	(void) row_run_close_all();

	/*
	 * the caller has locked the table: what it holds is what the newest snapshot sees, not what
	 * the transaction's does
	 */
	PushActiveSnapshot(GetLatestSnapshot());
	foreach(cell, row_scan_parts(PG_GETARG_OID(1), AccessShareLock))
	{
		Relation	part = table_open(lfirst_oid(cell), NoLock);

		recording.table = row_table_as(part, root);
		if (recording.set == NULL)
			recording.set = row_set_open(recording.table, CurrentMemoryContext);
		row_scan(part, GetActiveSnapshot(), record_row, &recording);
		table_close(part, NoLock);
	}
	PopActiveSnapshot();
	if (recording.set != NULL)
	{
		row_set_append(recording.set);
		row_set_free(recording.set);
	}
	PG_RETURN_INT64(recording.count);
}
