/*
 * Any bytes as the next block of a chain: without a key to sign with, none can be accepted with a
 * wrong link or root.
 */
#include "core/chain_check.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t genesis[HASH_LEN] = {0};
	ChainCheck	check;
	ChainCheck	before;
	NoteBlock	block;
	CoreError	error = {0};
	ChainFault	fault;
	uint8_t		leaf[HASH_LEN];

	chain_check_init(&check, "east/a", genesis);
	MUST(hash_leaf("x", 1, leaf) && chain_check_leaf(&check, leaf));
	before = check;
	fault = chain_check_block(&check, (const char *) data, size, NULL, &block, &error);
	MUST(fault != CHAIN_FAILED);
	if (fault == CHAIN_FINE)
		MUST(block.size == 1 && block.height == 0 && hash_equal(block.previous, genesis) &&
			 hash_equal(block.root, leaf));
	else
		MUST(check.height == before.height && hash_equal(check.head, before.head) &&
			 error.message[0] != '\0');
	return 0;
}
