/*
 * lock.h: the locks that the workers of a database take against each other.
 *
 * They are heavyweight locks on parts of the extension as an object of the database, which are in
 * pg_locks as any other, and which end with the transaction.  No SQL command takes one: what a user
 * can lock of an extension (ALTER ... DEPENDS ON EXTENSION, say) has part 0.  Locks on our tables
 * would not do: a statement that somebody prepares locks its tables before it is asked whether he
 * may run it.  Nor would advisory locks, which anybody takes.
 */
#ifndef MEDCHAIN_NODE_LOCK_H
#define MEDCHAIN_NODE_LOCK_H

/* The part of the extension; 0 is the extension itself. */
typedef enum LedgerLock
{
	LEDGER_LOCK_FOLD = 1,		/* deriving the state: one at a time */
	LEDGER_LOCK_PEERS			/* making and dropping slots at peers */
} LedgerLock;

/* Wait for it, and keep it to the end of the transaction.  Readers are not concerned. */
extern void lock_take(LedgerLock lock);

#endif
