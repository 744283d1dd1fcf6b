/*
 * fork.c: reading entries of kind fork.
 */
#include <string.h>

#include "core/encode.h"
#include "core/keycache.h"
#include "rules/fact_read.h"
#include "rules/facts_internal.h"
#include "rules/fork.h"

#define FORK_NUMBER_MAX (UINT64_C(1) << 62) /* of heights and sizes */

static bool
fork_note(Facts *facts, JsonSlice value, ForkNote *note)
{
	size_t		textlen;

	if (json_slice_type(value) != JSON_SLICE_STRING)
		return false;
	note->text = json_slice_text(facts_pool(facts), value);
	note->len = strlen(note->text);
	return note_parse_block(note->text, note->len, &note->block, NULL) &&
		note->block.height < FORK_NUMBER_MAX && note->block.size < FORK_NUMBER_MAX &&
		note_text_length(note->text, note->len, &textlen, NULL) &&
		hash_sha256(note->text, textlen, note->hash);
}

/* Which of the two counts, by its hash. */
static void
fork_choice(JsonSlice value, ForkProof *proof)
{
	char		hex[ENCODE_HEX_SIZE(HASH_LEN)];
	uint8_t		hash[HASH_LEN];

	proof->decides = json_slice_type(value) != JSON_SLICE_MISSING;
	if (!json_slice_string(value, hex, sizeof(hex)) || strlen(hex) != 2 * HASH_LEN ||
		!decode_hex(hex, strlen(hex), hash))
		return;
	for (int i = 0; i < 2; i++)
		if (hash_equal(hash, proof->notes[i].hash))
		{
			proof->chosen = true;
			proof->counts = i;
		}
}

/*
 * Rule: two different blocks of one chain and height, with the one before one of them, whose size
 * says where the chain has two ends.  (doc/ledger.md, "Forks")
 */
static const char *
fork_fault(Facts *facts, JsonSlice body, ForkProof *proof)
{
	JsonSliceStep step = {0};
	JsonSlice	list = json_slice_get(body, "notes");
	JsonSlice	value;
	ForkNote   *notes = proof->notes;
	int			count = 0;

	if (json_slice_type(list) == JSON_SLICE_ARRAY)
		while (json_slice_next(list, &step, NULL, &value))
			if (count == 2 || !fork_note(facts, value, &notes[count++]))
				return "there are no two blocks in it";
	if (count < 2 || strcmp(notes[0].block.name, notes[1].block.name) != 0)
		return "there are no two blocks in it";
	if (notes[0].block.height != notes[1].block.height)
		return "the blocks have different heights";
	if (hash_equal(notes[0].hash, notes[1].hash))
		return "the two blocks are the same";
	proof->height = (int64_t) notes[0].block.height;
	if (memcmp(notes[0].hash, notes[1].hash, HASH_LEN) > 0)
	{
		ForkNote	first = notes[0];

		notes[0] = notes[1];
		notes[1] = first;
	}
	fork_choice(json_slice_get(body, "counts"), proof);
	if (proof->height == 0)
		return NULL;
	if (!fork_note(facts, json_slice_get(body, "before"), &proof->before) ||
		strcmp(proof->before.block.name, notes[0].block.name) != 0 ||
		proof->before.block.height + 1 != notes[0].block.height ||
		(!hash_equal(proof->before.hash, notes[0].block.previous) &&
		 !hash_equal(proof->before.hash, notes[1].block.previous)))
		return "the block before them is not in it";
	proof->from_seq = (int64_t) proof->before.block.size;
	return NULL;
}

ForkProof *
fork_read(Facts *facts, JsonSlice body)
{
	ForkProof  *proof = pool_alloc(facts_pool(facts), sizeof(ForkProof));

	proof->fault = fork_fault(facts, body, proof);
	return proof;
}

bool
fork_note_signed(Facts *facts, ForkNote *note, const KeyFact *key)
{
	uint8_t		digest[HASH_LEN];
	const uint8_t *digests[] = {digest, key->digest};
	uint8_t		question[HASH_LEN];
	const char *answer;
	const Key  *parsed;

	if (note->asked == key)
		return note->is_signed;
	fact_digest(note->text, digest);
	facts_question("note", digests, 2, 0, question);
	answer = facts_ask_store(facts, question);
	if (answer == NULL)
	{
		parsed = keycache_get(key->given, strlen(key->given), NULL);
		answer = parsed != NULL && note_verify(note->text, note->len, note->block.name, parsed,
											   NULL) == KEY_VALID ? "signed" : "not signed";
		facts_tell_store(facts, question, answer);
	}
	note->asked = key;
	note->is_signed = strcmp(answer, "signed") == 0;
	pool_reset(facts->scratch);
	return note->is_signed;
}
