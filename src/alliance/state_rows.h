/*
 * state_rows.h: rows of the state's tables, as the rules write them.
 */
#ifndef MEDCHAIN_ALLIANCE_STATE_ROWS_H
#define MEDCHAIN_ALLIANCE_STATE_ROWS_H

#include "postgres.h"

#include "access/htup.h"
#include "access/tupdesc.h"

#include "rules/state.h"

/* The row is visit's for the call. */
typedef void (*StateRowsVisit) (void *state, const StateRow *row);

/*
 * Every row of a table for which that condition holds (NULL: all), in no order, by the active
 * snapshot.  Needs a trusted scope.
 */
extern void state_rows_each(StateTable table, const char *condition, StateRowsVisit visit,
							void *state);

/* The columns of a table for a SELECT, each behind that prefix; palloc'd. */
extern char *state_rows_columns(StateTable table, const char *prefix);

/* The row that begins with them; its values are in the pool. */
extern void state_rows_read(Pool *pool, StateTable table, HeapTuple tuple, TupleDesc desc,
							StateRow *row);

/* The names of the types of a table's columns, palloc'd. */
extern char **state_rows_types(StateTable table);

#endif
