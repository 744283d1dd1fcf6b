/*
 * screen.c: is a block that has just come worth keeping?
 *
 * It is not judged here, only sorted out: what no later event can make part of the chain goes to
 * quarantine at once, and takes no room from what may be.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"

#include "core/keycache.h"
#include "ledger/chain.h"
#include "ledger/chain_terms.h"
#include "ledger/local_node.h"
#include "ledger/screen.h"
#include "node/trusted.h"

/* Does an earlier block of that chain wait? */
static bool
screen_waits(const char *origin, int64 height)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[2] = {TEXTOID, INT8OID};
	Datum		values[2] = {CStringGetTextDatum(origin), Int64GetDatum(height)};

	trusted_execute(&plan, "SELECT FROM medchain.held_block WHERE origin = $1 AND height < $2 "
					"LIMIT 1", 2, types, values, NULL, false);
	return SPI_processed > 0;
}

bool
screen_signed(const LocalNode *node, const char *origin, int64 height, const char *note)
{
	char		name[NOTE_NAME_MAX + 1];
	ChainTerms	terms;
	const ChainKey *chosen;
	const Key  *key;
	CoreError	error = {0};

	chain_name(node, origin, name);
	chain_terms(node, origin, &terms);
	chosen = chain_terms_key(&terms, height);
	key = chosen ? keycache_get(chosen->pem, strlen(chosen->pem), &error) : NULL;
	return key != NULL && note_verify(note, strlen(note), name, key, &error) == KEY_VALID;
}

const char *
screen_block(const LocalNode *node, const char *origin, int64 height, const char *note,
			 char **detail)
{
	NoteBlock	block;
	CoreError	error = {0};
	char		name[NOTE_NAME_MAX + 1];
	ChainTerms	terms;
	const ChainKey *chosen;
	const Key  *key;

	if (!note_parse_block(note, strlen(note), &block, &error))
	{
		*detail = pstrdup(error.message);
		return chain_fault_name(CHAIN_BAD_NOTE);
	}
	chain_name(node, origin, name);
	if (strcmp(block.name, name) != 0)
	{
		*detail = psprintf("expected \"%s\", found \"%s\"", name, block.name);
		return chain_fault_name(CHAIN_BAD_NAME);
	}
	if ((int64) block.height != height)
	{
		*detail = psprintf("row says %lld, note says %llu", (long long) height,
						   (unsigned long long) block.height);
		return chain_fault_name(CHAIN_BAD_HEIGHT);
	}
	chain_terms(node, origin, &terms);
	if (height > terms.last_height)
	{
		*detail = psprintf("the member was expelled; its last block is %lld",
						   (long long) terms.last_height);
		return "chain is closed";
	}
	chosen = chain_terms_key(&terms, height);

	/* an earlier block that waits may change the key */
	if (chosen == NULL || screen_waits(origin, height))
		return NULL;
	key = keycache_get(chosen->pem, strlen(chosen->pem), &error);
	if (key != NULL && note_verify(note, strlen(note), name, key, &error) == KEY_INVALID)
	{
		*detail = psprintf("no valid signature by the configured key of \"%s\"", name);
		return chain_fault_name(CHAIN_BAD_SIGNATURE);
	}
	return NULL;
}
