/*
 * cursor.h: open cursors and grants that are withdrawn meanwhile.
 */
#ifndef MEDCHAIN_ACCESS_CURSOR_H
#define MEDCHAIN_ACCESS_CURSOR_H

#include "postgres.h"
#include "executor/execdesc.h"

/*
 * At the start of an executor run.  partial: more may be fetched from this query
 * later.  ERROR (insufficient_privilege) if the query holds back rows that it
 * read under grants which have been withdrawn, or have run out, since.
 */
extern void cursor_check(QueryDesc *query, bool partial);

#endif
