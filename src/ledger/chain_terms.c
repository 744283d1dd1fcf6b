/*
 * chain_terms.c: the keys of a chain by height, as the floor above tells them.
 */
#include "postgres.h"

#include "ledger/chain_terms.h"
#include "ledger/hooks.h"
#include "ledger/local_node.h"

void
chain_terms(const LocalNode *node, const char *origin, ChainTerms *terms)
{
	memset(terms, 0, sizeof(*terms));
	terms->last_height = PG_INT64_MAX;
	ledger_hooks.ledger_terms(origin, terms);

	/* before genesis is folded, its own signature is what we have: pinned when joining */
	if (terms->keys == NIL && strcmp(origin, node->data_center) == 0)
	{
		ChainKey   *key = palloc0(sizeof(ChainKey));

		key->pem = node->genesis_key;
		terms->keys = list_make1(key);
	}
}

const ChainKey *
chain_terms_key(const ChainTerms *terms, int64 height)
{
	const ChainKey *found = NULL;
	ListCell   *cell;

	foreach(cell, terms->keys)
	{
		const ChainKey *key = lfirst(cell);

		if (key->from_height <= height)
			found = key;
	}
	return found;
}

const uint8_t *
chain_terms_hash(const ChainTerms *terms, int64 height)
{
	ListCell   *cell;

	if (terms->last_named && terms->last_height == height)
		return terms->last_hash;
	foreach(cell, terms->keys)
	{
		const ChainKey *key = lfirst(cell);

		if (key->named && key->from_height == height + 1)
			return key->follows;
	}
	foreach(cell, terms->choices)
	{
		const ChainChoice *choice = lfirst(cell);

		if (choice->height == height)
			return choice->hash;
	}
	return NULL;
}
