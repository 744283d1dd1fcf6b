/*
 * pool.h: memory that is released all at once, and texts that grow in it.
 *
 * Whatever the rules allocate comes out of a pool, so that nothing is lost when a caller's storage
 * leaves in the middle of something (PostgreSQL's errors do): who owns the pool releases it.
 */
#ifndef MEDCHAIN_RULES_POOL_H
#define MEDCHAIN_RULES_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Pool Pool;

/*
 * What happens when there is no more memory: set by the program, and must not return.  Unless it is
 * set, the program ends.
 */
extern void (*pool_no_memory) (void);

/*
 * Where pools take their memory from, and give it back to, and which pools there are: malloc() and
 * free(), unless the program sets another one.  A pool stays with that in which it was made.  take
 * may return NULL if there is no memory.
 */
typedef struct PoolMemory
{
	void	   *(*take) (struct PoolMemory *memory, size_t size);
	void		(*give) (struct PoolMemory *memory, void *piece);
	Pool	   *pools;
} PoolMemory;

extern PoolMemory pool_standard;	/* malloc() and free() */
extern PoolMemory *pool_memory;

/* Free all pools in there: for who was left in the middle of something. */
extern void pool_free_all(PoolMemory *memory);

/* There is none, or OpenSSL fails where it must not. */
extern void pool_fail(void) __attribute__((noreturn));

extern Pool *pool_new(void);
extern void pool_free(Pool *pool);	/* NULL is fine */
extern void pool_reset(Pool *pool); /* keeps one block for use again */
extern size_t pool_size(const Pool *pool);	/* bytes taken from the system */

/* A piece of memory that is in no pool, in the memory of one. */
extern void *pool_piece(Pool *pool, size_t size);	/* not zeroed */
extern void pool_piece_free(Pool *pool, void *piece);	/* NULL is fine */

extern void *pool_alloc(Pool *pool, size_t size);	/* zeroed, aligned */
extern char *pool_copy(Pool *pool, const void *data, size_t len);	/* terminated */
extern char *pool_text(Pool *pool, const char *text);	/* NULL stays NULL */
extern char *pool_format(Pool *pool, const char *fmt,...) __attribute__((format(printf, 2, 3)));

/*
 * Room for one more element: items, of which there are count, is moved to twice the size when that
 * is a power of two from 4 on.
 */
extern void *pool_grow(Pool *pool, void *items, size_t count, size_t item_size);

/* What is released with the pool: not its memory, but something that it refers to. */
extern void pool_own(Pool *pool, void *thing, void (*release) (void *thing));

/* A text that is written piece by piece; always terminated. */
typedef struct PoolText
{
	Pool	   *pool;
	char	   *data;
	size_t		len;
	size_t		size;
} PoolText;

extern void pool_text_begin(PoolText *text, Pool *pool);
extern void pool_text_add(PoolText *text, const void *data, size_t len);
extern void pool_text_puts(PoolText *text, const char *string);
extern void pool_text_char(PoolText *text, char c);

#endif
