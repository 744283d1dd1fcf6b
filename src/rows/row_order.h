/*
 * row_order.h: entries about one row stand in the order in which the row was changed, whatever the
 * order of its triggers.
 */
#ifndef MEDCHAIN_ROWS_ROW_ORDER_H
#define MEDCHAIN_ROWS_ROW_ORDER_H

#include "postgres.h"
#include "access/htup.h"
#include "utils/relcache.h"

#include "core/hash.h"
#include "ledger/append.h"

/* A change of one row by this transaction. */
typedef struct RowOrder
{
	CommandId	command;		/* that did it */
	CommandId	found;			/* the command that made the version which was found;
								 * InvalidCommandId: another transaction did, or none was found */
	bool		found_latest;	/* it may have been an earlier one */
	bool		inserts;		/* there was no such row before */
	bool		deletes;		/* there is none any more */
} RowOrder;

/*
 * A statement that is at work, with those that it is a part of; its command is InvalidCommandId
 * unless it changes rows.
 */
typedef struct RowStatement
{
	CommandId	command;
	struct RowStatement *outer;
} RowStatement;

extern void row_order_enter(RowStatement *statement, CommandId command);
extern void row_order_leave(const RowStatement *statement);

/* Nothing is remembered any more, if no statement is at work. */
extern void row_order_forget(void);

/* A change by that command; was: the version that it found, as it is in the table, or NULL. */
extern void row_order_look(HeapTuple was, CommandId command, RowOrder *change);

/* The command of this transaction that has made a version of a row, which is as in the table. */
extern CommandId row_order_maker(HeapTupleHeader tuple);

/* Has the change of a row to be behind one that we have yet to hear of? */
extern bool row_order_is_early(Relation relation, const uint8_t id[HASH_LEN],
							   const RowOrder *change);

/* Such a change has been appended, in an entry of its own, with what has to be behind it. */
extern void row_order_keep(const uint8_t id[HASH_LEN], const RowOrder *change,
						   const AppendedAt *at);

/* Entries that have to be behind a change which is about to be appended; NULL: none. */
typedef struct EarlyEntry EarlyEntry;

/* They are run's from now on, with those of other rows that it has. */
extern EarlyEntry *row_order_release(const uint8_t id[HASH_LEN], const RowOrder *change,
									 const void *run);
extern EarlyEntry *row_order_join(EarlyEntry *few, EarlyEntry *others);

/* Is one of those that run has about this row? */
extern bool row_order_is_with(const uint8_t id[HASH_LEN], const void *run);

/* Put them behind all others, in their order; and as if that had not been, as it is rolled back. */
extern void row_order_move(EarlyEntry *entries);
extern void row_order_restore(EarlyEntry *entries, const void *run);

#endif
