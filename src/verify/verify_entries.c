/*
 * verify_entries.c: the entries of a block, as verify() walks over them.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "compat.h"
#include "ledger/payload_index.h"
#include "node/shared.h"
#include "verify/verify_set.h"
#include "verify/verify_walk.h"

enum
{
	ENTRY_SEQ, ENTRY_ID, ENTRY_KIND, ENTRY_TIME, ENTRY_ACTOR, ENTRY_SUBJECT, ENTRY_PAYLOAD,
	ENTRY_LEAF, ENTRY_COLUMNS
};

static const ScanColumn entry_columns[ENTRY_COLUMNS] = {
	{"seq", INT8OID}, {"id", UUIDOID}, {"kind", TEXTOID}, {"time", TIMESTAMPTZOID},
	{"actor", TEXTOID},
	{"subject", BYTEAOID}, {"payload", TEXTOID}, {"leaf_hash", BYTEAOID}
};

/* The leaf hashes that the block carries stand for entries whose payloads were not taken. */
static void
walk_absent(Walk *walk, int64 first, int64 last)
{
	for (int64 seq = first; seq <= last && !walk->adrift; seq++)
	{
		if (seq % 1024 == 0)
			CHECK_FOR_INTERRUPTS();
		if (!chain_check_leaf(&walk->check, walk->leaves + (seq - walk->first) * HASH_LEN))
			elog(ERROR, "could not compute SHA-256");
		tile_audit_leaf(&walk->tiles, &walk->check.range);
	}
	walk->absent += last - first + 1;
}

/* "entry 5 is missing", "entries 5 to 7 are missing" */
static void
walk_report_missing(Walk *walk, int64 height, int64 first, int64 last)
{
	if (walk->origin->absent_known > 0 && walk->leaves != NULL)
	{
		walk_absent(walk, first, last);
		return;
	}
	if (first == last)
		walk_report(walk, height, first, "missing entry", "entry %lld is missing",
					(long long) first);
	else
		walk_report(walk, height, first, "missing entry", "entries %lld to %lld are missing",
					(long long) first, (long long) last);
	walk->adrift = true;
}

bool
walk_same_bytes(const ChainScan *scan, int column, const uint8_t *expected)
{
	bytea	   *stored;

	if (scan->nulls[column])
		return false;
	stored = DatumGetByteaPP(scan->values[column]);
	return VARSIZE_ANY_EXHDR(stored) == HASH_LEN &&
		memcmp(VARDATA_ANY(stored), expected, HASH_LEN) == 0;
}

static void
walk_entry_index(Walk *walk, int64 height, int64 seq, const text *payload)
{
	ChainScan  *row = &walk->entries;
	PayloadIndex index = {.origin = walk->origin->origin};
	TimestampTz time;
	unsigned	differ;
	const char *reason;

	if (!row->nulls[ENTRY_ID])
		index.id = DatumGetUUIDP(row->values[ENTRY_ID]);
	if (!row->nulls[ENTRY_KIND])
		index.kind = DatumGetTextPP(row->values[ENTRY_KIND]);
	time = DatumGetTimestampTz(row->values[ENTRY_TIME]);
	if (!row->nulls[ENTRY_TIME])
		index.time = &time;
	if (!row->nulls[ENTRY_ACTOR])
		index.actor = DatumGetTextPP(row->values[ENTRY_ACTOR]);
	if (!row->nulls[ENTRY_SUBJECT])
		index.subject = DatumGetByteaPP(row->values[ENTRY_SUBJECT]);
	switch (payload_index_compare(&index, VARDATA_ANY(payload), VARSIZE_ANY_EXHDR(payload),
								  &differ, &reason))
	{
		case PAYLOAD_INDEX_NO_ENTRY:
			walk_report(walk, height, seq, "bad entry", "entry %lld: %s", (long long) seq, reason);
			return;
		case PAYLOAD_INDEX_SAME:
		case PAYLOAD_INDEX_DIFFERS:
			if (reason != NULL)
				pg_atomic_fetch_add_u64(&walk->origin->unreadable, 1);
			break;
	}
	for (int i = 0; i < PAYLOAD_INDEX_COLUMNS; i++)
		if (differ & (1U << i))
			walk_report(walk, height, seq, "bad index column",
						"entry %lld: column %s differs from the payload",
						(long long) seq, payload_index_names[i]);
}

/* The row at which walk->entries stands, which is the next entry. */
static void
walk_entry(Walk *walk, int64 height, int64 seq)
{
	ChainScan  *row = &walk->entries;
	MemoryContext old = MemoryContextSwitchTo(walk->scratch);
	uint8_t		leaf[HASH_LEN];
	bool		have_leaf = false;
	bytea	   *stored = row->nulls[ENTRY_LEAF] ? NULL : DatumGetByteaPP(row->values[ENTRY_LEAF]);

	if (row->nulls[ENTRY_PAYLOAD])
		walk_report(walk, height, seq, "bad entry", "entry %lld has no payload", (long long) seq);
	else
	{
		text	   *payload = DatumGetTextPP(row->values[ENTRY_PAYLOAD]);

		if (!hash_leaf(VARDATA_ANY(payload), VARSIZE_ANY_EXHDR(payload), leaf))
			elog(ERROR, "could not compute SHA-256");
		have_leaf = true;
		if (!walk_same_bytes(row, ENTRY_LEAF, leaf))
		{
			walk_report(walk, height, seq, "bad leaf hash",
						"entry %lld: leaf_hash is not the hash of payload", (long long) seq);
			walk->explained = true;
		}
		else
			walk_entry_index(walk, height, seq, payload);
		if (walk->origin->own && !row->nulls[ENTRY_ID] && !row->nulls[ENTRY_KIND])
			verify_set(walk->job, walk->number, height, seq,
					   DatumGetTextPP(row->values[ENTRY_KIND]),
					   DatumGetUUIDP(row->values[ENTRY_ID]), payload, &walk->kept);
	}
	if (stored != NULL && VARSIZE_ANY_EXHDR(stored) == HASH_LEN)
	{
		memcpy(leaf, VARDATA_ANY(stored), HASH_LEN);
		have_leaf = true;
	}
	if (!have_leaf)
		walk->adrift = true;
	else if (!row->nulls[ENTRY_KIND])
		block_leaves_add(&walk->found, leaf, TextDatumGetCString(row->values[ENTRY_KIND]));
	if (!walk->adrift)
	{
		if (!chain_check_leaf(&walk->check, leaf))
			elog(ERROR, "could not compute SHA-256");
		tile_audit_leaf(&walk->tiles, &walk->check.range);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(walk->scratch);
}

void
walk_entries(Walk *walk, int64 height, int64 size)
{
	uint64		checked = 0;

	while (walk->next_seq < size)
	{
		int64		seq;

		CHECK_FOR_INTERRUPTS();
		if (!walk->entry_ready && !(walk->entry_ready = scan_next(&walk->entries)))
		{
			walk_report_missing(walk, height, walk->next_seq, size - 1);
			walk->next_seq = size;
			break;
		}
		seq = DatumGetInt64(walk->entries.values[ENTRY_SEQ]);
		if (seq > walk->next_seq)
		{
			walk_report_missing(walk, height, walk->next_seq, Min(seq, size) - 1);
			walk->next_seq = Min(seq, size);
			continue;
		}
		if (seq < walk->next_seq)
			walk_report(walk, height, seq, "added entry", "there is more than one entry %lld",
						(long long) seq);
		else
		{
			walk_entry(walk, height, seq);
			walk->next_seq++;
			checked++;
		}
		walk->entry_ready = false;
		if (checked % 1024 == 0 && verify_job_full(walk->job))
			break;
	}
	pg_atomic_fetch_add_u64(&walk->origin->entries, checked);
	if (walk->job->progress >= 0)
		pg_atomic_fetch_add_u64(&shared_state->verifications[walk->job->progress].entries, checked);
}

void
walk_entries_begin(Walk *walk, int64 last)
{
	scan_begin(&walk->entries, "entry", entry_columns, ENTRY_COLUMNS, walk->origin->origin, "seq",
			   walk->next_seq, last);
}

void
walk_entries_end(Walk *walk)
{
	if (walk->entry_ready || scan_next(&walk->entries))
		walk_report(walk, walk->check.height, walk->next_seq, "entry beyond head",
					"entry %lld is in no block",
					(long long) DatumGetInt64(walk->entries.values[ENTRY_SEQ]));
}
