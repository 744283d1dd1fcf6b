/*
 * chain_terms.h: what the ledger says about a chain as such: with which keys its blocks are signed,
 * and where it ends.
 */
#ifndef MEDCHAIN_LEDGER_CHAIN_TERMS_H
#define MEDCHAIN_LEDGER_CHAIN_TERMS_H

#include "postgres.h"
#include "nodes/pg_list.h"

#include "ledger/local_node.h"

/* A key of a chain: it signs from this height on, up to the next one's. */
typedef struct ChainKey
{
	int64		from_height;
	char	   *pem;
	bool		named;			/* the data centre named the block before: */
	uint8_t		follows[HASH_LEN];
} ChainKey;

/* Of two blocks of this height, the one that counts by the data centre's word. */
typedef struct ChainChoice
{
	int64		height;
	uint8_t		hash[HASH_LEN];
} ChainChoice;

/* What the ledger says about a chain as such. */
typedef struct ChainTerms
{
	List	   *keys;			/* of ChainKey, by height; NIL: not configured (yet) */
	List	   *choices;		/* of ChainChoice */
	int64		last_height;	/* the last block that counts; PG_INT64_MAX: open */
	bool		last_named;
	uint8_t		last_hash[HASH_LEN];
} ChainTerms;

/* palloc'd.  Needs a trusted scope. */
extern void chain_terms(const LocalNode *node, const char *origin, ChainTerms *terms);

/* The key of this height; NULL: not configured. */
extern const ChainKey *chain_terms_key(const ChainTerms *terms, int64 height);

/* The hash that the block of this height has to have by the data centre's word, or NULL. */
extern const uint8_t *chain_terms_hash(const ChainTerms *terms, int64 height);

#endif
