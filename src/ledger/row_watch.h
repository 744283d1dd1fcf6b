/*
 * row_watch.h: DDL on ledger tables that no event trigger tells of.
 */
#ifndef MEDCHAIN_LEDGER_ROW_WATCH_H
#define MEDCHAIN_LEDGER_ROW_WATCH_H

/* From _PG_init, while preloading: chain our utility hook to those of others. */
extern void watch_install(void);

#endif
