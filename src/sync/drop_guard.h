/*
 * drop_guard.h: DROP EXTENSION medchain only once nothing of it is left outside of it.
 */
#ifndef MEDCHAIN_SYNC_DROP_GUARD_H
#define MEDCHAIN_SYNC_DROP_GUARD_H

#include "postgres.h"

/* Chain our utility hook to those of others; from _PG_init. */
extern void drop_guard_install(void);

#endif
