/*
 * pending.c: moving committed entries from medchain.pending to medchain.entry.
 *
 * Triggers of both tables are passed by: they are there to keep out everybody but the sealer.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "core/hash.h"
#include "ledger/commit.h"
#include "ledger/entry_writer.h"
#include "ledger/pending.h"
#include "node/trusted.h"

#define PENDING_FEW 32			/* blocks that are looked through whatever we were told */

/* Columns of medchain.pending; medchain.entry has the same behind its origin. */
enum
{
	PENDING_SEQ = 1, PENDING_ID, PENDING_KIND, PENDING_TIME, PENDING_ACTOR, PENDING_SUBJECT,
	PENDING_PAYLOAD, PENDING_LEAF,
	PENDING_COLUMNS = PENDING_LEAF
};

typedef struct PendingRow
{
	int64		seq;
	ItemPointerData tid;
} PendingRow;

/* Both tables open. */
typedef struct Mover
{
	Relation	pending;
	EntryWriter writer;
	Snapshot	snapshot;
	TupleTableSlot *source;
	MemoryContext caller;
} Mover;

static Relation
pending_open(LOCKMODE lock)
{
	return table_open(get_relname_relid("pending", trusted_schema(false)), lock);
}

/*
 * Somebody who adds a column to these tables stops the sealer rather than have entries moved awry.
 */
static void
pending_check_columns(const Mover *mover)
{
	TupleDesc	from = RelationGetDescr(mover->pending);
	TupleDesc	to = RelationGetDescr(mover->writer.entry);
	bool		same = from->natts == PENDING_COLUMNS && to->natts == PENDING_COLUMNS + 1;

	for (int i = 0; i < from->natts && same; i++)
		same = strcmp(NameStr(TupleDescAttr(from, i)->attname),
					  NameStr(TupleDescAttr(to, i + 1)->attname)) == 0 &&
			TupleDescAttr(from, i)->atttypid == TupleDescAttr(to, i + 1)->atttypid;
	if (!same)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("columns of medchain.pending are not as medchain made them")));
}

static int
pending_order(const void *a, const void *b)
{
	int64		x = ((const PendingRow *) a)->seq;
	int64		y = ((const PendingRow *) b)->seq;

	return x < y ? -1 : x > y;
}

/* A scan of these blocks, as far as there are such now; of all where they are few. */
static TableScanDesc
pending_scan(const Mover *mover, uint64 where)
{
	BlockNumber first = (BlockNumber) (where >> 32);
	BlockNumber last = (BlockNumber) where;
	TableScanDesc scan = table_beginscan_strat(mover->pending, mover->snapshot, 0, NULL, true,
											   false);
	BlockNumber blocks = ((HeapScanDesc) scan)->rs_nblocks;

	if (blocks <= PENDING_FEW)
		return scan;
	if (first >= blocks || first > last)
		heap_setscanlimits(scan, 0, 0);
	else if (first > 0 || last < blocks - 1)
		heap_setscanlimits(scan, first, Min(last, blocks - 1) - first + 1);
	return scan;
}

/* The oldest rows that are committed, in order, without holding more than twice as many. */
static PendingRow *
pending_collect(const Mover *mover, uint64 where, int64 limit, int64 *count)
{
	Size		capacity = 1024;
	PendingRow *rows = palloc(capacity * sizeof(PendingRow));
	TableScanDesc scan = pending_scan(mover, where);
	int64		n = 0;
	bool		isnull;

	while (table_scan_getnextslot(scan, ForwardScanDirection, mover->source))
	{
		CHECK_FOR_INTERRUPTS();
		if (n == (int64) capacity && n < 2 * limit)
		{
			capacity *= 2;
			rows = repalloc_huge(rows, capacity * sizeof(PendingRow));
		}
		else if (n == (int64) capacity)
		{
			qsort(rows, (size_t) n, sizeof(PendingRow), pending_order);
			n = limit;
		}
		rows[n].seq = DatumGetInt64(slot_getattr(mover->source, PENDING_SEQ, &isnull));
		rows[n].tid = mover->source->tts_tid;
		n++;
	}
	table_endscan(scan);
	qsort(rows, (size_t) n, sizeof(PendingRow), pending_order);
	*count = Min(n, limit);
	return rows;
}

/*
 * Put the row into the slot for medchain.entry, under its final number, and take it away from where
 * it was.
 */
static void
pending_take(Mover *mover, PendingRow *row, Datum origin, int64 seq)
{
	TupleTableSlot *out = entry_writer_slot(&mover->writer);

	if (!table_tuple_fetch_row_version(mover->pending, &row->tid, mover->snapshot, mover->source))
		elog(ERROR, "row of medchain.pending has vanished");
	slot_getallattrs(mover->source);
	out->tts_values[0] = origin;
	out->tts_isnull[0] = false;
	for (int i = 0; i < PENDING_COLUMNS; i++)
	{
		out->tts_values[i + 1] = mover->source->tts_values[i];
		out->tts_isnull[i + 1] = mover->source->tts_isnull[i];
	}
	out->tts_values[PENDING_SEQ] = Int64GetDatum(seq);
	entry_writer_add(&mover->writer);
	simple_heap_delete(mover->pending, &row->tid);
}

/* Of the payload, in a slot for medchain.entry. */
static int64
pending_bytes(TupleTableSlot *row)
{
	bool		isnull;

	return (int64) toast_raw_datum_size(slot_getattr(row, PENDING_PAYLOAD + 1, &isnull)) -
		VARHDRSZ;
}

static void
pending_tell(Mover *mover, int slot, bool last, PendingMoved moved, void *state)
{
	TupleTableSlot *row = mover->writer.slots[slot];
	bool		isnull;
	bytea	   *leaf = DatumGetByteaPP(slot_getattr(row, PENDING_LEAF + 1, &isnull));
	PendingEntry entry = {.last = last};

	if (VARSIZE_ANY_EXHDR(leaf) != HASH_LEN)
		elog(ERROR, "leaf hash of a pending entry has %d bytes", (int) VARSIZE_ANY_EXHDR(leaf));
	entry.leaf = (const uint8_t *) VARDATA_ANY(leaf);
	entry.kind = TextDatumGetCString(slot_getattr(row, PENDING_KIND + 1, &isnull));
	entry.payload_length = pending_bytes(row);
	MemoryContextSwitchTo(mover->caller);
	moved(state, &entry);
	MemoryContextSwitchTo(mover->writer.batch);
}

static void
pending_begin(Mover *mover)
{
	memset(mover, 0, sizeof(*mover));
	mover->pending = pending_open(RowExclusiveLock);
	entry_writer_begin(&mover->writer);
	pending_check_columns(mover);
	mover->snapshot = RegisterSnapshot(GetLatestSnapshot());
	mover->source = table_slot_create(mover->pending, NULL);
	mover->caller = CurrentMemoryContext;
}

static void
pending_end(Mover *mover)
{
	ExecDropSingleTupleTableSlot(mover->source);
	UnregisterSnapshot(mover->snapshot);
	entry_writer_end(&mover->writer);
	table_close(mover->pending, NoLock);
}

bool
pending_move(const char *origin, int64 first_seq, int64 limit, int64 limit_bytes, int64 block,
			 uint64 where, PendingMoved moved, void *state)
{
	Mover		mover;
	PendingRow *rows;
	int64		count;
	int64		bytes = 0;
	bool		more;
	Datum		name = CStringGetTextDatum(origin);

	pending_begin(&mover);
	rows = pending_collect(&mover, where, limit, &count);
	more = count == limit;
	for (int64 at = 0; at < count;)
	{
		int			most = (int) Min(Min(ENTRY_WRITER_BATCH, count - at), block - at % block);
		int			batch = 0;

		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(mover.writer.batch);
		for (; batch < most && bytes < limit_bytes; batch++)
		{
			pending_take(&mover, &rows[at + batch], name, first_seq + at + batch);
			bytes += pending_bytes(mover.writer.slots[batch]);
		}
		if (bytes >= limit_bytes && at + batch < count)
		{
			count = at + batch;
			more = true;
		}
		entry_writer_insert(&mover.writer);
		for (int i = 0; i < batch; i++)
			pending_tell(&mover, i, at + i + 1 == count, moved, state);
		at += batch;
		MemoryContextSwitchTo(mover.caller);
		entry_writer_clear(&mover.writer);
	}
	pfree(rows);
	pending_end(&mover);
	return more;
}

Oid
pending_file(void)
{
	Relation	pending = pending_open(AccessShareLock);
	Oid			file = pending->rd_rel->relfilenode;

	table_close(pending, NoLock);
	return file;
}
