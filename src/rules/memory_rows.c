/*
 * memory_rows.c: rows of state in memory: putting, finding and looking at all of them.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/memory_internal.h"

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

static MemoryRow *
memory_row(MemoryStore *store, const StateRow *key)
{
	size_t		len;
	const char *text = memory_row_key(store, key, &len);
	MemoryRow  *kept = map_get(store->rows, text, len);

	return kept != NULL && kept->row != NULL ? kept : NULL;
}

static StateRow *
memory_row_copy(MemoryStore *store, const StateRow *row)
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
	copy = pool_piece(store->pool, size);
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

void
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
	pool_piece_free(store->pool, kept->row);
	kept->row = memory_row_copy(store, row);
}

static bool
memory_row_drop(MemoryStore *store, const StateRow *row)
{
	MemoryRow  *kept = memory_row(store, row);

	if (kept == NULL)
		return false;
	pool_piece_free(store->pool, kept->row);
	kept->row = NULL;
	return true;
}

void
memory_row_remove(void *state, const StateRow *key)
{
	(void) memory_row_drop(state, key);
}

void
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

/* All of them, or those that were not found. */
static void
memory_visit(MemoryStore *store, bool all, MemoryStoreVisit visit, void *state)
{
	Pool	   *pool = pool_new();

	(void) memory_all(store);
	for (size_t i = 0; i < store->all.count; i++)
	{
		StateRow	row;

		if (!all && store->all.items[i]->found)
			continue;
		state_claim_row(pool, &store->all.items[i]->claim, &row);
		visit(state, &row);
		pool_reset(pool);
	}
	if (store->nrows > 1)
		qsort(store->row_list, store->nrows, sizeof(MemoryRow *), memory_row_order);
	for (size_t i = 0; i < store->nrows; i++)
		if (store->row_list[i]->row != NULL && (all || !store->row_list[i]->found))
			visit(state, store->row_list[i]->row);
	pool_free(pool);
}

void
memory_store_rows(MemoryStore *store, MemoryStoreVisit visit, void *state)
{
	memory_visit(store, true, visit, state);
}

void
memory_store_unfound(MemoryStore *store, MemoryStoreVisit visit, void *state)
{
	memory_visit(store, false, visit, state);
}

bool
memory_store_row(MemoryStore *store, const StateRow *key, StateRow *row)
{
	const MemoryRow *kept = memory_row(store, key);

	if (kept != NULL)
		*row = *kept->row;
	return kept != NULL;
}

bool
memory_store_find(MemoryStore *store, Pool *pool, const StateRow *key, StateRow *row)
{
	MemoryRow  *kept;

	if (key->table == STATE_CLAIM)
	{
		MemoryClaim *claim = memory_find(store, key->values[0],
										 strtoll(key->values[1], NULL, 10));

		if (claim == NULL)
			return false;
		claim->found = true;
		state_claim_row(pool, &claim->claim, row);
		return true;
	}
	kept = memory_row(store, key);
	if (kept == NULL)
		return false;
	kept->found = true;
	*row = *kept->row;
	return true;
}

/* What is behind two ends of a chain, of which nodes may have one or the other. */
static bool
memory_is_forked(const StateRow *const *forks, size_t count, const StateRow *row)
{
	for (size_t i = 0; i < count; i++)
		if (state_is_forked(forks[i], row))
			return true;
	return false;
}

void
memory_store_hash(MemoryStore *store, uint8_t hash[HASH_LEN])
{
	Pool	   *pool = pool_new();
	Pool	   *row_pool = pool_new();
	uint8_t		(*rows)[HASH_LEN] = pool_alloc(pool, (store->all.count + store->nrows) * HASH_LEN);
	size_t		count = 0;
	const StateRow **forks = NULL;
	size_t		nforks = 0;

	for (size_t i = 0; i < store->nrows; i++)
		if (store->row_list[i]->row != NULL && store->row_list[i]->row->table == STATE_FORK)
		{
			forks = pool_grow(pool, forks, nforks, sizeof(StateRow *));
			forks[nforks++] = store->row_list[i]->row;
		}
	for (size_t i = 0; i < store->all.count; i++)
	{
		StateRow	row;

		state_claim_row(row_pool, &store->all.items[i]->claim, &row);
		if (!memory_is_forked(forks, nforks, &row))
			state_row_hash(row_pool, &row, rows[count++]);
		pool_reset(row_pool);
	}
	for (size_t i = 0; i < store->nrows; i++)
		if (store->row_list[i]->row != NULL &&
			!memory_is_forked(forks, nforks, store->row_list[i]->row))
		{
			state_row_hash(row_pool, store->row_list[i]->row, rows[count++]);
			pool_reset(row_pool);
		}
	state_hash(rows, count, hash);
	pool_free(row_pool);
	pool_free(pool);
}
