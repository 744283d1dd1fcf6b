/*
 * protection.h: which tables are protected, by which column, and what they are called on the
 * ledger.
 */
#ifndef MEDCHAIN_ACCESS_PROTECTION_H
#define MEDCHAIN_ACCESS_PROTECTION_H

#include "postgres.h"
#include "access/attnum.h"
#include "utils/relcache.h"

typedef struct Protection
{
	Oid			relation;		/* the table, or a partition of it */
	Oid			root;			/* the table */
	char	   *name;			/* as the ledger calls it */
	AttrNumber	subject;		/* the relation's column with the examinee's identity */
	bool		padded;			/* char(n), whose blanks at the end mean nothing */
	uint64		reading;		/* another one each time that it is read */
} Protection;

/*
 * NULL if the relation is neither a protected table nor a partition of one: an answer that is kept
 * as well.  Valid until the transaction ends.
 */
extern const Protection *protection_get(Relation relation);

/*
 * What the ledger calls that table: as it was when the table came there, whatever it is called now;
 * NULL: there is no such relation.  Valid until the next call.
 */
extern const char *protection_relation_name(Oid relation);

#endif
