/*
 * row_order.c: entries about one row stand in the order in which the row was changed, whatever the
 * order of its triggers.
 *
 * A statement's AFTER triggers run when it has changed all its rows, one after the other.  One of a
 * user's that changes a row whose own turn is yet to come runs a statement with triggers of its
 * own, medchain's among them: the second change of the row is on the ledger before the first.  So
 * what is written while another statement has the same table in hand is remembered until the
 * transaction ends, and put behind entries of earlier commands that come after it.
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
#include "ledger/row_order.h"

typedef struct EarlyEntry
{
	CommandId	command;
	TransactionId transaction;	/* or subtransaction: what it did may have been rolled back */
	AppendedAt	at;
	struct EarlyEntry *next;	/* about the same row, in the order of their places */
} EarlyEntry;

typedef struct EarlyRow
{
	uint8_t		id[HASH_LEN];	/* hash key */
	EarlyEntry *first;
} EarlyRow;

static HTAB *early = NULL;
static TransactionId early_of = InvalidTransactionId;	/* whose context the table is in */

static void
row_order_start(void)
{
	HASHCTL		control = {0};

	control.keysize = HASH_LEN;
	control.entrysize = sizeof(EarlyRow);
	control.hcxt = TopTransactionContext;
	early = hash_create("medchain early entries", 64, &control,
						HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	early_of = GetTopTransactionId();
}

/* Those of later commands, in their order, behind what has just come. */
static void
row_order_pass(EarlyEntry *entry, CommandId command)
{
	for (; entry != NULL; entry = entry->next)
		if (entry->command > command && TransactionIdIsCurrentTransactionId(entry->transaction))
			pending_move_last(&entry->at);
}

static void
row_order_remember(EarlyRow *row, CommandId command, const AppendedAt *at)
{
	EarlyEntry *entry = MemoryContextAlloc(TopTransactionContext, sizeof(EarlyEntry));
	EarlyEntry **place = &row->first;

	entry->command = command;
	entry->transaction = GetCurrentTransactionId();
	entry->at = *at;
	while (*place != NULL && (*place)->at.seq < at->seq)
		place = &(*place)->next;
	entry->next = *place;
	*place = entry;
}

/*
 * May a statement that is still at work have done something earlier to this row?  Then it has the
 * table open as well, as has each scan; and we are in a trigger of it, or in a function it calls
 * that finds what it has just written (COPY FREEZE as well, so it is the raw xmin).
 */
static bool
row_order_may_be_early(Relation relation, HeapTuple was)
{
	return relation->rd_refcnt > 1 &&
		(DatumGetInt32(DirectFunctionCall1(pg_trigger_depth, (Datum) 0)) > 1 ||
		 (was != NULL &&
		  TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetRawXmin(was->t_data))));
}

void
row_order_keep(Relation relation, HeapTuple was, const uint8_t id[HASH_LEN], CommandId command,
			   AppendedAt *at)
{
	bool		known = early != NULL && early_of == GetTopTransactionIdIfAny();
	EarlyRow   *row;
	bool		found;

	if (known && (row = hash_search(early, id, HASH_FIND, NULL)) != NULL)
		row_order_pass(row->first, command);

	if (!row_order_may_be_early(relation, was))
		return;
	if (!known)
		row_order_start();
	row = hash_search(early, id, HASH_ENTER, &found);
	if (!found)
		row->first = NULL;
	row_order_remember(row, command, at);
}
