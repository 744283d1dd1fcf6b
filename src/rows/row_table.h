/*
 * row_table.h: what medchain.row_table and its companions say about a table whose rows are on the
 * ledger.
 *
 * Asked for with every row that is written, so the answer is kept for the session until the table,
 * or what is said about it, changes.
 */
#ifndef MEDCHAIN_ROWS_ROW_TABLE_H
#define MEDCHAIN_ROWS_ROW_TABLE_H

#include "postgres.h"
#include "access/attnum.h"
#include "fmgr.h"
#include "utils/relcache.h"

#include "core/hash.h"

/* What the text of the columns' types depends on. */
typedef enum RowSettingsKind
{
	ROW_SETTINGS_NONE,			/* nothing: numbers, text, uuid, ... */
	ROW_SETTINGS_FORMAT,		/* time zone, date style and the like */
	ROW_SETTINGS_ALL			/* whatever it be, search_path included */
} RowSettingsKind;

/* How a value becomes text; for most types it is their output function that knows. */
typedef enum RowTextKind
{
	ROW_TEXT_FUNCTION,
	ROW_TEXT_INT2,
	ROW_TEXT_INT4,
	ROW_TEXT_INT8,
	ROW_TEXT_DATE,
	ROW_TEXT_TIMESTAMP,
	ROW_TEXT_TIMESTAMPTZ,
	ROW_TEXT_ITSELF				/* text and what is stored as text is */
} RowTextKind;

typedef struct RowColumn
{
	AttrNumber	attribute;
	char	   *name;			/* as the ledger calls it, also after it was renamed */
	char	   *label;			/* in the canonical text: "<bytes of name>:<name>" */
	int			label_len;
	int			since;			/* version of the table that first had it */
	bool		is_key;
	bool		is_virtual;		/* computed when it is read: it says nothing of its own */
	RowTextKind text;
	FmgrInfo	output;
} RowColumn;

typedef struct RowTable
{
	Oid			relation;		/* whose attribute numbers these are: the table, or a partition of
								 * it */
	Oid			root;			/* the table */
	char	   *name;			/* as the ledger calls it */
	bool		keyless;		/* no column is: rows are named by all that they say */
	char	   *id_prefix;		/* what stands before the key in that which a row's id is made of */
	int			id_prefix_len;
	bool		append_only;
	AttrNumber	subject;		/* column with the examinee's identity; 0: none */
	bool		subject_padded; /* char(n), whose blanks at the end mean nothing */
	int			version;		/* of the set of columns */
	int			ncolumns;
	RowColumn  *columns;		/* by the bytes of their names */
	RowSettingsKind settings;
	HashMac    *salts;			/* makes the salts of this table's commitments */
	uint64		reading;		/* another one each time that it is read */
} RowTable;

/* A relation that a caller named by its oid; ERROR if there is none. */
extern Relation row_table_open(Oid oid);

/* The partitioned table at the top, or the relation itself. */
extern Oid	row_table_root(Oid relation);

/*
 * NULL if the relation is neither a ledger table nor a partition of one, or this database has no
 * ledger: an answer that is kept as well.  Valid until the transaction ends.
 */
extern const RowTable *row_table_get(Relation relation);

/*
 * The same for rows of a relation that has the columns of the ledger table root; ERROR if root is
 * none.
 */
extern const RowTable *row_table_as(Relation relation, Oid root);

/*
 * What the ids of rows depend on: how the ledger calls the table, and its columns; name becomes the
 * table's.
 */
extern void row_table_call(RowTable *table, char *name);
extern void row_table_call_column(RowColumn *column, const char *name, bool is_key);

/*
 * For SQL texts: the relation's name, and a whole row of it; the alias alone would be a column,
 * where there is one of that name.
 */
extern const char *row_table_sql_name(Relation relation);
extern const char *row_table_whole(const char *alias, Relation relation);

#endif
