/*
 * table.h: texts in aligned columns, for people at a terminal.
 */
#ifndef MEDCHAIN_BIN_TABLE_H
#define MEDCHAIN_BIN_TABLE_H

#include "rules/pool.h"

#define TABLE_COLUMNS_MAX 9

typedef struct Table
{
	Pool	   *pool;			/* until it is written */
	int			ncolumns;
	const char **cells;			/* row by row, the headers first */
	size_t		ncells;
	size_t		nrows;
	size_t		widths[TABLE_COLUMNS_MAX];
} Table;

/* headers ends with NULL. */
extern void table_begin(Table *table, const char *const *headers);

/* A row: as many cells, each of them copied; NULL: an empty one. */
extern void table_add(Table *table, const char *const *cells);

/* Write it to standard output, unless it has no rows, and free it. */
extern void table_end(Table *table);

/*
 * A text as it may be shown: without what moves a terminal's cursor, changes its state, or hides in
 * what order the text is.
 */
extern const char *table_text(Pool *pool, const char *text);

#endif
