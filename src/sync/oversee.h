/*
 * oversee.h: telling who listens of accesses that no protocol covered.
 */
#ifndef MEDCHAIN_SYNC_OVERSEE_H
#define MEDCHAIN_SYNC_OVERSEE_H

#include "postgres.h"
#include "node/shared.h"

/* Look, if it is time to.  For the keeper, outside of any transaction. */
extern void oversee_look(SharedDatabase *slot);

#endif
