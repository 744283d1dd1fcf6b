/*
 * state_rows.h: rows of the state's tables, as the rules write them.
 */
#ifndef MEDCHAIN_ALLIANCE_STATE_ROWS_H
#define MEDCHAIN_ALLIANCE_STATE_ROWS_H

#include "postgres.h"

#include "rules/state.h"

/* The row is visit's for the call. */
typedef void (*StateRowsVisit) (void *state, const StateRow *row);

/* Every row of a table, in no order, by the active snapshot.  Needs a trusted scope. */
extern void state_rows_each(StateTable table, StateRowsVisit visit, void *state);

/* The names of the types of a table's columns, palloc'd. */
extern char **state_rows_types(StateTable table);

#endif
