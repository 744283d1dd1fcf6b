/*
 * row_order.h: changes of one row stand on the ledger in the order in which the row was changed,
 * whatever the order of its triggers.
 */
#ifndef MEDCHAIN_ROWS_ROW_ORDER_H
#define MEDCHAIN_ROWS_ROW_ORDER_H

#include "postgres.h"
#include "access/htup.h"
#include "storage/itemptr.h"
#include "utils/relcache.h"

#include "rows/row_change.h"

/* When and how a row was changed by this transaction. */
typedef struct RowOrder
{
	Oid			relation;
	CommandId	command;		/* that did it */
	CommandId	found;			/* the command that made the version which was found, or a later
								 * one; InvalidCommandId: another transaction did, or there was
								 * none */
	ItemPointerData found_at;	/* that version, if this transaction has made it; or invalid */
	ItemPointerData made_at;	/* the one that is there now; or invalid */
	CommandId	ended;			/* that one was replaced or deleted by this command, as far as is
								 * known when it is captured; or InvalidCommandId */
	bool		inserts;		/* there was no such row before */
	bool		deletes;		/* there is none any more */
} RowOrder;

/* A statement that changes rows and is at work, with those that it is a part of. */
typedef struct RowStatement
{
	CommandId	command;
	bool		replaces;		/* rows that are there, and does not only add others */
	struct RowStatement *outer;
} RowStatement;

extern void row_order_enter(RowStatement *statement, CommandId command, bool replaces);
extern void row_order_leave(const RowStatement *statement);

/* Is no statement at work, nor a trigger? */
extern bool row_order_is_idle(void);

/*
 * A change by that command; was: the version that it found, now: the one that it made, as they are
 * in the table, or NULL.
 */
extern void row_order_look(Relation relation, HeapTuple was, HeapTuple now, CommandId command,
						   RowOrder *order);

/* The command of this transaction that has made a version of a row, which is as in the table. */
extern CommandId row_order_maker(HeapTupleHeader tuple);

/* Changes of one row that wait, or do not have to any more, in their order. */
typedef struct HeldChange
{
	struct HeldChange *next;
	RowOrder	order;
	TransactionId transaction;	/* or subtransaction: what it did may have been rolled back */
	RowChange  *change;
	RowChange  *then;			/* what it did as well; or NULL */
} HeldChange;

/* Is there anything that waits? */
extern bool row_order_some_wait(void);

/* Has the change to be behind one that we have yet to hear of? */
extern bool row_order_is_early(Relation relation, const uint8_t id[HASH_LEN],
							   const RowOrder *order);

/* Keep it until then; then: NULL, or what it did to the same row as well. */
extern void row_order_hold(const RowOrder *order, const RowChange *change, const RowChange *then);

/* This one is on the ledger: those that have waited for it.  NULL: none. */
extern HeldChange *row_order_release(const uint8_t id[HASH_LEN], const RowOrder *order);

/* All that still wait. */
extern HeldChange *row_order_release_all(void);

/* The one behind one of those; that one is freed. */
extern HeldChange *row_order_next(HeldChange *entry);

/* No statement is at work any more, and nothing waits: nothing is remembered. */
extern void row_order_forget(void);

#endif
