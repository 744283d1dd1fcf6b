/*
 * entry_writer.h: putting rows into medchain.entry, many to a WAL record.
 *
 * Triggers are passed by: they keep out everybody but those who are called from here.
 */
#ifndef MEDCHAIN_LEDGER_ENTRY_WRITER_H
#define MEDCHAIN_LEDGER_ENTRY_WRITER_H

#include "postgres.h"
#include "access/heapam.h"
#include "executor/tuptable.h"
#include "nodes/execnodes.h"
#include "utils/relcache.h"

#include "core/hash.h"
#include "ledger/payload.h"

#define ENTRY_WRITER_BATCH 1000 /* rows inserted at once */

/* Columns of medchain.entry. */
enum
{
	ENTRY_ORIGIN = 1, ENTRY_SEQ, ENTRY_ID, ENTRY_KIND, ENTRY_TIME, ENTRY_ACTOR, ENTRY_SUBJECT,
	ENTRY_PAYLOAD, ENTRY_LEAF,
	ENTRY_COLUMNS = ENTRY_LEAF
};

typedef struct EntryWriter
{
	Relation	entry;
	EState	   *estate;			/* NULL until something is to be inserted */
	ResultRelInfo *target;
	BulkInsertState bulk;
	TupleTableSlot *slots[ENTRY_WRITER_BATCH];
	int			count;			/* of them that are filled */
	MemoryContext caller;		/* for what lasts until the end */
	MemoryContext batch;		/* for what goes into the slots; reset when they are empty again */
} EntryWriter;

/* ERROR (data_corrupted) if somebody has changed the table's columns. */
extern void entry_writer_begin(EntryWriter *writer);

/* The next slot, empty, while count is below ENTRY_WRITER_BATCH. */
extern TupleTableSlot *entry_writer_slot(EntryWriter *writer);

/* What is in there is a row. */
extern void entry_writer_add(EntryWriter *writer);

/* Insert the rows; slots stay readable until entry_writer_clear(). */
extern void entry_writer_insert(EntryWriter *writer);
extern void entry_writer_clear(EntryWriter *writer);

/* A row as the payload says, inserted with others when there are enough of them. */
extern void entry_writer_put(EntryWriter *writer, const char *origin, int64 seq,
							 const PayloadFields *fields, const char *payload,
							 const uint8_t leaf[HASH_LEN]);

/* With what is not inserted yet. */
extern void entry_writer_end(EntryWriter *writer);

#endif
