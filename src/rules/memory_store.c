/*
 * memory_store.c: claims and state in memory, for the offline verifier and tests.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/map.h"
#include "rules/memory_store.h"

typedef struct MemoryClaim
{
	Claim		claim;
	const char *payload;
	size_t		payload_len;
} MemoryClaim;

/* Claims in the order of (origin, seq). */
typedef struct MemoryList
{
	MemoryClaim **items;
	size_t		count;
} MemoryList;

typedef struct MemoryRow
{
	StateRow   *row;			/* one piece of memory with its values; NULL: there is none */
	const char *key;
	size_t		key_len;
} MemoryRow;

struct MemoryStore
{
	Pool	   *pool;
	Pool	   *scratch;
	bool		shared;
	MemoryList	all;			/* in its order once memory_all() was called */
	bool		all_ordered;
	Map		   *by_origin;
	Map		   *by_about;
	Map		   *by_subject;
	Map		   *rows;
	MemoryRow **row_list;
	size_t		nrows;
	const char *payload;		/* of the claim that comes next */
	size_t		payload_len;
};

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
		free(store->row_list[i]->row);
	pool_free(store->scratch);
	pool_free(store->pool);
}

void
memory_store_entry(MemoryStore *store, const char *payload, size_t len)
{
	store->payload = store->shared ? payload : pool_copy(store->pool, payload, len);
	store->payload_len = len;
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

static MemoryClaim *
memory_find(MemoryStore *store, const char *origin, int64_t seq)
{
	const MemoryList *list = map_get(store->by_origin, origin, strlen(origin));
	size_t		position = list != NULL ? memory_position(list, origin, seq) : 0;

	return list != NULL && memory_at(list, position, origin, seq) ? list->items[position] : NULL;
}

static int
memory_claim_order(const void *a, const void *b)
{
	const Claim *x = &(*(MemoryClaim *const *) a)->claim;

	return memory_order(x->origin, x->seq, &(*(MemoryClaim *const *) b)->claim);
}

/*
 * All claims in their order.  It is made when it is asked for: chains come in any order, and to put
 * each claim where it belongs at once would take a time that grows with their square.
 */
static const MemoryList *
memory_all(MemoryStore *store)
{
	if (!store->all_ordered && store->all.count > 1)
		qsort(store->all.items, store->all.count, sizeof(MemoryClaim *), memory_claim_order);
	store->all_ordered = true;
	return &store->all;
}

static void
memory_claim_add(void *state, const Claim *claim)
{
	MemoryStore *store = state;
	MemoryClaim *kept;

	if (memory_find(store, claim->origin, claim->seq) != NULL)
		return;
	kept = pool_alloc(store->pool, sizeof(MemoryClaim));
	kept->claim = *claim;
	kept->payload = store->payload;
	kept->payload_len = store->payload_len;
	if (!store->shared)
	{
		kept->claim.origin = pool_text(store->pool, claim->origin);
		kept->claim.about = pool_text(store->pool, claim->about);
		kept->claim.body = json_slice_keep(store->pool, claim->body);
	}
	kept->claim.effective = false;
	kept->claim.reason = "not judged yet";
	store->all.items = pool_grow(store->pool, store->all.items, store->all.count,
								 sizeof(MemoryClaim *));
	store->all.items[store->all.count++] = kept;
	store->all_ordered = false;
	memory_insert(store, memory_list(store, store->by_origin, kept->claim.origin,
									 strlen(kept->claim.origin)), kept);
	memory_insert(store, memory_list(store, store->by_about, kept->claim.about,
									 strlen(kept->claim.about)), kept);
	if (kept->claim.has_subject)
		memory_insert(store, memory_list(store, store->by_subject, kept->claim.subject, HASH_LEN),
					  kept);
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
	MemoryList *list = map_get(store->by_origin, origin, strlen(origin));
	size_t		from = list != NULL ? memory_position(list, origin, first) : 0;

	if (list == NULL || from == list->count)
		return;
	(void) memory_all(store);
	for (size_t i = list->count; i > from; i--)
	{
		const MemoryClaim *claim = list->items[i - 1];

		memory_remove(map_get(store->by_about, claim->claim.about, strlen(claim->claim.about)),
					  claim);
		if (claim->claim.has_subject)
			memory_remove(map_get(store->by_subject, claim->claim.subject, HASH_LEN), claim);
		memory_remove(&store->all, claim);
	}
	list->count = from;
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

static bool
memory_claim_next(void *state, const ClaimQuery *query, const Claim *after, Pool *pool,
				  Claim *claim)
{
	MemoryStore *store = state;
	const MemoryList *list;
	size_t		position = 0;

	(void) pool;
	if (query->about != NULL)
		list = map_get(store->by_about, query->about, strlen(query->about));
	else if (query->subject != NULL)
		list = map_get(store->by_subject, query->subject, HASH_LEN);
	else if (query->origin != NULL)
		list = map_get(store->by_origin, query->origin, strlen(query->origin));
	else
		list = memory_all(store);
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
			return true;
		}
	}
	return false;
}

static const char *
memory_entry_text(void *state, Pool *pool, const char *origin, int64_t seq, size_t *len)
{
	MemoryClaim *claim = memory_find(state, origin, seq);

	(void) pool;
	*len = claim != NULL ? claim->payload_len : 0;
	return claim != NULL ? claim->payload : NULL;
}

/* ----- rows ----- */

static const char *
memory_row_key(MemoryStore *store, const StateRow *row, size_t *len)
{
	const StateTableInfo *info = &state_tables[row->table];
	PoolText	key;

	pool_reset(store->scratch);
	pool_text_begin(&key, store->scratch);
	pool_text_char(&key, (char) ('a' + row->table));
	for (int i = 0; i < info->nkeys; i++)
	{
		/* with its terminator: no value has one in it */
		pool_text_puts(&key, row->values[info->keys[i]]);
		pool_text_char(&key, '\0');
	}
	*len = key.len;
	return key.data;
}

static StateRow *
memory_row_copy(const StateRow *row)
{
	int			ncolumns = state_tables[row->table].ncolumns;
	size_t		sizes[STATE_COLUMNS_MAX] = {0};
	size_t		size = sizeof(StateRow);
	StateRow   *copy;
	char	   *at;

	for (int i = 0; i < ncolumns; i++)
	{
		sizes[i] = row->values[i] != NULL ? strlen(row->values[i]) + 1 : 0;
		size += sizes[i];
	}
	copy = malloc(size);
	if (copy == NULL)
		pool_fail();
	memset(copy, 0, sizeof(StateRow));
	copy->table = row->table;
	at = (char *) (copy + 1);
	for (int i = 0; i < ncolumns; i++)
		if (row->values[i] != NULL)
		{
			copy->values[i] = memcpy(at, row->values[i], sizes[i]);
			at += sizes[i];
		}
	return copy;
}

static void
memory_row_put(void *state, const StateRow *row)
{
	MemoryStore *store = state;
	size_t		len;
	const char *key = memory_row_key(store, row, &len);
	void	  **place = map_at(store->rows, key, len);
	MemoryRow  *kept = *place;

	if (kept == NULL)
	{
		kept = *place = pool_alloc(store->pool, sizeof(MemoryRow));
		kept->key = pool_copy(store->pool, key, len);
		kept->key_len = len;
		store->row_list = pool_grow(store->pool, store->row_list, store->nrows,
									sizeof(MemoryRow *));
		store->row_list[store->nrows++] = kept;
	}
	free(kept->row);
	kept->row = memory_row_copy(row);
}

static bool
memory_row_drop(MemoryStore *store, const StateRow *row)
{
	size_t		len;
	const char *key = memory_row_key(store, row, &len);
	MemoryRow  *kept = map_get(store->rows, key, len);
	bool		there = kept != NULL && kept->row != NULL;

	if (there)
	{
		free(kept->row);
		kept->row = NULL;
	}
	return there;
}

static void
memory_row_remove(void *state, const StateRow *key)
{
	(void) memory_row_drop(state, key);
}

static void
memory_rows_trim(void *state, StateTable table, const char *protocol, int64_t first)
{
	char		ordinal[24];
	StateRow	key = {.table = table};

	key.values[0] = protocol;
	key.values[1] = ordinal;
	do
		(void) snprintf(ordinal, sizeof(ordinal), "%" PRId64, first++);
	while (memory_row_drop(state, &key));
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

/* ----- all of it ----- */

/* Is a part of a key a number? */
static bool
memory_is_number(const char *part, size_t len)
{
	return len > 0 && strspn(part, "0123456789") == len;
}

/* Keys part by part: numbers first, by their size, and then other texts in byte order. */
static int
memory_key_order(const char *x, const char *x_end, const char *y, const char *y_end)
{
	while (x < x_end && y < y_end)
	{
		size_t		x_len = strlen(x);
		size_t		y_len = strlen(y);
		bool		x_number = memory_is_number(x, x_len);
		bool		y_number = memory_is_number(y, y_len);
		int			order;

		if (x_number != y_number)
			return x_number ? -1 : 1;
		if (x_number && x_len != y_len)
			return x_len < y_len ? -1 : 1;
		order = strcmp(x, y);
		if (order != 0)
			return order;
		x += x_len + 1;
		y += y_len + 1;
	}
	return x < x_end ? 1 : y < y_end ? -1 : 0;
}

static int
memory_row_order(const void *a, const void *b)
{
	const MemoryRow *x = *(const MemoryRow *const *) a;
	const MemoryRow *y = *(const MemoryRow *const *) b;

	/* the first character says of which table it is */
	return x->key[0] != y->key[0] ? (x->key[0] < y->key[0] ? -1 : 1) :
		memory_key_order(x->key + 1, x->key + x->key_len, y->key + 1, y->key + y->key_len);
}

void
memory_store_rows(MemoryStore *store, MemoryStoreVisit visit, void *state)
{
	Pool	   *pool = pool_new();

	(void) memory_all(store);
	for (size_t i = 0; i < store->all.count; i++)
	{
		StateRow	row;

		state_claim_row(pool, &store->all.items[i]->claim, &row);
		visit(state, &row);
		pool_reset(pool);
	}
	if (store->nrows > 1)
		qsort(store->row_list, store->nrows, sizeof(MemoryRow *), memory_row_order);
	for (size_t i = 0; i < store->nrows; i++)
		if (store->row_list[i]->row != NULL)
			visit(state, store->row_list[i]->row);
	pool_free(pool);
}

void
memory_store_hash(MemoryStore *store, uint8_t hash[HASH_LEN])
{
	Pool	   *pool = pool_new();
	Pool	   *row_pool = pool_new();
	uint8_t		(*rows)[HASH_LEN] = pool_alloc(pool, (store->all.count + store->nrows) * HASH_LEN);
	size_t		count = 0;

	for (size_t i = 0; i < store->all.count; i++)
	{
		StateRow	row;

		state_claim_row(row_pool, &store->all.items[i]->claim, &row);
		state_row_hash(row_pool, &row, rows[count++]);
		pool_reset(row_pool);
	}
	for (size_t i = 0; i < store->nrows; i++)
		if (store->row_list[i]->row != NULL)
		{
			state_row_hash(row_pool, store->row_list[i]->row, rows[count++]);
			pool_reset(row_pool);
		}
	state_hash(rows, count, hash);
	pool_free(row_pool);
	pool_free(pool);
}
