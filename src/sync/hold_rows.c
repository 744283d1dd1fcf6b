/*
 * hold_rows.c: held entries of this transaction that are not rows yet.
 *
 * A sealer's transactions have thousands of entries.  Inserted one by one, by SQL, they cost an
 * apply worker twice the time; so they are gathered, and inserted together when there are enough of
 * them, when somebody has to see them, and before the transaction commits.
 */
#include "postgres.h"

#include "access/xact.h"
#include "commands/sequence.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "node/trusted.h"
#include "rows/row_insert.h"
#include "sync/hold_rows.h"

#define HOLD_ROWS_MAX 1000
#define HOLD_ROWS_BYTES (1024 * 1024)	/* of payloads */

/* Columns of medchain.held_entry. */
enum
{
	HELD_ID, HELD_SOURCE, HELD_ORIGIN, HELD_SEQ, HELD_PAYLOAD, HELD_BYTES, HELD_COLUMNS
};

typedef struct HoldRow
{
	char	   *source;
	char	   *origin;
	int64		seq;
	Datum		payload;
	int32		bytes;
} HoldRow;

static HoldRow rows[HOLD_ROWS_MAX];
static int	nrows = 0;
static int64 nbytes = 0;
static MemoryContext rows_context = NULL;	/* of what they point to: in the transaction's */

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
		slot->tts_values[HELD_SOURCE] = CStringGetTextDatum(rows[i].source);
		slot->tts_values[HELD_ORIGIN] = CStringGetTextDatum(rows[i].origin);
		slot->tts_values[HELD_SEQ] = Int64GetDatum(rows[i].seq);
		slot->tts_values[HELD_PAYLOAD] = rows[i].payload;
		slot->tts_values[HELD_BYTES] = Int32GetDatum(rows[i].bytes);
		MemoryContextSwitchTo(old);
		row_insert_done(&insert);
	}
	row_insert_close(&insert);
	CommandCounterIncrement();
	nrows = 0;
	nbytes = 0;
	MemoryContextReset(rows_context);
}

void
hold_rows_add(const char *source, const char *origin, int64 seq, Datum payload, int32 bytes)
{
	MemoryContext old;

	if (rows_context == NULL)
		rows_context = AllocSetContextCreate(TopTransactionContext, "medchain held entries",
											 ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(rows_context);
	rows[nrows++] = (HoldRow)
	{
		.source = pstrdup(source), .origin = pstrdup(origin), .seq = seq,
			.payload = PointerGetDatum(DatumGetTextPCopy(payload)), .bytes = bytes
	};
	MemoryContextSwitchTo(old);
	nbytes += bytes;

	/* what is said in a subtransaction must be gone with it */
	if (nrows == HOLD_ROWS_MAX || nbytes >= HOLD_ROWS_BYTES ||
		GetCurrentTransactionNestLevel() > 1)
		hold_rows_insert();
}

void
hold_rows_forget(void)
{
	nrows = 0;
	nbytes = 0;
	rows_context = NULL;
}
