/*
 * quarantine.h: what peers sent and was refused, kept as evidence.
 */
#ifndef MEDCHAIN_LEDGER_QUARANTINE_H
#define MEDCHAIN_LEDGER_QUARANTINE_H

#include "postgres.h"

typedef struct Refused
{
	const char *source;
	const char *origin;
	int64		height;			/* -1: of no block */
	const char *reason;
	const char *detail;			/* or NULL */
	const char *note;			/* or NULL */
	bool		is_signed;		/* the note has a valid signature of the chain's key */
	int64		first;			/* with as much as there is room for of the source's held entries */
	int64		last;			/* first .. last - 1 */
} Refused;

/*
 * Keep it, unless it is there already or too much of that source is: then it can be had again from
 * where it came.  What is signed by a chain's key, and so proves something, has room of its own.
 * The held entries stay: they may belong to the true block, which may still come.  Needs a trusted
 * scope.
 */
extern void quarantine_add(const Refused *refused);

#endif
