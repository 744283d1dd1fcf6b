/*
 * row_statement.h: noticing which statements that change rows are at work, and where they end.
 */
#ifndef MEDCHAIN_ROWS_ROW_STATEMENT_H
#define MEDCHAIN_ROWS_ROW_STATEMENT_H

/* From _PG_init, while preloading. */
extern void row_statement_install(void);

#endif
