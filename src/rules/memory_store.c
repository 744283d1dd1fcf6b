/*
 * memory_store.c: claims and state in memory, for the offline verifier and tests.
 */
#include <string.h>

#include "rules/memory_internal.h"

MemoryStore *
memory_store_new(bool shared)
{
	Pool	   *pool = pool_new();
	MemoryStore *store = pool_alloc(pool, sizeof(MemoryStore));

	store->pool = pool;
	store->scratch = pool_new();
	store->shared = shared;
	store->by_origin = map_new(pool);
	store->by_about = map_new(pool);
	store->by_subject = map_new(pool);
	store->rows = map_new(pool);
	return store;
}

void
memory_store_free(MemoryStore *store)
{
	if (store == NULL)
		return;
	for (size_t i = 0; i < store->nrows; i++)
		pool_piece_free(store->pool, store->row_list[i]->row);
	for (int i = 0; i < MEMORY_READ; i++)
		pool_free(store->bodies[i].pool);
	pool_free(store->scratch);
	pool_free(store->pool);
}

void
memory_store_compact(MemoryStore *store)
{
	store->compact = true;
}

void
memory_store_entry(MemoryStore *store, const char *payload, size_t len)
{
	store->payload = store->shared || payload == NULL ? payload :
		pool_copy(store->pool, payload, len);
	store->payload_len = len;
}

void
memory_store_texts(MemoryStore *store, MemoryStoreText fetch, void *state)
{
	store->fetch = fetch;
	store->fetch_state = state;
}

/* ----- claims ----- */

static int
memory_order(const char *origin, int64_t seq, const Claim *claim)
{
	int			order = origin == claim->origin ? 0 : strcmp(origin, claim->origin);

	return order != 0 ? order : seq < claim->seq ? -1 : seq > claim->seq;
}

/* Where in a list the first is that does not come before that place. */
static size_t
memory_position(const MemoryList *list, const char *origin, int64_t seq)
{
	size_t		low = 0;
	size_t		high = list->count;

	while (low < high)
	{
		size_t		middle = (low + high) / 2;

		if (memory_order(origin, seq, &list->items[middle]->claim) > 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool
memory_at(const MemoryList *list, size_t position, const char *origin, int64_t seq)
{
	return position < list->count &&
		memory_order(origin, seq, &list->items[position]->claim) == 0;
}

static void
memory_insert(MemoryStore *store, MemoryList *list, MemoryClaim *claim)
{
	size_t		position = memory_position(list, claim->claim.origin, claim->claim.seq);

	list->items = pool_grow(store->pool, list->items, list->count, sizeof(MemoryClaim *));
	memmove(list->items + position + 1, list->items + position,
			(list->count - position) * sizeof(MemoryClaim *));
	list->items[position] = claim;
	list->count++;
}

static MemoryList *
memory_list(MemoryStore *store, Map *map, const void *key, size_t len)
{
	void	  **place = map_at(map, key, len);

	if (*place == NULL)
		*place = pool_alloc(store->pool, sizeof(MemoryList));
	return *place;
}

static void
memory_claim_add(void *state, const Claim *claim)
{
	MemoryStore *store = state;
	MemoryClaim *kept;

	if (memory_at(&store->all, memory_position(&store->all, claim->origin, claim->seq),
				  claim->origin, claim->seq))
		return;
	kept = pool_alloc(store->pool, sizeof(MemoryClaim));
	kept->claim = *claim;
	kept->payload = store->payload;
	kept->payload_len = store->payload_len;
	if (!store->shared)
	{
		kept->claim.origin = pool_text(store->pool, claim->origin);
		kept->claim.about = pool_text(store->pool, claim->about);
		if (store->compact)
		{
			kept->claim.canonical = pool_text(store->pool, json_slice_canonical(store->scratch,
																			  claim->body, NULL));
			pool_reset(store->scratch);
			memset(&kept->claim.body, 0, sizeof(JsonSlice));
		}
		else
			kept->claim.body = json_slice_keep(store->pool, claim->body);
	}
	kept->claim.effective = false;
	kept->claim.reason = "not judged yet";
	memory_insert(store, &store->all, kept);
	memory_insert(store, memory_list(store, store->by_origin, kept->claim.origin,
									 strlen(kept->claim.origin)), kept);
	memory_insert(store, memory_list(store, store->by_about, kept->claim.about,
									 strlen(kept->claim.about)), kept);
	if (kept->claim.has_subject)
		memory_insert(store, memory_list(store, store->by_subject, kept->claim.subject, HASH_LEN),
					  kept);
}

MemoryClaim *
memory_find(MemoryStore *store, const char *origin, int64_t seq)
{
	size_t		position = memory_position(&store->all, origin, seq);

	return memory_at(&store->all, position, origin, seq) ? store->all.items[position] : NULL;
}

static void
memory_claim_judge(void *state, const char *origin, int64_t seq, const char *reason)
{
	MemoryStore *store = state;
	MemoryClaim *claim = memory_find(store, origin, seq);

	if (claim == NULL)
		return;
	claim->claim.effective = reason == NULL;
	claim->claim.reason = store->shared && reason != NULL && claim->claim.reason != NULL &&
		strcmp(reason, claim->claim.reason) == 0 ? claim->claim.reason :
		pool_text(store->pool, reason);
}

static void
memory_remove(MemoryList *list, const MemoryClaim *claim)
{
	size_t		position = memory_position(list, claim->claim.origin, claim->claim.seq);

	if (!memory_at(list, position, claim->claim.origin, claim->claim.seq))
		return;
	list->count--;
	memmove(list->items + position, list->items + position + 1,
			(list->count - position) * sizeof(MemoryClaim *));
}

static void
memory_claims_remove(void *state, const char *origin, int64_t first)
{
	MemoryStore *store = state;
	size_t		position;

	while (position = memory_position(&store->all, origin, first),
		   position < store->all.count &&
		   strcmp(store->all.items[position]->claim.origin, origin) == 0)
	{
		MemoryClaim *claim = store->all.items[position];

		memory_remove(map_get(store->by_origin, origin, strlen(origin)), claim);
		memory_remove(map_get(store->by_about, claim->claim.about, strlen(claim->claim.about)),
					  claim);
		if (claim->claim.has_subject)
			memory_remove(map_get(store->by_subject, claim->claim.subject, HASH_LEN), claim);
		memory_remove(&store->all, claim);
	}
}

static bool
memory_matches(const ClaimQuery *query, const Claim *claim)
{
	return (query->kinds & CLAIM_SET(claim->kind)) != 0 &&
		(!query->effective || claim->effective) &&
		(query->origin == NULL || (claim->seq >= query->first && claim->seq <= query->last &&
								   strcmp(claim->origin, query->origin) == 0)) &&
		(query->about == NULL || strcmp(claim->about, query->about) == 0) &&
		(query->subject == NULL || (claim->has_subject &&
									memcmp(claim->subject, query->subject, HASH_LEN) == 0));
}

/* What a claim says, for as long as the pool is there. */
static JsonSlice
memory_body(MemoryStore *store, Pool *pool, const MemoryClaim *claim)
{
	MemoryBody *read = &store->bodies[(size_t) claim->claim.seq % MEMORY_READ];
	const char *text = claim->claim.canonical;

	if (read->claim != claim)
	{
		if (read->pool == NULL)
			read->pool = pool_new();
		read->claim = NULL;
		pool_reset(read->pool);
		read->body = json_slice_read(read->pool, text, strlen(text), JSON_TEXT_UNIQUE);
		read->claim = claim;
	}
	return json_slice_keep(pool, read->body);
}

static bool
memory_claim_next(void *state, const ClaimQuery *query, const Claim *after, Pool *pool,
				  Claim *claim)
{
	MemoryStore *store = state;
	const MemoryList *list = &store->all;
	size_t		position = 0;

	if (query->about != NULL)
		list = map_get(store->by_about, query->about, strlen(query->about));
	else if (query->subject != NULL)
		list = map_get(store->by_subject, query->subject, HASH_LEN);
	else if (query->origin != NULL)
		list = map_get(store->by_origin, query->origin, strlen(query->origin));
	if (list == NULL)
		return false;
	if (query->origin != NULL)
		position = memory_position(list, query->origin, query->first);
	if (after != NULL)
	{
		size_t		behind = memory_position(list, after->origin, after->seq);

		behind += memory_at(list, behind, after->origin, after->seq);
		if (behind > position)
			position = behind;
	}
	for (; position < list->count; position++)
	{
		const Claim *found = &list->items[position]->claim;

		if (query->origin != NULL && strcmp(found->origin, query->origin) != 0)
			return false;
		if (memory_matches(query, found))
		{
			*claim = *found;
			if (store->compact)
				claim->body = memory_body(store, pool, list->items[position]);
			return true;
		}
	}
	return false;
}

static const char *
memory_entry_text(void *state, Pool *pool, const char *origin, int64_t seq, size_t *len)
{
	MemoryStore *store = state;
	MemoryClaim *claim = memory_find(store, origin, seq);

	if (claim != NULL && claim->payload == NULL && store->fetch != NULL)
		return store->fetch(store->fetch_state, pool, origin, seq, len);
	*len = claim != NULL ? claim->payload_len : 0;
	return claim != NULL ? claim->payload : NULL;
}

const RulesStore memory_store = {
	.claim_add = memory_claim_add,
	.claim_judge = memory_claim_judge,
	.claims_remove = memory_claims_remove,
	.claim_next = memory_claim_next,
	.entry_text = memory_entry_text,
	.row_put = memory_row_put,
	.row_remove = memory_row_remove,
	.rows_trim = memory_rows_trim
};
