/*
 * read_scan.h: which rows of protected tables pass the scans of a query.
 */
#ifndef MEDCHAIN_ACCESS_READ_SCAN_H
#define MEDCHAIN_ACCESS_READ_SCAN_H

#include "postgres.h"
#include "executor/execdesc.h"

#include "access/read_entry.h"

/* A protected table in a query. */
typedef struct ReadTable
{
	Oid			root;
	char	   *name;			/* as the ledger calls it */
	bool		is_open;		/* row security does not apply */
	bool		written;		/* the query changes it */
	bool		recorded;		/* some of it has been */
	ReadSet    *set;
} ReadTable;

/* A query that reads protected tables; lives in its executor context. */
typedef struct ReadQuery
{
	struct ReadQuery *next;		/* started before */
	QueryDesc  *query;
	List	   *tables;			/* of ReadTable */
	ReadContext context;
	bool		has_context;
	bool		recording;		/* somebody is about to */
	List	   *nodes;			/* of PlanState: those that are watched */
	List	   *again;			/* ... that may run subqueries once more: read_scan_again() */
	void		(*full) (struct ReadQuery *read);	/* no room for more subjects: record them */
	MemoryContextCallback ended;
} ReadQuery;

/* Are protected tables in its range table?  Cheap where none of its tables is on the ledger. */
extern bool read_scan_concerned(const PlannedStmt *statement);

/* The column with the examinee's identity, if this relation is protected; 0: it is not. */
extern AttrNumber read_scan_subject(Oid oid);

/* Is this relation, by itself? */
extern bool read_scan_protected(Oid oid);

/* Watch the scans of the query, whose executor has been started. */
extern void read_scan_watch(ReadQuery *read);

/* Watch what runs for rows that others have changed; from the first run on, as this may read. */
extern void read_scan_again(ReadQuery *read);

/*
 * Count in the rows that the scans of the query are at: what computes the result, or the filter,
 * may be saying something about them.
 */
extern void read_scan_midway(const ReadQuery *read);

/* The executor of the query has come to its end. */
extern void read_scan_forget(ReadQuery *read);

#endif
