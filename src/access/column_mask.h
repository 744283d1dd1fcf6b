/*
 * column_mask.h: columns that are not granted are not seen by a query.
 */
#ifndef MEDCHAIN_ACCESS_COLUMN_MASK_H
#define MEDCHAIN_ACCESS_COLUMN_MASK_H

#include "postgres.h"

/* This session has put the question for columns into a query: from then on they are looked for. */
extern bool column_mask_needed;

extern void column_mask_install(void);

#endif
