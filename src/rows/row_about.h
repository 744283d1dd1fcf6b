/*
 * row_about.h: verifying what is stored of the subjects of a set's items.
 *
 * All of it in a trusted scope, by the active snapshot.
 */
#ifndef MEDCHAIN_ROWS_ROW_ABOUT_H
#define MEDCHAIN_ROWS_ROW_ABOUT_H

#include "postgres.h"
#include "utils/uuid.h"

#include "ledger/hooks.h"
#include "rows/row_entry.h"
#include "rows/row_set_part.h"

typedef struct RowAbout RowAbout;

extern RowAbout *row_about_begin(const pg_uuid_t *entry, const RowSetSays *says);

/* Part number, the next one, whose items were read. */
extern void row_about_part(RowAbout *about, int number, const RowSetPart *part,
						   LedgerReport report, void *state);

/* After the last part: are they those that the entry says? */
extern void row_about_end(const RowAbout *about, LedgerReport report, void *state);
extern void row_about_free(RowAbout *about);

#endif
