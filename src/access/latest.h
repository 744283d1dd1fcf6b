/*
 * latest.h: read medchain's own tables as they are now, whatever snapshot the
 * transaction has.
 */
#ifndef MEDCHAIN_ACCESS_LATEST_H
#define MEDCHAIN_ACCESS_LATEST_H

#include "postgres.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "nodes/parsenodes.h"

#define LATEST_MAX_ARGUMENTS 4

/*
 * Called for each row; slot and current memory context are gone afterwards.  False: no more of
 * them.
 */
typedef bool (*LatestRow) (TupleTableSlot *slot, void *arg);

/*
 * Run a SELECT in a trusted scope over the newest committed data, and what this transaction did
 * itself. plan: static in the caller; kept for the session.  options: CURSOR_OPT_GENERIC_PLAN for
 * lookups that are repeated, CURSOR_OPT_CUSTOM_PLAN where there may be few rows or very many.
 * by_index: whatever statistics say, so that it costs what these rows cost.  No argument is null.
 */
extern void latest_query(SPIPlanPtr *plan, int options, bool by_index, const char *sql, int nargs,
						 Oid *types, Datum *values, LatestRow row, void *arg);

#endif
