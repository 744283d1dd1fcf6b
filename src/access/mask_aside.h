/*
 * mask_aside.h: which conditions of a query are of row security.
 */
#ifndef MEDCHAIN_ACCESS_MASK_ASIDE_H
#define MEDCHAIN_ACCESS_MASK_ASIDE_H

#include "postgres.h"
#include "nodes/parsenodes.h"

/*
 * Take the conditions of row security out of a query; the result has those of each table of its
 * range table, *options those of what is written.  masked: the table whose columns are about to be
 * masked.
 */
extern List *mask_aside(Query * query, int masked, List **options);

#endif
