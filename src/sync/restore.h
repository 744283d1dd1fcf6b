/*
 * restore.h: what a dump brings, and must not bring.
 */
#ifndef MEDCHAIN_SYNC_RESTORE_H
#define MEDCHAIN_SYNC_RESTORE_H

extern void restore_install(void);	/* from _PG_init, while preloading */

#endif
