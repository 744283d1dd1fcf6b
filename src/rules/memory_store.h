/*
 * memory_store.h: claims and state in memory, for the offline verifier and tests.
 */
#ifndef MEDCHAIN_RULES_MEMORY_STORE_H
#define MEDCHAIN_RULES_MEMORY_STORE_H

#include "rules/store.h"

typedef struct MemoryStore MemoryStore;

/* What is given to rules_new(), with the store. */
extern const RulesStore memory_store;

/* shared: claims are not copied, and stay where they are for as long as the store is there. */
extern MemoryStore *memory_store_new(bool shared);
extern void memory_store_free(MemoryStore *store);

/*
 * Keep what claims say as text, and read it when they are asked for: what jansson builds takes ten
 * times as much.  Before any claim comes, and not for shared ones.
 */
extern void memory_store_compact(MemoryStore *store);

/*
 * The text of the entry whose claim comes next (copied, unless shared): for signatures that are
 * asked for again.
 */
extern void memory_store_entry(MemoryStore *store, const char *payload, size_t len);

/*
 * Where the texts of entries are that the store does not keep, as claims came without them; as
 * RulesStore's entry_text.
 */
typedef const char *(*MemoryStoreText) (void *state, Pool *pool, const char *origin, int64_t seq,
										size_t *len);

extern void memory_store_texts(MemoryStore *store, MemoryStoreText fetch, void *state);

/* The state's hash, over claims and rows: doc/ledger.md, "The state's hash". */
extern void memory_store_hash(MemoryStore *store, uint8_t hash[HASH_LEN]);

/* Each row, claims too, by table and in the order of their keys; it is visit's for the call. */
typedef void (*MemoryStoreVisit) (void *state, const StateRow *row);

extern void memory_store_rows(MemoryStore *store, MemoryStoreVisit visit, void *state);

/* The row with the same key, which stays until the store changes; false: there is none. */
extern bool memory_store_row(MemoryStore *store, const StateRow *key, StateRow *row);

/* The same, of claims too, and it is remembered as found.  A claim is in the pool. */
extern bool memory_store_find(MemoryStore *store, Pool *pool, const StateRow *key, StateRow *row);

/* Those that were not found. */
extern void memory_store_unfound(MemoryStore *store, MemoryStoreVisit visit, void *state);

#endif
