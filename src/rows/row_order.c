/*
 * row_order.c: entries about one row stand in the order in which the row was changed, whatever the
 * order of its triggers.
 *
 * A statement's AFTER triggers run when it has changed all its rows, one after the other, and what
 * they capture is appended when all have run.  A trigger or function of a user's that changes a row
 * of the same table meanwhile runs a statement with triggers of its own, medchain's among them: the
 * second change of the row is on the ledger before the first.  Such an early change, known by the
 * version of the row that it found, is an entry of its own, and remembered; when the change that
 * made this version is captured, it goes behind, with all that came behind it.  So does a row that
 * was put there again, when its deletion is captured.
 *
 * Nothing else does: when a BEFORE trigger deletes the row whose place a new one takes, that comes
 * first, though its command has the higher number.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "fmgr.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "ledger/pending.h"
#include "rows/row_order.h"

typedef struct EarlyRow
{
	uint8_t		id[HASH_LEN];	/* hash key */
	EarlyEntry *first;			/* in the order in which they belong */
	const void *run;			/* that others of them went to */
} EarlyRow;

struct EarlyEntry
{
	EarlyEntry *next;
	EarlyRow   *row;
	RowOrder	change;
	TransactionId transaction;	/* or subtransaction: what it did may have been rolled back */
	AppendedAt	at;
	AppendedAt	before;			/* it was moved */
};

/* Of the transaction early_of, below whose context theirs is. */
static HTAB *early = NULL;
static MemoryContext early_context = NULL;
static TransactionId early_of = InvalidTransactionId;

static RowStatement *innermost = NULL;

/* ----- statements ----- */

void
row_order_enter(RowStatement *statement, CommandId command)
{
	statement->command = command;
	statement->outer = innermost;
	innermost = statement;
}

void
row_order_leave(const RowStatement *statement)
{
	innermost = statement->outer;
}

static bool
order_is_by(const RowOrder *change, CommandId command)
{
	return change->found != InvalidCommandId &&
		(change->found == command || (change->found_latest && change->found >= command));
}

/* Is a change that was appended before another one builds on it nevertheless? */
static bool
order_builds_on(const RowOrder *change, const RowOrder *other)
{
	return order_is_by(change, other->command) ||
		(change->inserts && other->deletes && change->command > other->command);
}

/* Until somebody replaces a tuple that COPY FREEZE has made, it says who made it; then, who did. */
CommandId
row_order_maker(HeapTupleHeader tuple)
{
	CommandId	command;

	if (!HeapTupleHeaderXminFrozen(tuple))
		return HeapTupleHeaderGetCmin(tuple);
	command = HeapTupleHeaderGetRawCommandId(tuple);
	if ((tuple->t_infomask & HEAP_XMAX_INVALID) == 0 &&
		!HEAP_XMAX_IS_LOCKED_ONLY(tuple->t_infomask))
		command--;				/* at the latest */
	return command;
}

/* COPY FREEZE as well, so it is the raw xmin. */
void
row_order_look(HeapTuple was, CommandId command, RowOrder *change)
{
	bool		ours = was != NULL &&
	TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetRawXmin(was->t_data));

	change->command = command;
	change->found = ours ? row_order_maker(was->t_data) : InvalidCommandId;
	change->found_latest = ours && HeapTupleHeaderXminFrozen(was->t_data);
}

/* ----- what is remembered ----- */

static EarlyRow *
order_find(const uint8_t id[HASH_LEN])
{
	if (early == NULL || early_of != GetTopTransactionIdIfAny())
		return NULL;
	return hash_search(early, id, HASH_FIND, NULL);
}

static EarlyRow *
order_get(const uint8_t id[HASH_LEN])
{
	bool		found;
	EarlyRow   *row;

	if (early == NULL || early_of != GetTopTransactionIdIfAny())
	{
		HASHCTL		control = {0};

		control.keysize = HASH_LEN;
		control.entrysize = sizeof(EarlyRow);
		early_context = AllocSetContextCreate(TopTransactionContext, "medchain early entries",
											  ALLOCSET_DEFAULT_SIZES);
		control.hcxt = early_context;
		early = hash_create("medchain early entries", 64, &control,
							HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
		early_of = GetTopTransactionId();
	}
	row = hash_search(early, id, HASH_ENTER, &found);
	if (!found)
	{
		row->first = NULL;
		row->run = NULL;
	}
	return row;
}

static bool
order_in_trigger(int depth)
{
	return DatumGetInt32(DirectFunctionCall1(pg_trigger_depth, (Datum) 0)) > depth;
}

void
row_order_forget(void)
{
	if (early == NULL || innermost != NULL || order_in_trigger(0))
		return;
	if (early_of == GetTopTransactionIdIfAny())
		MemoryContextDelete(early_context);
	early = NULL;
}

/* Without those that were rolled back. */
static EarlyEntry *
order_first(EarlyRow *row)
{
	EarlyEntry **at = &row->first;

	while (*at != NULL)
		if (TransactionIdIsCurrentTransactionId((*at)->transaction))
			at = &(*at)->next;
		else
			*at = (*at)->next;
	return row->first;
}

/* Where those begin that build on this change; at the end, if none does. */
static EarlyEntry **
order_place(EarlyRow *row, const RowOrder *change)
{
	EarlyEntry **place = &row->first;

	(void) order_first(row);
	while (*place != NULL && !order_builds_on(&(*place)->change, change))
		place = &(*place)->next;
	return place;
}

/*
 * In the apply workers of logical replication nobody says what statements are at work: there a
 * change of what this transaction has made is early in a trigger of another one, which has the
 * table open.
 */
bool
row_order_is_early(Relation relation, const uint8_t id[HASH_LEN], const RowOrder *change)
{
	EarlyRow   *row = order_find(id);
	bool		is_within = false;

	if (row != NULL && order_place(row, change) != &row->first)
		return true;			/* behind others that are */
	if (change->found == InvalidCommandId && !change->inserts)
		return false;
	for (const RowStatement *statement = innermost != NULL ? innermost->outer : NULL;
		 statement != NULL; statement = statement->outer)
	{
		if (order_is_by(change, statement->command))
			return true;
		is_within |= statement->command != InvalidCommandId;
	}
	return relation->rd_refcnt > 1 && (is_within ? change->inserts : order_in_trigger(1));
}

void
row_order_keep(const uint8_t id[HASH_LEN], const RowOrder *change, const AppendedAt *at)
{
	EarlyRow   *row = order_get(id);
	EarlyEntry **place = order_place(row, change);
	EarlyEntry *entry = MemoryContextAllocZero(early_context, sizeof(EarlyEntry));

	entry->row = row;
	entry->change = *change;
	entry->transaction = GetCurrentTransactionId();
	entry->at = *at;
	entry->next = *place;
	*place = entry;
	row_order_move(entry->next);
}

EarlyEntry *
row_order_release(const uint8_t id[HASH_LEN], const RowOrder *change, const void *run)
{
	EarlyRow   *row = order_find(id);
	EarlyEntry **place;
	EarlyEntry **end;
	EarlyEntry *first;

	if (row == NULL)
		return NULL;
	place = order_place(row, change);
	first = *place;
	if (first == NULL)
		return NULL;
	/* up to the next one that has found what this statement made: it has done so once more */
	end = &first->next;
	while (*end != NULL && !order_is_by(&(*end)->change, change->command))
		end = &(*end)->next;
	*place = *end;
	*end = NULL;
	row->run = run;
	return first;
}

EarlyEntry *
row_order_join(EarlyEntry *few, EarlyEntry *others)
{
	EarlyEntry *last = few;

	while (last->next != NULL)
		last = last->next;
	last->next = others;
	return few;
}

bool
row_order_is_with(const uint8_t id[HASH_LEN], const void *run)
{
	EarlyRow   *row = order_find(id);

	return row != NULL && row->run == run;
}

void
row_order_move(EarlyEntry *entries)
{
	for (EarlyEntry *entry = entries; entry != NULL; entry = entry->next)
	{
		entry->before = entry->at;
		if (TransactionIdIsCurrentTransactionId(entry->transaction))
			pending_move_last(&entry->at);
	}
}

void
row_order_restore(EarlyEntry *entries, const void *run)
{
	for (EarlyEntry *entry = entries; entry != NULL; entry = entry->next)
	{
		entry->at = entry->before;
		entry->row->run = run;
	}
}
