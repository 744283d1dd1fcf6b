/*
 * drop_guard.h: the ledger goes by DROP EXTENSION medchain, and by nothing else.
 */
#ifndef MEDCHAIN_SYNC_DROP_GUARD_H
#define MEDCHAIN_SYNC_DROP_GUARD_H

#include "postgres.h"

/* Chain our hooks (utility statements, access to objects) to those of others; from _PG_init. */
extern void drop_guard_install(void);

#endif
