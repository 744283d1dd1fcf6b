/*
 * keycache.c: a small per-process cache of parsed public keys.
 */
#include <string.h>

#include "core/hash.h"
#include "core/keycache.h"

typedef struct KeycacheSlot
{
	uint8_t		digest[HASH_LEN];	/* SHA-256 of the PEM text: a name that nobody can make another
									 * key answer to */
	Key		   *key;			/* NULL: empty */
	uint64_t	used;
} KeycacheSlot;

static KeycacheSlot slots[KEYCACHE_SIZE];
static uint64_t clock_hand = 0;

const Key *
keycache_get(const char *pem, size_t len, CoreError *error)
{
	uint8_t		digest[HASH_LEN];
	KeycacheSlot *oldest = &slots[0];
	Key		   *key;

	if (!hash_sha256(pem, len, digest))
	{
		error_set(error, CORE_INTERNAL, "could not compute SHA-256");
		return NULL;
	}
	for (int i = 0; i < KEYCACHE_SIZE; i++)
	{
		KeycacheSlot *slot = &slots[i];

		if (slot->key != NULL && hash_equal(slot->digest, digest))
		{
			slot->used = ++clock_hand;
			return slot->key;
		}
		if (slot->used < oldest->used)
			oldest = slot;
	}

	key = key_from_pem(pem, len, error);
	if (key == NULL)
		return NULL;
	if (oldest->key != NULL)
		key_free(oldest->key);
	memcpy(oldest->digest, digest, HASH_LEN);
	oldest->key = key;
	oldest->used = ++clock_hand;
	return key;
}
