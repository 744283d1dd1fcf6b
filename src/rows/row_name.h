/*
 * row_name.h: is a text that was kept to name a row for people the name of that row?
 */
#ifndef MEDCHAIN_ROWS_ROW_NAME_H
#define MEDCHAIN_ROWS_ROW_NAME_H

#include "postgres.h"

#include "core/hash.h"

/* How the rows of a ledger table are called. */
typedef struct RowNames
{
	const char *ledger_name;	/* by one of these it was asked for */
	Oid			relation;
	bool		known;			/* something is known of it */
	const struct RowTable *table;	/* its key's columns alone; NULL: it has no key, and its rows
									 * no names */
	int64		start;			/* behind this entry of our own, each row that is new has a name */
} RowNames;

typedef enum RowNameFit
{
	ROW_NAME_FITS,
	ROW_NAME_OTHER,
	ROW_NAME_UNSURE				/* there are too many ways to read it */
} RowNameFit;

/*
 * By what the ledger calls the table; palloc'd.  In a trusted scope, by the active snapshot.
 */
extern RowNames *row_names_of(const char *ledger_name);

/* ERROR if there is no key for pseudonyms. */
extern RowNameFit row_name_fits(const RowNames *names, const uint8_t id[HASH_LEN],
								const char *name, size_t len);

#endif
