/*
 * map.h: from bytes to a pointer.  Hashed with a key of the process, so that nobody can choose
 * names that meet in one place.
 */
#ifndef MEDCHAIN_RULES_MAP_H
#define MEDCHAIN_RULES_MAP_H

#include "rules/pool.h"

typedef struct Map Map;

/* In that pool, with all that it keeps. */
extern Map *map_new(Pool *pool);

/* What is there for the key; NULL if nothing is. */
extern void *map_get(const Map *map, const void *key, size_t len);

/* Where it is, or is to be put: NULL stands there at first.  Valid until the next call. */
extern void **map_at(Map *map, const void *key, size_t len);

/* That hash, for caches of other forms; not before there is a map, which makes the key. */
extern uint64_t map_hash(const void *key, size_t len);

#endif
