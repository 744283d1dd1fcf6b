/*
 * yield.h: the workers' place is nobody's way.
 */
#ifndef MEDCHAIN_NODE_YIELD_H
#define MEDCHAIN_NODE_YIELD_H

#include "postgres.h"

/*
 * Install the hook that takes the workers out of a database for the commands that want it for
 * themselves.
 */
extern void yield_install(void);

#endif
