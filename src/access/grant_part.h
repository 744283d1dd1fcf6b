/*
 * grant_part.h: single records and columns that the current member may read or change, where it has
 * no grant of all records of the examinee in a table.
 */
#ifndef MEDCHAIN_ACCESS_GRANT_PART_H
#define MEDCHAIN_ACCESS_GRANT_PART_H

#include "postgres.h"
#include "access/htup.h"

#include "access/protection.h"

typedef struct PartQuestion
{
	const char *identity;		/* whose record it is */
	size_t		len;
	uint8		operation;
	const Protection *table;
	HeapTupleHeader row;		/* of the table, or of a partition of it */
	bool		whole;			/* a part of the row's columns is not enough */
	const char *const *columns; /* all of these, as the ledger calls them, ... */
	int			ncolumns;		/* ... or, with none, any */
} PartQuestion;

/* By the clock of the statement, and for the purpose that the session states. */
extern bool grant_part_allows(const PartQuestion *question);

#endif
