/*
 * memory_internal.h: what the files of the store in memory share.
 */
#ifndef MEDCHAIN_RULES_MEMORY_INTERNAL_H
#define MEDCHAIN_RULES_MEMORY_INTERNAL_H

#include "rules/map.h"
#include "rules/memory_store.h"

typedef struct MemoryClaim
{
	Claim		claim;
	const char *payload;
	size_t		payload_len;
	bool		found;
} MemoryClaim;

#define MEMORY_READ 16			/* of the texts of claims that were read last */

/* What a claim says, out of its text. */
typedef struct MemoryBody
{
	Pool	   *pool;			/* NULL: none was read */
	const MemoryClaim *claim;
	JsonSlice	body;
} MemoryBody;

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
	bool		found;
} MemoryRow;

struct MemoryStore
{
	Pool	   *pool;
	Pool	   *scratch;
	bool		shared;
	MemoryList	all;
	Map		   *by_origin;
	Map		   *by_about;
	Map		   *by_subject;
	Map		   *rows;
	MemoryRow **row_list;
	size_t		nrows;
	const char *payload;		/* of the claim that comes next */
	size_t		payload_len;
	MemoryStoreText fetch;		/* NULL: there are no other texts */
	void	   *fetch_state;
	bool		compact;
	MemoryBody	bodies[MEMORY_READ];
};

/* NULL: there is no such claim. */
extern MemoryClaim *memory_find(MemoryStore *store, const char *origin, int64_t seq);

/* ----- as RulesStore has them ----- */

extern void memory_row_put(void *state, const StateRow *row);
extern void memory_row_remove(void *state, const StateRow *key);
extern void memory_rows_trim(void *state, StateTable table, const char *protocol, int64_t first);

#endif
