/*
 * signers.c: whose key signs which block of an export, by the rules.
 */
#include <string.h>

#include "core/encode.h"
#include "core/keycache.h"
#include "rules/fork.h"
#include "rules/member.h"
#include "rules/memory_store.h"
#include "signers.h"

/* From that height on, blocks were verified with this key. */
typedef struct SignedPart
{
	int64_t		from_height;
	const char *pem;
} SignedPart;

/* A chain of the export, and how it was verified. */
typedef struct SignedChain
{
	const char *origin;
	int64_t		height;			/* of the last block; -1: none yet */
	SignedPart *parts;
	size_t		nparts;
	int64_t    *named;			/* heights of blocks whose hash the data centre names rightly */
	size_t		nnamed;
	bool		rekeyed;		/* the block that was taken last has a change of key in it */
} SignedChain;

struct Signers
{
	Pool	   *pool;
	Facts	   *facts;
	const char *data_center;
	const char *anchors;		/* the user's; NULL: none */
	MemoryStore *store;
	Rules	   *rules;
	SignedChain **chains;		/* the current one last */
	size_t		nchains;
	bool		unsettled;		/* others' keys may follow from claims that came since it was
								 * settled */
};

Signers *
signers_new(const char *alliance, const char *data_center, const char *anchors, Facts *facts)
{
	Pool	   *pool = pool_new();
	Signers    *signers = pool_alloc(pool, sizeof(Signers));

	signers->pool = pool;
	signers->facts = facts;
	signers->data_center = pool_text(pool, data_center);
	signers->anchors = facts_keep(facts, anchors);
	signers->store = memory_store_new(false);
	signers->rules = rules_new(alliance, data_center, NULL, facts, &memory_store, signers->store);
	return signers;
}

void
signers_free(Signers *signers)
{
	if (signers == NULL)
		return;
	rules_free(signers->rules);
	memory_store_free(signers->store);
	pool_free(signers->pool);
}

static SignedChain *
signers_current(const Signers *signers)
{
	return signers->chains[signers->nchains - 1];
}

static const Standing *
signers_standing(const Signers *signers, const char *origin)
{
	const Party *party = rules_party(signers->rules, origin);

	return party != NULL ? party->now : NULL;
}

static void
signers_settle(Signers *signers)
{
	rules_settle(signers->rules, NULL, 0, INT64_MAX);
	signers->unsettled = false;
}

/* The last of the keys that begin at that height or before; NULL: none. */
static const KeyRow *
signers_row(const Standing *standing, int64_t height)
{
	const KeyRow *found = NULL;

	for (size_t i = 0; standing != NULL && i < standing->nkeys; i++)
		if (standing->keys[i].from_height <= height)
			found = &standing->keys[i];
	return found;
}

/* The hash that the block before these has by the data centre's word, or NULL. */
static const uint8_t *
signers_follows(const char *origin, const KeyRow *row)
{
	return row->cause != NULL && strcmp(row->cause->by->name, origin) != 0 &&
		row->cause->said->last.has_hash ? row->cause->said->last.hash : NULL;
}

const char *
signers_key_until(const Signers *signers, const char *origin, int64_t *height)
{
	const KeyRow *row = signers_row(signers_standing(signers, origin), *height);

	if (row == NULL)
		return NULL;
	*height = row->from_height - 1;
	return row->key->pem;
}

const char *
signers_key_of(const Signers *signers, const char *origin, int64_t height)
{
	const KeyRow *row = signers_row(signers_standing(signers, origin), height);

	return row != NULL ? row->key->pem : NULL;
}

/* ----- the user's trust anchors ----- */

static bool
signers_accept(Signers *signers, const char *origin, const MemberClaim *cause, CoreError *error)
{
	const Statement *said = cause->said;
	const PathFact *path;

	if (said->certificate == NULL)
		return true;
	path = facts_path(signers->facts, said->certificate, signers->anchors, said->claim.time);

	/*
	 * Renewed anchors are the word of who has a certificate under the user's.  Genesis comes
	 * before them: else anybody's alliance could vouch for itself.
	 */
	return path->reason == NULL ||
		(said->claim.kind != CLAIM_GENESIS &&
		 rules_renewed_accept(signers->rules, said->certificate, said->claim.time)) ||
		error_set(error, CORE_MALFORMED, "certificate of \"%.60s\" is not accepted: %.150s", origin,
				  path->reason);
}

/* Does whatever lets the current chain's keys count lead there? */
static bool
signers_accepted(Signers *signers, CoreError *error)
{
	const char *origin = signers_current(signers)->origin;
	const Standing *standing = signers_standing(signers, origin);
	bool		fine = true;

	if (signers->anchors == NULL || standing == NULL)
		return true;
	for (size_t i = 0; i < standing->ncertificates && fine; i++)
		fine = signers_accept(signers, origin, standing->certificates[i].cause, error);
	for (size_t i = 0; i < standing->nkeys && fine; i++)
		if (standing->keys[i].cause != NULL)
			fine = signers_accept(signers, origin, standing->keys[i].cause, error);
	return fine;
}

/* ----- a chain, block by block ----- */

bool
signers_begin(Signers *signers, const char *origin, CoreError *error)
{
	SignedChain *chain = pool_alloc(signers->pool, sizeof(SignedChain));

	chain->origin = pool_text(signers->pool, origin);
	chain->height = -1;
	signers->chains = pool_grow(signers->pool, signers->chains, signers->nchains,
								sizeof(SignedChain *));
	signers->chains[signers->nchains++] = chain;
	if (signers->unsettled)
		signers_settle(signers);
	return signers_accepted(signers, error);
}

/* The key of the certificate in the entry that founds the alliance. */
static const char *
signers_genesis(Signers *signers, const Claim *genesis, CoreError *error)
{
	char	   *certificate = NULL;
	const KeyFact *key;

	if (genesis->seq == 0 && genesis->kind == CLAIM_GENESIS)
		certificate = json_slice_text(signers->pool, json_slice_get(genesis->body, "certificate"));
	if (certificate == NULL)
	{
		error_set(error, CORE_MALFORMED,
				  "the first entry of the data centre's chain is no genesis");
		return NULL;
	}
	key = facts_key(signers->facts, certificate);
	if (key->reason != NULL)
		error_set(error, CORE_MALFORMED, "%s", key->reason);
	return key->pem;
}

const Key *
signers_key(Signers *signers, int64_t height, const Claim *genesis, CoreError *error)
{
	SignedChain *chain = signers_current(signers);
	const Standing *standing = signers_standing(signers, chain->origin);
	const MemberClaim *expelled = standing != NULL ? standing->member.expelled : NULL;
	const KeyRow *row = signers_row(standing, height);
	const char *pem = row != NULL ? row->key->pem : NULL;

	if (expelled != NULL && height > expelled->said->last.height)
	{
		error_set(error, CORE_MALFORMED, "\"%.60s\" was expelled; its last block is %lld",
				  chain->origin, (long long) expelled->said->last.height);
		return NULL;
	}
	if (genesis != NULL && (pem = signers_genesis(signers, genesis, error)) == NULL)
		return NULL;
	if (pem == NULL)
	{
		error_set(error, CORE_MALFORMED, "the ledger of \"%.60s\" is not configured",
				  chain->origin);
		return NULL;
	}
	if (chain->nparts == 0 || strcmp(chain->parts[chain->nparts - 1].pem, pem) != 0)
	{
		chain->parts = pool_grow(signers->pool, chain->parts, chain->nparts, sizeof(SignedPart));
		chain->parts[chain->nparts].from_height = height;
		chain->parts[chain->nparts++].pem = pem;
	}
	return keycache_get(pem, strlen(pem), error);
}

/*
 * Is that the fingerprint of the key that the block which is taken was signed with?  No other one
 * is changed by an entry in it.
 */
static bool
signers_follows_key(const Signers *signers, const char *fingerprint)
{
	const SignedChain *chain = signers_current(signers);
	const KeyRow *row = signers_row(signers_standing(signers, chain->origin), chain->height + 1);

	return row != NULL && strcmp(row->key->fingerprint, fingerprint) == 0;
}

void
signers_take(Signers *signers, const Claim *claim, Statement *said)
{
	SignedChain *chain = signers_current(signers);

	if (said == NULL)
		return;
	rules_take_claim(signers->rules, claim, said);

	/*
	 * Each of a thousand members countersigns its contract.  What that lets it do for others'
	 * keys, it does by further claims.
	 */
	if (claim->kind != CLAIM_ACCEPTANCE)
		signers->unsettled = true;
	if (claim->kind == CLAIM_GENESIS ||
		(claim->kind == CLAIM_REKEY && said->member != NULL && said->previous != NULL &&
		 strcmp(said->member, chain->origin) == 0 && signers_follows_key(signers, said->previous)))
		chain->rekeyed = true;
}

/* The first claim of all must be of an entry that founds the alliance. */
static bool
signers_founded(Signers *signers, CoreError *error)
{
	const Party *center = rules_party(signers->rules, signers->data_center);
	ClaimQuery	query = {.kinds = CLAIM_SET(CLAIM_GENESIS)};
	Claim		genesis;

	if (center != NULL && center->now->nkeys > 0)
		return true;
	if (!memory_store.claim_next(signers->store, &query, NULL, signers->pool, &genesis))
		return error_set(error, CORE_MALFORMED,
						 "the first entry of the data centre's chain is no genesis");
	return error_set(error, CORE_MALFORMED, "genesis of \"%.60s\" has no effect: %.150s",
					 signers->data_center, genesis.reason);
}

bool
signers_block(Signers *signers, int64_t height, const uint8_t head[HASH_LEN], CoreError *error)
{
	SignedChain *chain = signers_current(signers);
	const Standing *standing;

	chain->height = height;
	if (chain->rekeyed)
	{
		chain->rekeyed = false;
		signers_settle(signers);
		if (!signers_accepted(signers, error) || !signers_founded(signers, error))
			return false;
	}
	standing = signers_standing(signers, chain->origin);
	for (size_t i = 0; standing != NULL && i < standing->nkeys; i++)
	{
		const KeyRow *row = &standing->keys[i];
		const uint8_t *follows = signers_follows(chain->origin, row);

		if (row->from_height != height + 1 || follows == NULL)
			continue;
		if (!hash_equal(head, follows))
			return error_set(error, CORE_MALFORMED,
							 "the data centre names another block as the last before a new key");
		chain->named = pool_grow(signers->pool, chain->named, chain->nnamed, sizeof(int64_t));
		chain->named[chain->nnamed++] = height;
	}
	return true;
}

/* ----- when all is there ----- */

static bool
signers_was_named(const SignedChain *chain, int64_t height)
{
	for (size_t i = 0; i < chain->nnamed; i++)
		if (chain->named[i] == height)
			return true;
	return false;
}

/* Was the chain verified with the keys that follow from everything? */
static bool
signers_same(const Signers *signers, const SignedChain *chain)
{
	const Standing *standing = signers_standing(signers, chain->origin);
	const MemberClaim *expelled = standing != NULL ? standing->member.expelled : NULL;

	if (standing == NULL || (expelled != NULL && chain->height > expelled->said->last.height))
		return false;
	for (size_t i = 0; i < chain->nparts; i++)
	{
		const KeyRow *row = signers_row(standing, chain->parts[i].from_height);

		if (row == NULL || strcmp(row->key->pem, chain->parts[i].pem) != 0)
			return false;
	}
	for (size_t i = 0; i < standing->nkeys && standing->keys[i].from_height <= chain->height; i++)
	{
		const KeyRow *row = &standing->keys[i];
		const char *used = NULL;

		for (size_t j = 0; j < chain->nparts; j++)
			if (chain->parts[j].from_height <= row->from_height)
				used = chain->parts[j].pem;
		if (used == NULL || strcmp(used, row->key->pem) != 0 ||
			(signers_follows(chain->origin, row) != NULL &&
			 !signers_was_named(chain, row->from_height - 1)))
			return false;
	}
	return true;
}

bool
signers_end(Signers *signers, CoreError *error)
{
	signers_settle(signers);
	for (size_t i = 0; i < signers->nchains; i++)
		if (!signers_same(signers, signers->chains[i]))
			return error_set(error, CORE_MALFORMED,
							 "the ledger of \"%.60s\", which came before, was configured with "
							 "another key", signers->chains[i]->origin);
	return true;
}

void
signers_forks(const Signers *signers, json_t *forks)
{
	for (size_t i = 0; i < signers->nchains; i++)
	{
		const Standing *standing = signers_standing(signers, signers->chains[i]->origin);

		for (size_t j = 0; standing != NULL && j < standing->nforks; j++)
		{
			const ForkRow *fork = &standing->forks[j];
			const ForkProof *proof = fork->claim->said->fork;
			char		hex[2][ENCODE_HEX_SIZE(HASH_LEN)];
			json_t	   *found;

			for (int k = 0; k < 2; k++)
				encode_hex(proof->notes[k].hash, HASH_LEN, hex[k]);
			found = json_pack("{s:s, s:I, s:s, s:s, s:[s, s], s:s, s:b}", "member",
							  signers->chains[i]->origin, "height", (json_int_t) proof->height,
							  "block", hex[0], "other", hex[1], "notes", proof->notes[0].text,
							  proof->notes[1].text, "proven_by",
							  fork->claim->said->claim.origin, "excludes", fork->excludes);
			if (fork->decision != NULL)
			{
				const ForkProof *decided = fork->decision->said->fork;

				encode_hex(decided->notes[decided->counts].hash, HASH_LEN, hex[0]);
				json_object_set_new(found, "counts", json_string(hex[0]));
			}
			json_array_append_new(forks, found);
		}
	}
}
