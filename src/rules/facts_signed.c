/*
 * facts_signed.c: which key signed which envelope: asked once, kept, and remembered for a while.
 */
#include <string.h>

#include "rules/facts_internal.h"

#define FACTS_SIGNED 16384		/* signatures that are remembered, */
#define FACTS_SIGNED_WAYS 4		/* each in one of so many places, the newest first */
#define FACTS_PLACE 8			/* bytes of a question that are the entry's place */

static const char *const reason_unsigned = "no valid signature by the required key";

typedef struct SignedSlot
{
	bool		used;
	uint8_t		leaf[HASH_LEN];
	uint8_t		key[HASH_LEN];
	const char *reason;
} SignedSlot;

/*
 * Beside each other for entries that follow each other: of millions, questions at random places
 * would touch, and log, another page of the store's index with each new entry.
 */
static void
facts_signed_question(const Claim *claim, const KeyFact *key, uint8_t question[HASH_LEN])
{
	const uint8_t *digests[] = {claim->leaf, key->digest};

	facts_question("signed", digests, 2, claim->seq, question);
	for (int i = 0; i < FACTS_PLACE; i++)
		question[i] = (uint8_t) ((uint64_t) claim->seq >> (8 * (FACTS_PLACE - 1 - i)));
}

static const char *
facts_signed_find(Facts *facts, const Claim *claim, const KeyFact *key, bool fresh,
				  FactsEnvelope load, void *state)
{
	uint8_t		question[HASH_LEN];
	char	   *answer;
	const char *reason;

	facts_signed_question(claim, key, question);
	answer = fresh ? NULL : facts_ask_store(facts, question);
	if (answer != NULL)
		reason = answer[0] != '\0' ? facts_keep(facts, answer) : NULL;
	else
	{
		reason = signed_text_check(facts->scratch, load(state), key->given);
		facts_tell_store(facts, question, reason != NULL ? reason : "");
		if (reason != NULL)
			reason = strcmp(reason, reason_unsigned) == 0 ? reason_unsigned :
				facts_keep(facts, reason);
	}
	pool_reset(facts->scratch);
	return reason;
}

/* Where that signature is remembered; if it is not, in place of the oldest that may go for it. */
static SignedSlot *
facts_signed_slot(Facts *facts, const uint8_t leaf[HASH_LEN], const KeyFact *key, bool *found)
{
	uint64_t	place[2];
	SignedSlot *set;

	if (facts->signatures == NULL)
		facts->signatures = pool_alloc(facts->pool, FACTS_SIGNED * sizeof(SignedSlot));
	memcpy(&place[0], leaf, sizeof(uint64_t));
	memcpy(&place[1], key->digest, sizeof(uint64_t));
	set = &facts->signatures[(place[0] ^ place[1]) % (FACTS_SIGNED / FACTS_SIGNED_WAYS) *
							 FACTS_SIGNED_WAYS];
	for (int i = 0; i < FACTS_SIGNED_WAYS; i++)
	{
		*found = set[i].used && memcmp(set[i].leaf, leaf, HASH_LEN) == 0 &&
			memcmp(set[i].key, key->digest, HASH_LEN) == 0;
		if (*found)
			return &set[i];
	}
	memmove(set + 1, set, (FACTS_SIGNED_WAYS - 1) * sizeof(SignedSlot));
	return set;
}

static const char *
facts_signed_by(Facts *facts, const Claim *claim, const KeyFact *key, bool fresh,
				FactsEnvelope load, void *state)
{
	bool		found;
	SignedSlot *slot = facts_signed_slot(facts, claim->leaf, key, &found);

	if (!found)
	{
		slot->reason = facts_signed_find(facts, claim, key, fresh, load, state);
		slot->used = true;
		memcpy(slot->leaf, claim->leaf, HASH_LEN);
		memcpy(slot->key, key->digest, HASH_LEN);
	}
	return slot->reason;
}

const char *
facts_signed(Facts *facts, const Claim *claim, const KeyFact *key, FactsEnvelope load, void *state)
{
	return facts_signed_by(facts, claim, key, false, load, state);
}

void
facts_sign_fresh(Facts *facts, const Claim *claim, const KeyFact *key, FactsEnvelope load,
				 void *state)
{
	(void) facts_signed_by(facts, claim, key, true, load, state);
}
