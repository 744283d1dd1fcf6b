/*
 * pool.c: memory that is released all at once.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/pool.h"

/* with its header what PostgreSQL keeps for use again; more goes to malloc() each time */
#define POOL_BLOCK (8192 - sizeof(PoolBlock))
#define POOL_BLOCK_MAX (1024 * 1024)
#define POOL_ALIGN 16

typedef struct PoolBlock
{
	struct PoolBlock *next;
	size_t		size;			/* of what follows */
	size_t		used;
	size_t		unused_pad;		/* what follows is aligned */
} PoolBlock;

typedef struct PoolOwned
{
	struct PoolOwned *next;
	void	   *thing;
	void		(*release) (void *thing);
} PoolOwned;

struct Pool
{
	PoolMemory *memory;
	Pool	   *previous;
	Pool	   *next;
	PoolBlock  *blocks;			/* the current one first */
	PoolOwned  *owned;			/* in these blocks */
	size_t		total;
	size_t		next_size;
};

static void *
pool_malloc(PoolMemory *memory, size_t size)
{
	(void) memory;
	return malloc(size);
}

static void
pool_give_back(PoolMemory *memory, void *piece)
{
	(void) memory;
	free(piece);
}

PoolMemory	pool_standard = {pool_malloc, pool_give_back, NULL};

void		(*pool_no_memory) (void) = NULL;
PoolMemory *pool_memory = &pool_standard;

void
pool_fail(void)
{
	if (pool_no_memory != NULL)
		pool_no_memory();
	fputs("out of memory\n", stderr);
	abort();
}

static void *
pool_get(PoolMemory *memory, size_t size)
{
	void	   *piece = memory->take(memory, size);

	if (piece == NULL)
		pool_fail();
	return piece;
}

void *
pool_piece(Pool *pool, size_t size)
{
	return pool_get(pool->memory, size);
}

void
pool_piece_free(Pool *pool, void *piece)
{
	if (piece != NULL)
		pool->memory->give(pool->memory, piece);
}

Pool *
pool_new(void)
{
	PoolMemory *memory = pool_memory;
	Pool	   *pool = pool_get(memory, sizeof(Pool));

	memset(pool, 0, sizeof(Pool));
	pool->memory = memory;
	pool->next_size = POOL_BLOCK;
	pool->next = memory->pools;
	if (pool->next != NULL)
		pool->next->previous = pool;
	memory->pools = pool;
	return pool;
}

static void
pool_release(Pool *pool, PoolBlock *block)
{
	while (block != NULL)
	{
		PoolBlock  *next = block->next;

		pool_piece_free(pool, block);
		block = next;
	}
}

static void
pool_disown(Pool *pool)
{
	for (PoolOwned *owned = pool->owned; owned != NULL; owned = owned->next)
		owned->release(owned->thing);
	pool->owned = NULL;
}

void
pool_free(Pool *pool)
{
	if (pool == NULL)
		return;
	pool_disown(pool);
	pool_release(pool, pool->blocks);
	if (pool->previous != NULL)
		pool->previous->next = pool->next;
	else
		pool->memory->pools = pool->next;
	if (pool->next != NULL)
		pool->next->previous = pool->previous;
	pool_piece_free(pool, pool);
}

void
pool_free_all(PoolMemory *memory)
{
	while (memory->pools != NULL)
		pool_free(memory->pools);
}

void
pool_reset(Pool *pool)
{
	PoolBlock  *kept = pool->blocks;

	pool_disown(pool);
	if (kept == NULL)
		return;
	pool_release(pool, kept->next);
	kept->next = NULL;
	/* one huge text must not be held for ever */
	if (kept->size > POOL_BLOCK_MAX)
	{
		pool_piece_free(pool, kept);
		pool->blocks = NULL;
		pool->total = 0;
		pool->next_size = POOL_BLOCK;
		return;
	}
	kept->used = 0;
	pool->total = kept->size;
}

size_t
pool_size(const Pool *pool)
{
	return pool->total;
}

/* Not zeroed. */
static void *
pool_take(Pool *pool, size_t size)
{
	PoolBlock  *block = pool->blocks;
	size_t		need = (size + POOL_ALIGN - 1) / POOL_ALIGN * POOL_ALIGN;
	void	   *taken;

	if (need < size)
		pool_fail();
	if (block == NULL || block->size - block->used < need)
	{
		size_t		want = need > pool->next_size ? need : pool->next_size;
		PoolBlock  *fresh = pool_piece(pool, sizeof(PoolBlock) + want);

		fresh->size = want;
		fresh->used = 0;
		pool->total += want;
		if (pool->next_size < POOL_BLOCK_MAX)
			pool->next_size *= 2;
		fresh->next = block;
		pool->blocks = fresh;
		block = fresh;
	}
	taken = (char *) (block + 1) + block->used;
	block->used += need;
	return taken;
}

void *
pool_alloc(Pool *pool, size_t size)
{
	return memset(pool_take(pool, size > 0 ? size : 1), 0, size > 0 ? size : 1);
}

char *
pool_copy(Pool *pool, const void *data, size_t len)
{
	char	   *copy = pool_take(pool, len + 1);

	if (len > 0)
		memcpy(copy, data, len);
	copy[len] = '\0';
	return copy;
}

char *
pool_text(Pool *pool, const char *text)
{
	return text != NULL ? pool_copy(pool, text, strlen(text)) : NULL;
}

char *
pool_format(Pool *pool, const char *fmt,...)
{
	va_list		args;
	va_list		again;
	int			len;
	char	   *text;

	va_start(args, fmt);
	va_copy(again, args);
	len = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	text = pool_take(pool, (size_t) (len > 0 ? len : 0) + 1);
	text[0] = '\0';
	if (len > 0)
		(void) vsnprintf(text, (size_t) len + 1, fmt, again);
	va_end(again);
	return text;
}

void *
pool_grow(Pool *pool, void *items, size_t count, size_t item_size)
{
	size_t		size = count < 4 ? 4 : 2 * count;
	void	   *moved;

	if (count != 0 && (count < 4 || (count & (count - 1)) != 0))
		return items;
	moved = pool_take(pool, size * item_size);
	if (count > 0)
		memcpy(moved, items, count * item_size);
	return moved;
}

void
pool_own(Pool *pool, void *thing, void (*release) (void *thing))
{
	PoolOwned  *owned = pool_take(pool, sizeof(PoolOwned));

	owned->thing = thing;
	owned->release = release;
	owned->next = pool->owned;
	pool->owned = owned;
}

void
pool_text_begin(PoolText *text, Pool *pool)
{
	text->pool = pool;
	text->size = 64;
	text->data = pool_take(pool, text->size);
	text->data[0] = '\0';
	text->len = 0;
}

void
pool_text_add(PoolText *text, const void *data, size_t len)
{
	if (text->size - text->len <= len)
	{
		size_t		size = 2 * text->size > text->len + len + 1 ? 2 * text->size :
		text->len + len + 1;
		char	   *moved = pool_take(text->pool, size);

		memcpy(moved, text->data, text->len);
		text->data = moved;
		text->size = size;
	}
	if (len > 0)
		memcpy(text->data + text->len, data, len);
	text->len += len;
	text->data[text->len] = '\0';
}

void
pool_text_puts(PoolText *text, const char *string)
{
	pool_text_add(text, string, strlen(string));
}

void
pool_text_char(PoolText *text, char c)
{
	pool_text_add(text, &c, 1);
}
