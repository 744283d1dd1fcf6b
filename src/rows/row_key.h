/*
 * row_key.h: which row of a ledger table a caller means.
 */
#ifndef MEDCHAIN_ROWS_ROW_KEY_H
#define MEDCHAIN_ROWS_ROW_KEY_H

#include "postgres.h"
#include "access/attnum.h"
#include "fmgr.h"
#include "utils/relcache.h"

#include "core/hash.h"
#include "rows/row_table.h"

/* The forms of a call's second argument, key. */
typedef enum RowKeyForm
{
	ROW_KEY_TEXT,				/* text: the one value, or a JSON object of the columns */
	ROW_KEY_VALUE,				/* anything else: its text; jsonb: an object; a row of the table:
								 * that row */
	ROW_KEY_TEXTS				/* text[]: in the order of the columns' names on the ledger */
} RowKeyForm;

typedef struct RowKey
{
	Relation	relation;
	const RowTable *table;
	int			count;
	AttrNumber *attributes;		/* of the relation, in the order of their names on the ledger; all
								 * of them where there is no key */
	Datum	   *values;			/* of these attributes' types, beneath domains */
	bool	   *nulls;			/* of a key none is */
} RowKey;

/*
 * Open the relation that is the call's first argument; ERROR if it is none, or its rows are not
 * on the ledger.
 */
extern void row_key_begin(RowKey *key, FunctionCallInfo fcinfo);
extern void row_key_end(RowKey *key);

/* May the caller read all columns? */
extern bool row_key_may_select(const RowKey *key);

/*
 * Read the values, in any spelling that their types read; ERROR (as the type has it) for others.
 * That may run code of whoever made a type, as the constraint of a domain within it: it runs as the
 * caller, with the caller's search path and settings, as it would if the caller put the values into
 * the table.  So this is called before anything is done with other rights, and by functions that
 * have no SET clauses.
 */
extern void row_key_read(RowKey *key, FunctionCallInfo fcinfo, RowKeyForm form);

/* What stands on the ledger for the row with this key, which need not exist (any more). */
extern void row_key_id(const RowKey *key, uint8_t id[HASH_LEN]);

#endif
