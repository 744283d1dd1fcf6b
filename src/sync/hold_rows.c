/*
 * hold_rows.c: held entries of this transaction that are not rows yet.
 *
 * A sealer's transactions have thousands of entries.  Inserted one by one, by SQL, they cost an
 * apply worker twice the time; so they are gathered, and inserted together when there are enough of
 * them, when somebody has to see them, and before the transaction commits.  As long as they are
 * one run of a chain, more of them are gathered: they may become part of the ledger as they are
 * (accept.c).
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/sequence.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "core/block.h"
#include "node/trusted.h"
#include "rows/row_insert.h"
#include "sync/hold_rows.h"

#define HOLD_ROWS_FEW 1000
#define HOLD_ROWS_FEW_BYTES (1024 * 1024)	/* of payloads */
#define HOLD_ROWS_RUN BLOCK_ENTRIES_MAX /* of a run: a sealer's transaction has no more */
#define HOLD_ROWS_RUN_BYTES (32 * 1024 * 1024)

/* Columns of medchain.held_entry. */
enum
{
	HELD_ID, HELD_SOURCE, HELD_ORIGIN, HELD_SEQ, HELD_PAYLOAD, HELD_BYTES, HELD_COLUMNS
};

/* Where it comes from. */
typedef struct HoldFrom
{
	char	   *source;
	char	   *origin;
} HoldFrom;

static HeldEntry *rows = NULL;	/* in rows_context, as all of these */
static HoldFrom **froms = NULL; /* ... of each of them */
static int	capacity = 0;
static int	nrows = 0;
static int64 nbytes = 0;
static bool is_run = true;		/* each but the first is the next one of the chain of the one
								 * before, and the transaction has brought none but these */
static MemoryContext rows_context = NULL;	/* of what they point to: in the transaction's */

/* Room for one more, and where it comes from: for the most part that of the one before. */
static void
hold_rows_room(const char *source, const char *origin)
{
	HoldFrom   *from = nrows > 0 ? froms[nrows - 1] : NULL;

	if (nrows == capacity)
	{
		int			more = capacity == 0 ? HOLD_ROWS_FEW : 2 * capacity;

		if (capacity == 0)
		{
			rows = palloc(more * sizeof(HeldEntry));
			froms = palloc(more * sizeof(HoldFrom *));
		}
		else
		{
			rows = repalloc(rows, more * sizeof(HeldEntry));
			froms = repalloc(froms, more * sizeof(HoldFrom *));
		}
		capacity = more;
	}
	if (from == NULL || strcmp(from->source, source) != 0 || strcmp(from->origin, origin) != 0)
	{
		from = palloc(sizeof(HoldFrom));
		from->source = pstrdup(source);
		from->origin = pstrdup(origin);
	}
	froms[nrows] = from;
}

static void
hold_rows_clear(void)
{
	rows = NULL;
	froms = NULL;
	capacity = nrows = 0;
	nbytes = 0;
}

void
hold_rows_insert(void)
{
	Oid			sequence;
	RowInsert	insert;

	if (nrows == 0)
		return;
	sequence = get_relname_relid("held_entry_id_seq", trusted_schema(false));
	row_insert_open(&insert, "held_entry");
	for (int i = 0; i < nrows; i++)
	{
		TupleTableSlot *slot = row_insert_row(&insert);
		MemoryContext old = MemoryContextSwitchTo(insert.context);

		memset(slot->tts_isnull, false, HELD_COLUMNS * sizeof(bool));
		slot->tts_values[HELD_ID] = Int64GetDatum(nextval_internal(sequence, false));
		slot->tts_values[HELD_SOURCE] = CStringGetTextDatum(froms[i]->source);
		slot->tts_values[HELD_ORIGIN] = CStringGetTextDatum(froms[i]->origin);
		slot->tts_values[HELD_SEQ] = Int64GetDatum(rows[i].seq);
		slot->tts_values[HELD_PAYLOAD] = rows[i].payload;
		slot->tts_values[HELD_BYTES] = Int32GetDatum(rows[i].bytes);
		MemoryContextSwitchTo(old);
		row_insert_done(&insert);
	}
	row_insert_close(&insert);
	CommandCounterIncrement();
	hold_rows_clear();
	is_run = false;
	MemoryContextReset(rows_context);
}

/* Are they enough to be inserted?  What is said in a subtransaction must be gone with it. */
static bool
hold_rows_suffice(void)
{
	if (GetCurrentTransactionNestLevel() > 1)
		return true;
	return is_run ? nrows > HOLD_ROWS_RUN || nbytes > HOLD_ROWS_RUN_BYTES :
		nrows >= HOLD_ROWS_FEW || nbytes >= HOLD_ROWS_FEW_BYTES;
}

void
hold_rows_add(const char *source, const char *origin, int64 seq, Datum payload, int32 bytes)
{
	MemoryContext old;

	if (rows_context == NULL)
		rows_context = AllocSetContextCreate(TopTransactionContext, "medchain held entries",
											 ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(rows_context);
	hold_rows_room(source, origin);
	is_run = is_run && (nrows == 0 || (froms[nrows] == froms[nrows - 1] &&
									   seq == rows[nrows - 1].seq + 1));
	rows[nrows++] = (HeldEntry)
	{
		.seq = seq, .payload = PointerGetDatum(DatumGetTextPCopy(payload)), .bytes = bytes
	};
	MemoryContextSwitchTo(old);
	nbytes += bytes;
	if (hold_rows_suffice())
		hold_rows_insert();
}

bool
hold_rows_run(HeldRun *run)
{
	if (!is_run || nrows == 0)
		return false;
	run->source = froms[0]->source;
	run->origin = froms[0]->origin;
	run->entries = rows;
	run->count = nrows;
	return true;
}

int64
hold_rows_taken(int64 taken)
{
	int64		bytes = 0;

	for (int64 i = 0; i < taken; i++)
		bytes += rows[i].bytes;
	nrows -= (int) taken;
	nbytes -= bytes;
	memmove(rows, rows + taken, nrows * sizeof(HeldEntry));
	memmove(froms, froms + taken, nrows * sizeof(HoldFrom *));
	return bytes;
}

void
hold_rows_forget(void)
{
	hold_rows_clear();
	is_run = true;
	rows_context = NULL;
}
