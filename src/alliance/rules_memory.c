/*
 * rules_memory.c: memory of the rules inside a server (see rules_memory.h).
 *
 * The rules free what they take, but an error of PostgreSQL's, out of a statement of the store's,
 * leaves them where they stand.  So what they have is in a memory context, and what their pools own
 * besides, of libraries that know no contexts, is released before the context goes.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "alliance/rules_memory.h"

typedef struct RulesMemory
{
	PoolMemory	pools;			/* first, so that it is found from there */
	MemoryContext context;
	MemoryContextCallback callback;
} RulesMemory;

/* The memory of a context; what its callback is given. */
static RulesMemory *
rules_memory_of(MemoryContext context)
{
	return (RulesMemory *) context->reset_cbs->arg;
}

static void *
rules_memory_take(PoolMemory *memory, size_t size)
{
	return MemoryContextAllocExtended(((RulesMemory *) memory)->context, size, MCXT_ALLOC_HUGE);
}

static void
rules_memory_give(PoolMemory *memory, void *piece)
{
	pfree(piece);
}

static void
rules_memory_out(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OUT_OF_MEMORY),
			 errmsg("out of memory"),
			 errdetail("The rules, or a library that they use, could not go on.")));
}

/* Nobody finds pools there any more. */
static void
rules_memory_release(void *arg)
{
	RulesMemory *memory = arg;

	pool_free_all(&memory->pools);
	if (pool_memory == &memory->pools)
		pool_memory = &pool_standard;
}

MemoryContext
rules_memory_new(MemoryContext parent, const char *name)
{
	MemoryContext context = AllocSetContextCreate(parent, "medchain rules",
												  ALLOCSET_DEFAULT_SIZES);
	RulesMemory *memory = MemoryContextAllocZero(context, sizeof(RulesMemory));

	MemoryContextSetIdentifier(context, name);
	memory->context = context;
	memory->pools.take = rules_memory_take;
	memory->pools.give = rules_memory_give;
	memory->callback.func = rules_memory_release;
	memory->callback.arg = memory;
	MemoryContextRegisterResetCallback(context, &memory->callback);
	pool_no_memory = rules_memory_out;
	pool_memory = &memory->pools;
	return context;
}

void
rules_memory_use(MemoryContext context)
{
	pool_memory = &rules_memory_of(context)->pools;
}
