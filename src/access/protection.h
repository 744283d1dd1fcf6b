/*
 * protection.h: which tables are protected, by which column, and what they are called on the
 * ledger.
 */
#ifndef MEDCHAIN_ACCESS_PROTECTION_H
#define MEDCHAIN_ACCESS_PROTECTION_H

#include "postgres.h"
#include "access/attnum.h"
#include "utils/relcache.h"

/* What becomes of what is not granted, where grants of parts count (grant_part.h). */
typedef enum Ungranted
{
	UNGRANTED_ALL,				/* they don't */
	UNGRANTED_ABSENT,			/* no row for who asks for a column that is not granted */
	UNGRANTED_NULL				/* such a column reads as null */
} Ungranted;

typedef struct Protection
{
	Oid			relation;		/* the table, or a partition of it */
	Oid			root;			/* the table */
	char	   *name;			/* as the ledger calls it */
	AttrNumber	subject;		/* the relation's column with the examinee's identity */
	bool		padded;			/* char(n), whose blanks at the end mean nothing */
	Ungranted	ungranted;
	char	   *part;			/* what parts of it are called in a set of records */
	uint64		reading;		/* another one each time that it is read */
} Protection;

/*
 * NULL if the relation is neither a protected table nor a partition of one: an answer that is kept
 * as well.  Valid until the transaction ends.
 */
extern const Protection *protection_get(Relation relation);

/* The same by its oid. */
extern const Protection *protection_of(Oid relation);

/*
 * What the ledger calls that table: as it was when the table came there, whatever it is called now;
 * NULL: there is no such relation.  Valid until the next call.
 */
extern const char *protection_relation_name(Oid relation);

#endif
