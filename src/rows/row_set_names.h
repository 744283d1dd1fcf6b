/*
 * row_set_names.h: verifying what is kept of the names of a set's rows, for people.
 *
 * All of it in a trusted scope, by the active snapshot.
 */
#ifndef MEDCHAIN_ROWS_ROW_SET_NAMES_H
#define MEDCHAIN_ROWS_ROW_SET_NAMES_H

#include "postgres.h"

#include "core/row_item.h"
#include "ledger/hooks.h"
#include "rows/row_name.h"

/* Those of a set. */
typedef struct RowSetNames
{
	const RowNames *names;		/* how rows of its table are called */
	bool		complete;		/* each row that is new has one */
} RowSetNames;

/*
 * Those of entry seq of our own; false: nothing can be said of them.  *kept: NULL at first, and
 * then a list of the tables so far, until the transaction ends.
 */
extern bool row_set_names(const char *relation, int64 seq, void **kept, RowSetNames *names);

/* Those of a part. */
typedef struct RowPartNames RowPartNames;

/* NULL: nothing is said of them.  keys: as they are stored; NULL: there are none. */
extern RowPartNames *row_part_names_begin(const RowSetNames *set, const bytea *keys, int nitems);
extern void row_part_names_item(RowPartNames *names, int place, const RowItem *item);

/* After the last item; first: place of the first one in the set. */
extern void row_part_names_end(const RowPartNames *names, int64 first, LedgerReport report,
							   void *state);

#endif
