/*
 * row_name.c: is a text that was kept to name a row for people the name of that row?
 *
 * Names of rows that are gone stand in tables of ours, and whoever edits them could have another
 * row accused.  What a row is called leads to its id: the ledger has that.
 */
#include "postgres.h"

#include "access/table.h"
#include "fmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#include "compat.h"
#include "core/hash.h"
#include "rows/row_commitment.h"
#include "rows/row_table.h"

#define NAME_TRIES 1000			/* ways to read one: values may look like what is between them */

/* A name that is being read: "a=1, b=2". */
typedef struct RowName
{
	const RowTable *table;
	const uint8_t *id;
	const char *end;
	RowText    *values;			/* of the table's columns, those of the key */
	int			tries;
} RowName;

/* The key's column from this one on; ncolumns: there is none. */
static int
name_key_column(const RowTable *table, int column)
{
	while (column < table->ncolumns && !table->columns[column].is_key)
		column++;
	return column;
}

/* What begins a column in a name, if it stands there; behind it. */
static const char *
name_skip(const RowName *name, const char *at, bool is_first, int column)
{
	const char *label = name->table->columns[column].name;
	size_t		len = strlen(label);

	if (!is_first)
	{
		if (name->end - at < 2 || memcmp(at, ", ", 2) != 0)
			return NULL;
		at += 2;
	}
	if ((size_t) (name->end - at) <= len || memcmp(at, label, len) != 0 || at[len] != '=')
		return NULL;
	return at + len + 1;
}

/* Is there a way to read the rest, from the value of this column on, that leads to the id? */
static bool
name_matches(RowName *name, int column, const char *at)
{
	int			next = name_key_column(name->table, column + 1);
	uint8_t		id[HASH_LEN];

	name->values[column].data = at;
	if (next == name->table->ncolumns)
	{
		name->values[column].len = (size_t) (name->end - at);
		row_id_of_texts(name->table, name->values, id);
		return hash_equal(id, name->id);
	}
	for (const char *stop = at; stop < name->end; stop++)
	{
		const char *behind = name_skip(name, stop, false, next);

		if (behind == NULL)
			continue;
		name->values[column].len = (size_t) (stop - at);
		if (name_matches(name, next, behind))
			return true;
		if (++name->tries > NAME_TRIES)
			return false;
	}
	return false;
}

PG_FUNCTION_INFO_V1(medchain_is_row_name);

/*
 * is_row_name(relation regclass, row_id bytea, name text) -> boolean; null: it could not be told,
 * as there are too many ways to read it, or as somebody works on the table whom nobody waits for.
 */
Datum
medchain_is_row_name(PG_FUNCTION_ARGS)
{
	Relation	relation;
	bytea	   *id = PG_GETARG_BYTEA_PP(1);
	text	   *text_of = PG_GETARG_TEXT_PP(2);
	RowName		name = {
		.id = (const uint8_t *) VARDATA_ANY(id),
		.end = VARDATA_ANY(text_of) + VARSIZE_ANY_EXHDR(text_of)
	};
	bool		is_name = false;

	if (!ConditionalLockRelationOid(PG_GETARG_OID(0), AccessShareLock))
		PG_RETURN_NULL();
	relation = table_open(PG_GETARG_OID(0), NoLock);
	name.table = row_table_get(relation);
	if (name.table != NULL && !name.table->keyless && VARSIZE_ANY_EXHDR(id) == HASH_LEN)
	{
		int			first = name_key_column(name.table, 0);
		const char *at = first == name.table->ncolumns ? NULL :
		name_skip(&name, VARDATA_ANY(text_of), true, first);

		name.values = palloc0(sizeof(RowText) * (Size) name.table->ncolumns);
		is_name = at != NULL && name_matches(&name, first, at);
		pfree(name.values);
	}
	table_close(relation, AccessShareLock);
	if (!is_name && name.tries > NAME_TRIES)
		PG_RETURN_NULL();
	PG_RETURN_BOOL(is_name);
}
