/*
 * rules_memory.h: memory of the rules inside a server: all of it goes at once, with what belongs to
 * libraries, when an error has left the rules in the middle of something.
 */
#ifndef MEDCHAIN_ALLIANCE_RULES_MEMORY_H
#define MEDCHAIN_ALLIANCE_RULES_MEMORY_H

#include "postgres.h"

#include "rules/pool.h"

/* A context; pools that are made from now on are in it.  Deleting it frees them. */
extern MemoryContext rules_memory_new(MemoryContext parent, const char *name);

/* Pools that are made from now on are in that one again. */
extern void rules_memory_use(MemoryContext context);

#endif
