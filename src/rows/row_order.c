/*
 * row_order.c: changes of one row stand on the ledger in the order in which the row was changed,
 * whatever the order of its triggers.
 *
 * A statement's AFTER triggers run when it has changed all its rows, one after the other.  A
 * trigger or function of a user's that changes a row of the same table meanwhile runs a statement
 * with triggers of its own, medchain's among them: of the second change of the row we hear before
 * the first, unless the row's own turn has been (row_captured.h).  Such an early change, known by
 * the version of the row that it found, waits; when the change that made this version is captured,
 * it comes behind, with all that came behind it.  So does a row that was put there again, when its
 * deletion is captured.  Where there is no key, rows that say the same are one row here, and what
 * happens to them is in any order.
 *
 * Nothing else does: when a BEFORE trigger deletes the row whose place a new one takes, that comes
 * first, though its command has the higher number.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "access/xact.h"
#include "fmgr.h"
#include "lib/ilist.h"
#include "utils/fmgrprotos.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "rows/row_captured.h"
#include "rows/row_order.h"

typedef struct HeldRow
{
	uint8_t		id[HASH_LEN];	/* hash key */
	HeldChange *first;			/* in the order in which they belong */
	dlist_node	node;			/* of rows, in the order in which they came */
} HeldRow;

/* Of the transaction held_of, below whose context theirs is. */
static HTAB *held = NULL;
static MemoryContext held_context = NULL;
static TransactionId held_of = InvalidTransactionId;
static dlist_head rows;

static RowStatement *innermost = NULL;

/* ----- statements ----- */

void
row_order_enter(RowStatement *statement, CommandId command, bool replaces)
{
	statement->command = command;
	statement->replaces = replaces;
	statement->outer = innermost;
	innermost = statement;
}

void
row_order_leave(const RowStatement *statement)
{
	innermost = statement->outer;
}

static bool
order_in_trigger(int depth)
{
	return DatumGetInt32(DirectFunctionCall1(pg_trigger_depth, (Datum) 0)) > depth;
}

bool
row_order_is_idle(void)
{
	return innermost == NULL && !order_in_trigger(0);
}

/* ----- changes ----- */

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

/* The command of this transaction that has replaced or deleted a version by now, if one has. */
static CommandId
order_ended(HeapTupleHeader tuple)
{
	if ((tuple->t_infomask & HEAP_XMAX_INVALID) != 0 ||
		HEAP_XMAX_IS_LOCKED_ONLY(tuple->t_infomask) ||
		!TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetUpdateXid(tuple)))
		return InvalidCommandId;
	return HeapTupleHeaderGetCmax(tuple);
}

/* COPY FREEZE as well, so it is the raw xmin. */
void
row_order_look(Relation relation, HeapTuple was, HeapTuple now, CommandId command,
			   RowOrder *order)
{
	bool		ours = was != NULL &&
	TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetRawXmin(was->t_data));

	order->relation = RelationGetRelid(relation);
	order->command = command;
	order->found = ours ? row_order_maker(was->t_data) : InvalidCommandId;
	ItemPointerSetInvalid(&order->found_at);
	ItemPointerSetInvalid(&order->made_at);
	if (ours)
		order->found_at = was->t_self;
	order->ended = InvalidCommandId;
	if (now != NULL)
	{
		order->made_at = now->t_self;
		order->ended = order_ended(now->t_data);
	}
	order->inserts = was == NULL;
	order->deletes = now == NULL;
}

static bool
order_found(const RowOrder *order, const RowOrder *other)
{
	return ItemPointerIsValid(&order->found_at) && ItemPointerIsValid(&other->made_at) &&
		order->relation == other->relation &&
		ItemPointerEquals(unconstify(ItemPointerData *, &order->found_at),
						  unconstify(ItemPointerData *, &other->made_at));
}

/* Is what it has done what the other one found, or where the other one was put? */
static bool
order_builds_on(const RowOrder *order, const RowOrder *other)
{
	return order_found(order, other) ||
		(order->inserts && other->deletes && order->command > other->command);
}

/*
 * Was it made when the other one had been, perhaps with others in between?  A row is put there when
 * none is: after what the other one made had ended, or else before, as a BEFORE trigger does it for
 * a statement whose command is older.
 */
static bool
order_follows(const RowOrder *order, const RowOrder *other)
{
	return order_builds_on(order, other) ||
		(order->inserts ? order->command >= other->ended :
		 order->found != InvalidCommandId && order->found >= other->command);
}

/* ----- what waits ----- */

static bool
order_is_open(void)
{
	return held != NULL && held_of == GetTopTransactionIdIfAny();
}

bool
row_order_some_wait(void)
{
	return order_is_open() && hash_get_num_entries(held) > 0;
}

static HeldRow *
order_find(const uint8_t id[HASH_LEN])
{
	return row_order_some_wait() ? hash_search(held, id, HASH_FIND, NULL) : NULL;
}

static HeldRow *
order_get(const uint8_t id[HASH_LEN])
{
	bool		found;
	HeldRow    *row;

	if (!order_is_open())
	{
		HASHCTL		control = {0};

		held = NULL;
		control.keysize = HASH_LEN;
		control.entrysize = sizeof(HeldRow);
		held_context = AllocSetContextCreate(TopTransactionContext, "medchain held changes",
											 ALLOCSET_DEFAULT_SIZES);
		control.hcxt = held_context;
		held = hash_create("medchain held changes", 64, &control,
						   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
		held_of = GetTopTransactionId();
		dlist_init(&rows);
	}
	row = hash_search(held, id, HASH_ENTER, &found);
	if (!found)
	{
		row->first = NULL;
		dlist_push_tail(&rows, &row->node);
	}
	return row;
}

/* Without those that were rolled back. */
static HeldChange *
order_first(HeldRow *row)
{
	HeldChange **at = &row->first;

	while (*at != NULL)
		if (TransactionIdIsCurrentTransactionId((*at)->transaction))
			at = &(*at)->next;
		else
			*at = (*at)->next;
	return row->first;
}

/* Is there nothing between it and the one before? */
static bool
order_continues(const HeldChange *entry, const HeldChange *before)
{
	return !ItemPointerIsValid(&entry->order.found_at) ||
		order_found(&entry->order, &before->order);
}

/*
 * Where those begin that build on this change, or have to be behind it; at the end, if none has.
 * What continues another one has nothing to say itself, unless it puts the row there again.
 */
static HeldChange **
order_place(HeldRow *row, const RowOrder *order)
{
	HeldChange **place;
	const HeldChange *before = NULL;

	(void) order_first(row);
	for (place = &row->first; *place != NULL; place = &(*place)->next)
	{
		if (order_found(&(*place)->order, order))
			return place;
		if (order_found(order, &(*place)->order))
			return &(*place)->next;
	}
	for (place = &row->first; *place != NULL; place = &(*place)->next)
	{
		if ((before == NULL || (*place)->order.inserts || !order_continues(*place, before)) &&
			order_follows(&(*place)->order, order))
			break;
		before = *place;
	}
	return place;
}

/*
 * What a statement that is at work has made, and whatever it had done by triggers of foreign keys,
 * will be captured before it ends.  In the apply workers of logical replication nobody says what
 * statements are at work: there a change of what this transaction has made is early in a trigger of
 * another one, which has the table open.
 */
bool
row_order_is_early(Relation relation, const uint8_t id[HASH_LEN], const RowOrder *order)
{
	HeldRow    *row = order_find(id);
	const RowStatement *outermost = innermost;
	bool		is_replaced = false;

	if (row != NULL && order_place(row, order) != &row->first)
		return true;			/* behind others that are */
	if (order->found == InvalidCommandId && !order->inserts)
		return false;
	if (ItemPointerIsValid(&order->found_at) &&
		row_captured_is(order->relation, &order->found_at))
		return false;
	for (; outermost != NULL && outermost->outer != NULL; outermost = outermost->outer)
		is_replaced |= outermost->outer->replaces;
	if (outermost != NULL && order->found != InvalidCommandId &&
		order->found >= outermost->command)
		return true;
	return relation->rd_refcnt > 1 &&
		(outermost != innermost ? order->inserts && is_replaced : order_in_trigger(1));
}

void
row_order_hold(const RowOrder *order, const RowChange *change, const RowChange *then)
{
	HeldRow    *row;
	HeldChange **place;
	HeldChange *entry;

	row_change_hash(change);
	row = order_get(change->id);
	place = order_place(row, order);
	entry = MemoryContextAllocZero(held_context, sizeof(HeldChange));
	entry->order = *order;
	entry->transaction = GetCurrentTransactionId();
	entry->change = row_change_copy(change, held_context);
	if (then != NULL)
		entry->then = row_change_copy(then, held_context);
	entry->next = *place;
	*place = entry;
}

/*
 * Up to one that waits for something else.  Those of this subtransaction, and those that it has
 * taken over: if it is rolled back, the others wait on.
 */
HeldChange *
row_order_release(const uint8_t id[HASH_LEN], const RowOrder *order)
{
	HeldRow    *row = order_find(id);
	TransactionId current;
	HeldChange **place;
	HeldChange *first;
	HeldChange *last;

	if (row == NULL)
		return NULL;
	place = order_place(row, order);
	first = *place;
	current = GetCurrentTransactionId();
	if (first == NULL || !order_builds_on(&first->order, order) ||
		TransactionIdPrecedes(first->transaction, current))
		return NULL;
	last = first;
	while (last->next != NULL && order_continues(last->next, last))
		last = last->next;
	*place = last->next;
	last->next = NULL;
	if (row->first == NULL)
	{
		dlist_delete(&row->node);
		(void) hash_search(held, id, HASH_REMOVE, NULL);
	}
	return first;
}

HeldChange *
row_order_release_all(void)
{
	HeldChange *first = NULL;
	HeldChange **end = &first;
	dlist_iter	iter;

	if (!order_is_open())
		return NULL;
	dlist_foreach(iter, &rows)
	{
		HeldRow    *row = dlist_container(HeldRow, node, iter.cur);

		*end = order_first(row);
		row->first = NULL;
		while (*end != NULL)
			end = &(*end)->next;
	}
	return first;
}

HeldChange *
row_order_next(HeldChange *entry)
{
	HeldChange *next = entry->next;

	pfree(entry->change);
	if (entry->then != NULL)
		pfree(entry->then);
	pfree(entry);
	return next;
}

void
row_order_forget(void)
{
	if (order_is_open())
		MemoryContextDelete(held_context);
	held = NULL;
	row_captured_forget();
}
