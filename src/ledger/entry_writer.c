/*
 * entry_writer.c: putting rows into medchain.entry, many to a WAL record.
 *
 * This is what keeps up with everybody's inserts, on one core: by SQL it took twice as long.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/uuid.h"

#include "compat.h"
#include "ledger/entry_writer.h"
#include "node/trusted.h"

static const struct
{
	const char *name;
	Oid			type;
}			writer_columns[ENTRY_COLUMNS] = {
	{"origin", TEXTOID}, {"seq", INT8OID}, {"id", UUIDOID}, {"kind", TEXTOID},
	{"time", TIMESTAMPTZOID}, {"actor", TEXTOID}, {"subject", BYTEAOID}, {"payload", TEXTOID},
	{"leaf_hash", BYTEAOID}
};

/* Somebody who adds a column stops us rather than have entries written awry. */
static void
writer_check_columns(Relation entry)
{
	TupleDesc	desc = RelationGetDescr(entry);
	bool		same = desc->natts == ENTRY_COLUMNS;

	for (int i = 0; i < desc->natts && same; i++)
		same = strcmp(NameStr(TupleDescAttr(desc, i)->attname), writer_columns[i].name) == 0 &&
			TupleDescAttr(desc, i)->atttypid == writer_columns[i].type;
	if (!same)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("columns of medchain.entry are not as medchain made them")));
}

void
entry_writer_begin(EntryWriter *writer)
{
	memset(writer, 0, sizeof(*writer));
	writer->entry = table_open(get_relname_relid("entry", trusted_schema(false)),
							   RowExclusiveLock);
	writer_check_columns(writer->entry);
	writer->caller = CurrentMemoryContext;
	writer->batch = AllocSetContextCreate(CurrentMemoryContext, "medchain entry rows",
										  ALLOCSET_DEFAULT_SIZES);
}

/* Only when there is something to insert: most rounds of an idle node end before. */
static void
writer_open_indexes(EntryWriter *writer)
{
	writer->estate = CreateExecutorState();
	writer->target = compat_result_relation(writer->estate, writer->entry);
	ExecOpenIndices(writer->target, false);
	writer->bulk = GetBulkInsertState();
}

/* Slots are made as they are needed: most rounds have few entries. */
TupleTableSlot *
entry_writer_slot(EntryWriter *writer)
{
	MemoryContext old = MemoryContextSwitchTo(writer->caller);

	if (writer->estate == NULL)
		writer_open_indexes(writer);
	if (writer->slots[writer->count] == NULL)
		writer->slots[writer->count] = table_slot_create(writer->entry, NULL);
	MemoryContextSwitchTo(old);
	return ExecClearTuple(writer->slots[writer->count]);
}

void
entry_writer_add(EntryWriter *writer)
{
	TupleTableSlot *slot = writer->slots[writer->count++];

	ExecStoreVirtualTuple(slot);
	ExecMaterializeSlot(slot);
}

void
entry_writer_insert(EntryWriter *writer)
{
	if (writer->count == 0)
		return;
	table_multi_insert(writer->entry, writer->slots, writer->count, GetCurrentCommandId(true), 0,
					   writer->bulk);
	for (int i = 0; i < writer->count; i++)
	{
		list_free(compat_insert_index_tuples(writer->target, writer->slots[i], writer->estate));
		ResetPerTupleExprContext(writer->estate);
	}
	CommandCounterIncrement();
}

void
entry_writer_clear(EntryWriter *writer)
{
	writer->count = 0;
	MemoryContextReset(writer->batch);
}

void
entry_writer_put(EntryWriter *writer, const char *origin, int64 seq, const PayloadFields *fields,
				 const char *payload, const uint8_t leaf[HASH_LEN])
{
	MemoryContext old = MemoryContextSwitchTo(writer->batch);
	TupleTableSlot *slot = entry_writer_slot(writer);

	memset(slot->tts_isnull, 0, ENTRY_COLUMNS * sizeof(bool));
	slot->tts_values[ENTRY_ORIGIN - 1] = CStringGetTextDatum(origin);
	slot->tts_values[ENTRY_SEQ - 1] = Int64GetDatum(seq);
	slot->tts_values[ENTRY_ID - 1] = UUIDPGetDatum(&fields->id);
	slot->tts_values[ENTRY_KIND - 1] = CStringGetTextDatum(fields->kind);
	slot->tts_values[ENTRY_TIME - 1] = TimestampTzGetDatum(fields->time);
	slot->tts_values[ENTRY_ACTOR - 1] = CStringGetTextDatum(fields->actor);
	slot->tts_isnull[ENTRY_SUBJECT - 1] = !fields->has_subject;
	if (fields->has_subject)
		slot->tts_values[ENTRY_SUBJECT - 1] = trusted_bytea(fields->subject, HASH_LEN);
	slot->tts_values[ENTRY_PAYLOAD - 1] = CStringGetTextDatum(payload);
	slot->tts_values[ENTRY_LEAF - 1] = trusted_bytea(leaf, HASH_LEN);
	entry_writer_add(writer);
	MemoryContextSwitchTo(old);
	if (writer->count < ENTRY_WRITER_BATCH)
		return;
	entry_writer_insert(writer);
	entry_writer_clear(writer);
}

void
entry_writer_end(EntryWriter *writer)
{
	entry_writer_insert(writer);
	if (writer->estate != NULL)
	{
		for (int i = 0; i < ENTRY_WRITER_BATCH && writer->slots[i] != NULL; i++)
			ExecDropSingleTupleTableSlot(writer->slots[i]);
		FreeBulkInsertState(writer->bulk);
		ExecCloseIndices(writer->target);
		FreeExecutorState(writer->estate);
	}
	MemoryContextDelete(writer->batch);
	table_close(writer->entry, NoLock);
}
