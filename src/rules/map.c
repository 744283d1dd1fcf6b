/*
 * map.c: from bytes to a pointer.
 */
#include <string.h>

#include <openssl/rand.h>

#include "rules/map.h"

#define MAP_FIRST 16			/* places; a power of two */

typedef struct MapItem
{
	struct MapItem *next;
	uint64_t	hash;
	size_t		len;
	const void *key;
	void	   *value;
} MapItem;

struct Map
{
	Pool	   *pool;
	MapItem   **places;
	size_t		size;
	size_t		count;
};

static uint64_t map_secret[2];

static uint64_t
map_mix(uint64_t a, uint64_t b)
{
	__uint128_t product = (__uint128_t) a * b;

	return (uint64_t) product ^ (uint64_t) (product >> 64);
}

/* As wyhash does it: multiplications with a secret. */
uint64_t
map_hash(const void *key, size_t len)
{
	const uint8_t *at = key;
	uint64_t	hash = map_secret[0] ^ len;
	size_t		left = len;

	while (left > 0)
	{
		uint64_t	word[2] = {0, 0};
		size_t		step = left < sizeof(word) ? left : sizeof(word);

		memcpy(word, at, step);
		hash = map_mix(word[0] ^ map_secret[1], word[1] ^ hash);
		at += step;
		left -= step;
	}
	return map_mix(hash ^ map_secret[1], map_secret[0] | 1);
}

Map *
map_new(Pool *pool)
{
	Map		   *map = pool_alloc(pool, sizeof(Map));

	if (map_secret[0] == 0 && RAND_bytes((unsigned char *) map_secret, sizeof(map_secret)) != 1)
		pool_fail();
	map->pool = pool;
	map->size = MAP_FIRST;
	map->places = pool_alloc(pool, map->size * sizeof(MapItem *));
	return map;
}

static MapItem *
map_find(const Map *map, uint64_t hash, const void *key, size_t len)
{
	MapItem    *item = map->places[hash & (map->size - 1)];

	while (item != NULL && (item->hash != hash || item->len != len ||
							memcmp(item->key, key, len) != 0))
		item = item->next;
	return item;
}

void *
map_get(const Map *map, const void *key, size_t len)
{
	MapItem    *item = map_find(map, map_hash(key, len), key, len);

	return item != NULL ? item->value : NULL;
}

static void
map_enlarge(Map *map)
{
	size_t		size = 4 * map->size;
	MapItem   **places = pool_alloc(map->pool, size * sizeof(MapItem *));

	for (size_t i = 0; i < map->size; i++)
		while (map->places[i] != NULL)
		{
			MapItem    *item = map->places[i];

			map->places[i] = item->next;
			item->next = places[item->hash & (size - 1)];
			places[item->hash & (size - 1)] = item;
		}
	map->places = places;
	map->size = size;
}

void	  **
map_at(Map *map, const void *key, size_t len)
{
	uint64_t	hash = map_hash(key, len);
	MapItem    *item = map_find(map, hash, key, len);

	if (item != NULL)
		return &item->value;
	if (map->count == map->size)
		map_enlarge(map);
	item = pool_alloc(map->pool, sizeof(MapItem));
	item->hash = hash;
	item->len = len;
	item->key = pool_copy(map->pool, key, len);
	item->next = map->places[hash & (map->size - 1)];
	map->places[hash & (map->size - 1)] = item;
	map->count++;
	return &item->value;
}
