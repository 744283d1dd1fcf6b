/* A chain of blocks, and each fault a block can have. */
#include "core/chain_check.h"
#include "fixture.h"
#include "tap.h"

static Key *key;
static Key *other;

static void
add(ChainCheck *check, int entry)
{
	uint8_t		hash[HASH_LEN];

	hash_leaf(&entry, sizeof(entry), hash);
	chain_check_leaf(check, hash);
}

/* A block that closes over what check holds, with one thing changed by the caller. */
static NoteBlock
next_block(const ChainCheck *check)
{
	NoteBlock	block = {.sealed = "2026-01-31T23:59:59.123Z"};

	strcpy(block.name, check->name);
	block.size = check->range.size;
	block.height = (uint64_t) (check->height + 1);
	memcpy(block.previous, check->head, HASH_LEN);
	tree_range_root(&check->range, block.root);
	return block;
}

static ChainFault
try(ChainCheck *check, const NoteBlock *block, const Key *signer, CoreError *error)
{
	char		text[NOTE_TEXT_MAX];
	char		note[NOTE_SIGNED_MAX + 1];
	size_t		len = note_format_block(block, text);
	NoteBlock	parsed;

	len = note_sign(text, len, block->name, signer, note, error);
	return chain_check_block(check, note, len, key, &parsed, error);
}

static void
faulty(ChainCheck *check, NoteBlock block, const Key *signer, ChainFault expected,
	   const char *words, const char *name)
{
	CoreError	error = {0};
	ChainCheck	before = *check;

	if (!ok(try(check, &block, signer, &error) == expected && strstr(error.message, words) != NULL,
			name))
		printf("# %s\n", error.message);
	ok(before.height == check->height && hash_equal(before.head, check->head),
	   "and the chain stands where it stood");
}

int
main(void)
{
	static const uint8_t genesis[HASH_LEN] = {1, 2, 3};
	ChainCheck	check;
	CoreError	error = {0};
	NoteBlock	block;

	fixture_run("for k in a b; do openssl genpkey -algorithm ed25519 -out $k.key && chmod 600 "
				"$k.key; done");
	key = key_load_private(fixture_path("a.key"), NULL, NULL, &error);
	other = key_load_private(fixture_path("b.key"), NULL, NULL, &error);

	chain_check_init(&check, "east/a", genesis);
	for (int height = 0; height < 4; height++)
	{
		for (int i = 0; i <= height; i++)
			add(&check, height * 10 + i);
		block = next_block(&check);
		is_number(try(&check, &block, key, &error), CHAIN_FINE, "the next block is accepted");
		is_number(check.height, height, "and counted");
	}

	add(&check, 99);
	block = next_block(&check);
	strcpy(block.name, "east/b");
	faulty(&check, block, key, CHAIN_BAD_NAME, "east/b", "a block of another chain");
	block = next_block(&check);
	block.height++;
	faulty(&check, block, key, CHAIN_BAD_HEIGHT, "expected 4, found 5", "a block too high");
	block = next_block(&check);
	block.previous[5] ^= 1;
	faulty(&check, block, key, CHAIN_BAD_PREVIOUS, "previous block",
		   "a block with another predecessor");
	block = next_block(&check);
	block.size++;
	faulty(&check, block, key, CHAIN_BAD_SIZE, "there are 11 entries",
		   "a block with more entries than there are");
	block = next_block(&check);
	block.root[0] ^= 0x80;
	faulty(&check, block, key, CHAIN_BAD_ROOT, "root", "a block with another root");
	block = next_block(&check);
	faulty(&check, block, other, CHAIN_BAD_SIGNATURE, "east/a", "a block signed by another key");
	is_number(chain_check_block(&check, "garbage", 7, key, &block, &error), CHAIN_BAD_NOTE,
			  "garbage");
	block = next_block(&check);
	is_number(try(&check, &block, key, &error), CHAIN_FINE,
			  "after all that the true block is accepted");
	is_string(chain_fault_name(CHAIN_BAD_PREVIOUS), "bad link", "faults have names");
	key_free(key);
	key_free(other);
	return done_testing();
}
