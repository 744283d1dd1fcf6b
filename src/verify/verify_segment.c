/*
 * verify_segment.c: walk some blocks of a chain and the entries in them, and report everything that
 * is wrong.
 *
 * The walk goes on after a fault, as a person would: where one thing is known to be wrong, the next
 * is judged by what can still be relied on.  A leaf hash that is not the payload's counts for the
 * tree as stored; where the tree is lost (an entry is missing), it is picked up again at the end of
 * the block from the tiles, if they give the root that the origin signed.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "compat.h"
#include "core/keycache.h"
#include "ledger/block_leaves.h"
#include "ledger/block_row.h"
#include "ledger/scan.h"
#include "ledger/tile.h"
#include "node/shared.h"
#include "verify/tile_audit.h"
#include "verify/verify_carried.h"
#include "verify/verify_job.h"
#include "verify/verify_walk.h"

enum
{
	BLOCK_HEIGHT, BLOCK_SIZE, BLOCK_ROOT, BLOCK_PREVIOUS, BLOCK_HASH, BLOCK_SEALED, BLOCK_NOTE,
	BLOCK_LEAVES, BLOCK_KINDS, BLOCK_KINDS_NOTE, BLOCK_COLUMNS
};

static const ScanColumn block_columns[BLOCK_COLUMNS] = {
	{"height", INT8OID}, {"size", INT8OID}, {"root", BYTEAOID}, {"previous", BYTEAOID},
	{"hash", BYTEAOID},
	{"sealed", TIMESTAMPTZOID}, {"note", TEXTOID}, {"leaves", BYTEAOID}, {"kinds", TEXTOID},
	{"kinds_note", TEXTOID}
};

/* The tree has not this root.  Which entries can it be? */
static void
walk_report_root(Walk *walk, int64 height, int64 first, int64 size, const char *what,
				 const char *detail)
{
	int64		last = size - 1;

	/*
	 * the tiles were written when the entries were still right: a hash of theirs covers 256
	 * entries
	 */
	for (int i = 0; i < walk->tiles.nfaults; i++)
	{
		TileFault  *fault = &walk->tiles.faults[i];

		if (fault->level == 1 && !fault->missing)
		{
			int64		window = (((int64) fault->index * TREE_TILE_WIDTH + fault->offset) *
								  TREE_TILE_WIDTH);

			first = Max(first, window);
			last = Min(last, window + TREE_TILE_WIDTH - 1);
			break;
		}
	}
	walk_report(walk, height, first, what, "%s (entries %lld to %lld)", detail, (long long) first,
				(long long) last);
}

/*
 * The key of the block of this height. The cache may forget a parsed key, so it is asked each time.
 */
static const Key *
walk_key(Walk *walk, int64 height)
{
	CoreError	error = {0};
	const VerifyKey *chosen = NULL;
	const Key  *key;

	for (int i = 0; i < walk->origin->nkeys; i++)
	{
		const VerifyKey *candidate = verify_job_key(walk->job, walk->origin->first_key + i);

		if (candidate->from_height <= height)
			chosen = candidate;
	}
	if (chosen == NULL)
		return NULL;
	key = keycache_get(chosen->pem, strlen(chosen->pem), &error);
	if (key == NULL)
		elog(ERROR, "ledger key of \"%s\" is unusable: %s", walk->origin->origin, error.message);
	return key;
}

/* The root can't be followed to this block: whatever else its note says. */
static void
walk_adopt(Walk *walk, const char *note, size_t len, const NoteBlock *block)
{
	size_t		textlen;
	CoreError	error = {0};
	const Key  *key = walk_key(walk, (int64) block->height);

	if (key != NULL && note_verify(note, len, walk->check.name, key, &error) == KEY_INVALID)
		walk_report(walk, (int64) block->height, PG_INT64_MAX,
					chain_fault_name(CHAIN_BAD_SIGNATURE),
					"no valid signature by the key of \"%s\"", walk->check.name);
	if (!note_text_length(note, len, &textlen, &error) ||
		!hash_sha256(note, textlen, walk->check.head))
		elog(ERROR, "could not compute SHA-256");
	walk->adrift = true;
}

/* Check the header as the apply hook would; after a fault put right what it found, and check on. */
static void
walk_header(Walk *walk, int64 height, const char *note, size_t len, int64 first, bool after_gap)
{
	const Key  *key = walk_key(walk, height);
	bool		root_fault = walk->adrift || walk->explained;

	for (;;)
	{
		NoteBlock	block;
		CoreError	error = {0};
		TreeRange	range;
		uint8_t		root[HASH_LEN];
		ChainFault	fault = chain_check_block(&walk->check, note, len, key, &block, &error);

		switch (fault)
		{
			case CHAIN_FINE:
				for (int i = 0; i < walk->tiles.nfaults; i++)
					walk_report(walk, height, PG_INT64_MAX, "bad tile", "%s",
								tile_fault_text(&walk->tiles.faults[i]));
				return;
			case CHAIN_FAILED:
				ereport(ERROR,
						(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
						 errmsg("could not check block: %s", error.message)));
				break;
			case CHAIN_BAD_PREVIOUS:
				if (!after_gap)
					walk_report(walk, height, first, chain_fault_name(fault), "%s", error.message);
				memcpy(walk->check.head, block.previous, HASH_LEN);
				break;
			case CHAIN_BAD_SIGNATURE:
				walk_report(walk, height, PG_INT64_MAX, chain_fault_name(fault), "%s",
							error.message);
				key = NULL;
				break;
			case CHAIN_BAD_SIZE:
			case CHAIN_BAD_ROOT:
				if (!root_fault)
					walk_report_root(walk, height, first, (int64) block.size,
									 chain_fault_name(fault), error.message);
				root_fault = true;
				walk->tiles.nfaults = 0;
				if ((int64) block.size != walk->next_seq ||
					!tile_range(walk->origin->origin, block.size, &range) ||
					!tree_range_root(&range, root) || !hash_equal(root, block.root))
				{
					walk_adopt(walk, note, len, &block);
					return;
				}
				walk->check.range = range;
				walk->adrift = false;
				break;
			case CHAIN_BAD_HEIGHT:
			case CHAIN_BAD_NAME:
			case CHAIN_BAD_NOTE:
				/* the note is of something else, and says nothing about this block */
				walk_report(walk, height, first, chain_fault_name(fault), "%s", error.message);
				return;
		}
	}
}

/* The columns beside the note are an index over it. */
static void
walk_block_index(Walk *walk, int64 height, const ChainScan *row, const NoteBlock *block,
				 const char *note, size_t len)
{
	const char *wrong[5];
	int			nwrong = 0;
	uint8_t		hash[HASH_LEN];
	char		sealed[NOTE_SEALED_LEN + 1] = "";
	size_t		textlen;

	if (!note_text_length(note, len, &textlen, NULL) || !hash_sha256(note, textlen, hash))
		elog(ERROR, "could not compute SHA-256");
	if (row->nulls[BLOCK_SIZE] || DatumGetInt64(row->values[BLOCK_SIZE]) != (int64) block->size)
		wrong[nwrong++] = "size";
	if (!walk_same_bytes(row, BLOCK_ROOT, block->root))
		wrong[nwrong++] = "root";
	if (!walk_same_bytes(row, BLOCK_PREVIOUS, block->previous))
		wrong[nwrong++] = "previous";
	if (!walk_same_bytes(row, BLOCK_HASH, hash))
		wrong[nwrong++] = "hash";
	if (row->nulls[BLOCK_SEALED] ||
		!block_sealed_text(DatumGetTimestampTz(row->values[BLOCK_SEALED]), sealed) ||
		strcmp(sealed, block->sealed) != 0)
		wrong[nwrong++] = "sealed";
	for (int i = 0; i < nwrong; i++)
		walk_report(walk, height, PG_INT64_MAX, "bad index column",
					"block %lld: column %s differs from the note",
					(long long) height, wrong[i]);
}

/* As many leaf hashes as the block should have entries, if it has; in the context of the block. */
static void
walk_block_leaves(Walk *walk, const ChainScan *row, int64 size)
{
	bytea	   *leaves = row->nulls[BLOCK_LEAVES] ? NULL :
	DatumGetByteaPP(row->values[BLOCK_LEAVES]);

	walk->first = walk->next_seq;
	walk->absent = 0;
	walk->leaves = leaves != NULL && size >= walk->first &&
		VARSIZE_ANY_EXHDR(leaves) == (Size) (size - walk->first) * HASH_LEN ?
		(const uint8_t *) VARDATA_ANY(leaves) : NULL;
	block_leaves_init(&walk->found);
}

/* Where nothing else is wrong with the block. */
static void
walk_block_carried(Walk *walk, int64 height, const ChainScan *row)
{
	CarriedBlock block = {
		.check = &walk->check, .own = walk->origin->own, .leaves = walk->leaves,
		.found = &walk->found, .absent = walk->absent
	};
	const char *wrong;

	pg_atomic_fetch_add_u64(&walk->origin->absent, (uint64) walk->absent);
	if (walk->faulty || walk->adrift)
		return;
	if (!row->nulls[BLOCK_KINDS])
		block.kinds = TextDatumGetCString(row->values[BLOCK_KINDS]);
	if (!row->nulls[BLOCK_KINDS_NOTE])
		block.kinds_note = TextDatumGetCString(row->values[BLOCK_KINDS_NOTE]);
	if (walk->absent > 0)
		block.key = walk_key(walk, height);
	wrong = verify_carried(&block);
	if (wrong != NULL)
		walk_report(walk, height, PG_INT64_MAX, "bad index column",
					"block %lld: column %s differs from the entries", (long long) height, wrong);
}

static void
walk_block(Walk *walk, const ChainScan *row)
{
	int64		height = DatumGetInt64(row->values[BLOCK_HEIGHT]);
	int64		first = walk->next_seq;
	int64		size = first;
	text	   *stored;
	const char *note = "";
	size_t		len = 0;
	NoteBlock	block;
	CoreError	error = {0};
	bool		readable;
	bool		after_gap = height > walk->check.height + 1;

	if (after_gap)
	{
		walk_report(walk, walk->check.height + 1, first, "missing block",
					"block %lld is missing; the next one here is %lld",
					(long long) (walk->check.height + 1), (long long) height);
		walk->check.height = height - 1;
	}
	if (!row->nulls[BLOCK_NOTE])
	{
		stored = DatumGetTextPP(row->values[BLOCK_NOTE]);
		note = VARDATA_ANY(stored);
		len = VARSIZE_ANY_EXHDR(stored);
	}
	readable = note_parse_block(note, len, &block, &error) && block.height == (uint64) height &&
		strcmp(block.name, walk->check.name) == 0;
	walk->explained = false;
	walk->faulty = after_gap;
	walk->tiles.nfaults = 0;
	if (readable)
		size = (int64) block.size;
	else if (!row->nulls[BLOCK_SIZE])
		size = DatumGetInt64(row->values[BLOCK_SIZE]);
	walk_block_leaves(walk, row, size);
	walk_entries(walk, height, size);
	if (verify_job_full(walk->job))
		return;
	walk_header(walk, height, note, len, first, after_gap);
	if (readable)
		walk_block_index(walk, height, row, &block, note, len);
	else if (!row->nulls[BLOCK_HASH])
	{
		/* what the next block has to link to, as far as anybody can know */
		bytea	   *hash = DatumGetByteaPP(row->values[BLOCK_HASH]);

		if (VARSIZE_ANY_EXHDR(hash) == HASH_LEN)
			memcpy(walk->check.head, VARDATA_ANY(hash), HASH_LEN);
	}
	walk->check.height = height;
	walk_block_carried(walk, height, row);
	pg_atomic_fetch_add_u64(&walk->origin->blocks, 1);
	if (walk->job->progress >= 0)
		pg_atomic_fetch_add_u64(&shared_state->verifications[walk->job->progress].blocks, 1);
}

/* After the last block of the segment. */
static void
walk_end(Walk *walk, const VerifySegment *segment)
{
	if (segment->end_height != PG_INT64_MAX)
	{
		if (walk->check.height + 1 < segment->end_height)
			walk_report(walk, walk->check.height + 1, walk->next_seq, "missing block",
						"blocks %lld to %lld are missing",
						(long long) (walk->check.height + 1),
						(long long) (segment->end_height - 1));
		return;
	}
	walk_entries_end(walk);
	walk->origin->end = walk->check;
	walk->origin->adrift = walk->adrift;
}

void
verify_segment(VerifyJob *job, const VerifySegment *segment)
{
	Walk		walk = {
		.job = job, .number = segment->origin,
		.origin = verify_job_origin(job, segment->origin)
	};
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "medchain verify",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext round = AllocSetContextCreate(context, "medchain verify block",
												ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	ChainScan	blocks;

	walk.check = segment->start;
	walk.next_seq = (int64) segment->start.range.size;
	walk.scratch = AllocSetContextCreate(context, "medchain verify entry", ALLOCSET_DEFAULT_SIZES);
	tile_audit_init(&walk.tiles, walk.origin->origin);
	walk_entries_begin(&walk, segment->end_size);
	scan_begin(&blocks, "block", block_columns, BLOCK_COLUMNS, walk.origin->origin, "height",
			   segment->start.height + 1, segment->end_height);
	while (!verify_job_full(job) && scan_next(&blocks))
	{
		MemoryContextSwitchTo(round);
		walk_block(&walk, &blocks);
		MemoryContextSwitchTo(context);
		MemoryContextReset(round);
	}
	if (!verify_job_full(job))
		walk_end(&walk, segment);
	scan_end(&blocks);
	scan_end(&walk.entries);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}
