/*
 * lookup.h: reading medchain's own small tables as PostgreSQL reads its catalogs: the newest
 * committed rows and those of this transaction, and no lock is kept.
 *
 * For what is asked with commands and statements that have nothing to do with medchain: a lock of
 * theirs on a table of ours, kept until they commit, would be in the way of whoever changes that.
 */
#ifndef MEDCHAIN_NODE_LOOKUP_H
#define MEDCHAIN_NODE_LOOKUP_H

#include "postgres.h"

#include "access/genam.h"
#include "access/htup.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

typedef struct Lookup
{
	Relation	table;
	Relation	index;			/* of lookup_start(); NULL: none */
	Snapshot	snapshot;		/* by which rows are read; NULL: the newest */
	SysScanDesc scan;			/* NULL: none under way */
	HeapTuple	row;			/* found last; until the next call */
} Lookup;

/* Open a table of the schema medchain; false if there is none, as in CREATE EXTENSION. */
extern bool lookup_open(Lookup *lookup, const char *table);

/* Find the row whose primary key, the first column, is that oid. */
extern bool lookup_find(Lookup *lookup, Oid key);

/*
 * From here on lookup_next() gives the rows whose values of an index's first columns are these; of
 * the primary key without a name.  Several tables may be read by one snapshot (lookup_snapshot()).
 */
extern void lookup_start(Lookup *lookup, const char *index, int nkeys, const Datum *keys);

/* The newest, for Lookup.snapshot; to be unregistered. */
extern Snapshot lookup_snapshot(void);

/* One row after the other, in no order; false after the last. */
extern bool lookup_next(Lookup *lookup);

/* A value of the row found last, not detoasted; ERROR if there is no such column. */
extern Datum lookup_value(const Lookup *lookup, const char *column, bool *isnull);

/* The same of a text, palloc'd; NULL: null. */
extern char *lookup_text(const Lookup *lookup, const char *column);

extern void lookup_close(Lookup *lookup);

/* What was found, as our SQL takes it: oid[]. */
extern Datum lookup_oid_array(const Oid *oids, int count);

#endif
