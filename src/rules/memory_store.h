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
 * The text of the entry whose claim comes next (copied, unless shared): for signatures that are
 * asked for again.
 */
extern void memory_store_entry(MemoryStore *store, const char *payload, size_t len);

/* The state's hash, over claims and rows: doc/ledger.md, "The state's hash". */
extern void memory_store_hash(MemoryStore *store, uint8_t hash[HASH_LEN]);

/*
 * Each row, claims too, by table and in the order of their keys, numbers by their size.  A claim is
 * visit's for the call, other rows stay as they are until the store changes.
 */
typedef void (*MemoryStoreVisit) (void *state, const StateRow *row);

extern void memory_store_rows(MemoryStore *store, MemoryStoreVisit visit, void *state);

#endif
