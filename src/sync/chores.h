/*
 * chores.h: what a node's keeper does now and then beside the chains: held entries that nobody
 * needs, dead rows of medchain.pending, certificates that will end.
 */
#ifndef MEDCHAIN_SYNC_CHORES_H
#define MEDCHAIN_SYNC_CHORES_H

#include "node/shared.h"

/* Those whose time has come, each in a transaction of its own; outside of any. */
extern void chores_do(SharedDatabase *slot);

#endif
