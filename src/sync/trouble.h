/*
 * trouble.h: telling who listens what goes wrong at this node.
 */
#ifndef MEDCHAIN_SYNC_TROUBLE_H
#define MEDCHAIN_SYNC_TROUBLE_H

#include "postgres.h"
#include "node/shared.h"

/* Look, if it is time to.  For the keeper, outside of any transaction. */
extern void trouble_look(SharedDatabase *slot);

#endif
