/*
 * row_scan.c: the rows of a ledger table as they lie in storage, past planner and executor.
 *
 * medchain reads whole tables with its own rights: when one is put on the ledger, when DDL gives
 * all of its rows new entries, when it is verified.  A query would run the owner's code with these
 * rights, without any row having to be there: the planner works out what is constant in the
 * expressions and predicates of indexes, in extended statistics, constraints and keys of
 * partitions.  A scan of the storage runs nothing but the output functions of the columns' types,
 * which only superusers can make.  Generated columns that are not stored say nothing that the
 * others do not, and are null here, as they are in triggers.
 */
#include "postgres.h"

#include "access/tableam.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "compat.h"
#include "rows/row_scan.h"

void
row_scan(Relation part, Snapshot snapshot, RowScanVisit visit, void *arg)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller, "medchain row", ALLOCSET_DEFAULT_SIZES);
	TupleTableSlot *slot = table_slot_create(part, NULL);
	TableScanDesc scan = compat_table_beginscan(part, snapshot);

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		bool		is_copy;

		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(context);
		visit(part, ExecFetchSlotHeapTuple(slot, false, &is_copy), arg);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(context);
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	MemoryContextDelete(context);
}

static List *
row_scan_add_parts(List *parts, Oid relation, LOCKMODE lock)
{
	List	   *children;
	ListCell   *cell;

	check_stack_depth();
	if (get_rel_relkind(relation) != RELKIND_PARTITIONED_TABLE)
		return lappend_oid(parts, relation);
	children = find_inheritance_children_extended(relation, false, lock, NULL, NULL);
	foreach(cell, children)
		parts = row_scan_add_parts(parts, lfirst_oid(cell), lock);
	list_free(children);
	return parts;
}

List *
row_scan_parts(Oid relation, LOCKMODE lock)
{
	LockRelationOid(relation, lock);
	return row_scan_add_parts(NIL, relation, lock);
}
