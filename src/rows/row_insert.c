/*
 * row_insert.c: many rows into one of medchain's own tables, and its indexes, at a time.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "executor/executor.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "compat.h"
#include "rows/row_insert.h"

void
row_insert_open(RowInsert *store, const char *name)
{
	memset(store, 0, sizeof(*store));
	store->relation = table_open(get_relname_relid(name, get_namespace_oid("medchain", false)),
								 RowExclusiveLock);
	store->estate = CreateExecutorState();
	store->target = compat_result_relation(store->estate, store->relation);
	store->context = AllocSetContextCreate(CurrentMemoryContext, "medchain row items",
										   ALLOCSET_DEFAULT_SIZES);
	ExecOpenIndices(store->target, false);
}

static void
insert_flush(RowInsert *store)
{
	table_multi_insert(store->relation, store->slots, store->count, GetCurrentCommandId(true), 0,
					   NULL);
	for (int i = 0; i < store->count; i++)
	{
		list_free(compat_insert_index_tuples(store->target, store->slots[i], store->estate));
		ResetPerTupleExprContext(store->estate);
		ExecClearTuple(store->slots[i]);
	}
	store->count = 0;
	MemoryContextReset(store->context);
}

TupleTableSlot *
row_insert_row(RowInsert *store)
{
	if (store->count == ROW_INSERT_BATCH)
		insert_flush(store);
	if (store->slots[store->count] == NULL)
		store->slots[store->count] = table_slot_create(store->relation, NULL);
	return store->slots[store->count];
}

void
row_insert_done(RowInsert *store)
{
	ExecStoreVirtualTuple(store->slots[store->count++]);
}

void
row_insert_close(RowInsert *store)
{
	if (store->count > 0)
		insert_flush(store);
	for (int i = 0; i < ROW_INSERT_BATCH && store->slots[i] != NULL; i++)
		ExecDropSingleTupleTableSlot(store->slots[i]);
	MemoryContextDelete(store->context);
	ExecCloseIndices(store->target);
	FreeExecutorState(store->estate);
	table_close(store->relation, NoLock);
}
