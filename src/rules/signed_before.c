/*
 * signed_before.c: has an examinee signed these very terms before?
 *
 * What is asked for is an earlier entry on the same chain, about the same examinee, that says the
 * same.  To read all of them each time would take a time that grows with the square of their
 * number.  So digests of what the entries of some chains about some examinees say are kept, and
 * what has come since is added: entries come in the order of their chain.  What is known of a chain
 * that is taken back is forgotten.
 */
#include <string.h>

#include "rules/rules_internal.h"

#define BEFORE_SLOTS 16			/* of as many chains and examinees */
#define BEFORE_TERMS 20000		/* in each; what is more is read each time */

/* An entry with these terms, and the one before it with the same. */
typedef struct BeforeEntry
{
	struct BeforeEntry *earlier;
	int64_t		seq;
} BeforeEntry;

typedef struct BeforeSlot
{
	Pool	   *pool;			/* NULL: empty */
	const char *origin;
	uint8_t		subject[HASH_LEN];
	Map		   *terms;			/* from digests to entries */
	size_t		count;
	int64_t		last;			/* the newest entry in there */
} BeforeSlot;

struct SignedBefore
{
	BeforeSlot	slots[BEFORE_SLOTS];
};

SignedBefore *
signed_before_new(Pool *pool)
{
	return pool_alloc(pool, sizeof(SignedBefore));
}

void
signed_before_free(SignedBefore *before)
{
	for (int i = 0; i < BEFORE_SLOTS; i++)
		pool_free(before->slots[i].pool);
}

void
signed_before_forget(SignedBefore *before, const char *origin)
{
	for (int i = 0; i < BEFORE_SLOTS; i++)
	{
		BeforeSlot *slot = &before->slots[i];

		if (slot->pool == NULL || (origin != NULL && strcmp(slot->origin, origin) != 0))
			continue;
		pool_free(slot->pool);
		slot->pool = NULL;
	}
}

static void
before_begin(BeforeSlot *slot, const Claim *claim)
{
	pool_free(slot->pool);
	slot->pool = pool_new();
	slot->origin = pool_text(slot->pool, claim->origin);
	memcpy(slot->subject, claim->subject, HASH_LEN);
	slot->terms = map_new(slot->pool);
	slot->count = 0;
	slot->last = -1;
}

static BeforeSlot *
before_slot(SignedBefore *before, const Claim *claim)
{
	uint64_t	place = map_hash(claim->origin, strlen(claim->origin)) ^
	map_hash(claim->subject, HASH_LEN);
	BeforeSlot *slot = &before->slots[place % BEFORE_SLOTS];

	if (slot->pool == NULL || strcmp(slot->origin, claim->origin) != 0 ||
		memcmp(slot->subject, claim->subject, HASH_LEN) != 0)
		before_begin(slot, claim);
	return slot;
}

static void
before_digest(Pool *pool, const Claim *claim, uint8_t digest[HASH_LEN])
{
	size_t		len;
	const char *terms = json_slice_comparable(pool, claim->body, &len);

	if (!hash_sha256(terms, len, digest))
		pool_fail();
}

static void
before_add(BeforeSlot *slot, const Claim *claim, const uint8_t digest[HASH_LEN])
{
	void	  **place = map_at(slot->terms, digest, HASH_LEN);
	BeforeEntry *entry = pool_alloc(slot->pool, sizeof(BeforeEntry));

	entry->earlier = *place;
	entry->seq = claim->seq;
	*place = entry;
	slot->last = claim->seq;
	slot->count++;
}

/* What is asked, and of whom. */
typedef struct BeforeQuestion
{
	const Claim *claim;
	uint8_t		digest[HASH_LEN];
	SignedBeforeBy by_examinee;
	void	   *state;
} BeforeQuestion;

/*
 * Take what has come since into the slot.  True if it is in what there is no room for any more:
 * that is looked at each time.
 */
static bool
before_follow(Rules *rules, BeforeSlot *slot, const BeforeQuestion *question)
{
	const Claim *claim = question->claim;
	ClaimQuery	query = {
		.kinds = CLAIM_SET(CLAIM_PROTOCOL) | CLAIM_SET(CLAIM_AMENDMENT),
		.origin = claim->origin, .first = slot->last + 1, .last = claim->seq - 1,
		.subject = claim->subject
	};
	Pool	   *pool = pool_new();
	Claim		other;
	Claim		after;
	bool		begun = false;
	bool		found = false;

	while (!found && query.first <= query.last &&
		   rules->store->claim_next(rules->store_state, &query, begun ? &after : NULL, pool,
									&other))
	{
		uint8_t		digest[HASH_LEN];

		before_digest(pool, &other, digest);
		if (slot->count < BEFORE_TERMS)
			before_add(slot, &other, digest);
		else
			found = hash_equal(digest, question->digest) &&
				question->by_examinee(rules, pool, &other, question->state);
		after = other;
		after.origin = claim->origin;
		begun = true;
		pool_reset(pool);
	}
	pool_free(pool);
	return found;
}

/* Was the entry with the same terms at that place signed by him? */
static bool
before_signed(Rules *rules, const BeforeQuestion *question, int64_t seq)
{
	const Claim *claim = question->claim;
	ClaimQuery	query = {
		.kinds = CLAIM_SET(CLAIM_PROTOCOL) | CLAIM_SET(CLAIM_AMENDMENT),
		.origin = claim->origin, .first = seq, .last = seq, .subject = claim->subject
	};
	Pool	   *pool = pool_new();
	Claim		other;
	bool		found = rules->store->claim_next(rules->store_state, &query, NULL, pool, &other) &&
	question->by_examinee(rules, pool, &other, question->state);

	pool_free(pool);
	return found;
}

bool
signed_before(Rules *rules, Pool *pool, const Claim *claim, SignedBeforeBy by_examinee,
			  void *state)
{
	BeforeQuestion question = {.claim = claim, .by_examinee = by_examinee, .state = state};
	BeforeSlot *slot = before_slot(rules->signed_before, claim);
	bool		found;

	before_digest(pool, claim, question.digest);
	found = before_follow(rules, slot, &question);
	for (const BeforeEntry *entry = map_get(slot->terms, question.digest, HASH_LEN);
		 entry != NULL && !found; entry = entry->earlier)
		found = entry->seq < claim->seq && before_signed(rules, &question, entry->seq);
	return found;
}
