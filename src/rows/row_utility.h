/*
 * row_utility.h: DDL on ledger tables that no event trigger tells of, or too late.
 */
#ifndef MEDCHAIN_ROWS_ROW_UTILITY_H
#define MEDCHAIN_ROWS_ROW_UTILITY_H

/* From _PG_init, while preloading: chain our utility hook to those of others. */
extern void utility_install(void);

#endif
