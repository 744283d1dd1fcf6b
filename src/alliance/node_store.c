/*
 * node_store.c: what the store of the rules keeps in memory, and for how long (see node_store.h).
 *
 * Claims are kept by what they are about: a protocol, an examinee.  All claims about it are read
 * at once, those of many protocols in one statement, and are in the memory store of the rules from
 * then on.  Where there are too many about one thing, and for chains as a whole, they are read
 * piece by piece as they are asked for.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "alliance/node_store_internal.h"
#include "core/encode.h"

#define STORE_TOGETHER 64		/* claims about one thing that are kept together */
#define STORE_BYTES (32 * 1024 * 1024)	/* of claims in memory, after which they are forgotten */
#define STORE_PARSED 4			/* times the memory of a text that what is read from it takes */
#define STORE_WAITING 20000		/* rows and claims that wait, after which they are written */
#define STORE_KEYS 500			/* that are asked for at once */

NodeStore *
node_store_new(void)
{
	NodeStore  *store = palloc0(sizeof(NodeStore));

	store->temp = AllocSetContextCreate(CurrentMemoryContext, "medchain rules statement",
										ALLOCSET_DEFAULT_SIZES);
	store->known_pool = pool_new();
	store->known = map_new(store->known_pool);
	store->pool = pool_new();
	store->waiting = pool_new();
	store->scratch = pool_new();
	return store;
}

/* Forget what was read; what waits must be written. */
static void
store_forget(NodeStore *store)
{
	memory_store_free(store->cache);
	pool_reset(store->pool);
	store->cache = memory_store_new(false);
	store->about = map_new(store->pool);
	store->subject = map_new(store->pool);
	store->bytes = 0;
	store->fresh_origin = NULL;
	store->fresh = NULL;
	for (int i = 0; i < STREAMS; i++)
	{
		pool_free(store->streams[i].pool);
		store->streams[i].pool = NULL;
	}
}

void
node_store_begin(NodeStore *store, bool write)
{
	store->write = write;
	store->kinds = 0;
	store_forget(store);
}

void
node_store_fresh(NodeStore *store, const char *origin, int64 first)
{
	store->fresh_origin = pool_text(store->pool, origin);
	store->fresh_first = first;
}

void
node_store_entry(NodeStore *store, const char *payload, size_t len)
{
	store->payload = payload;
	store->payload_len = len;
}

void
node_store_end(NodeStore *store)
{
	store_flush(store);
	store_forget(store);
	MemoryContextReset(store->temp);
}

uint32
node_store_kinds(const NodeStore *store)
{
	return store->kinds;
}

void
store_known(NodeStore *store, const char *origin, int64 seq)
{
	void	  **place = map_at(store->known, origin, strlen(origin));
	KnownChain *chain = *place;

	if (chain == NULL)
	{
		chain = *place = pool_alloc(store->known_pool, sizeof(KnownChain));
		chain->origin = pool_text(store->known_pool, origin);
		chain->next = store->known_list;
		store->known_list = chain;
	}
	chain->seq = seq;
}

/* ----- what is in memory ----- */

static bool
store_cached(NodeStore *store, const char *origin, int64 seq, Claim *claim)
{
	ClaimQuery	query = {.kinds = CLAIM_SET_ALL, .origin = origin, .first = seq, .last = seq};

	return memory_store.claim_next(store->cache, &query, NULL, NULL, claim);
}

/*
 * Is there all that is said about something?  Not yet; it was asked for; yes; yes, and the tables
 * had nothing of it, nor rows that follow from it (store->fresh, until something is written); and
 * no, as it is too much.
 */
static char complete_asked;
static char complete_yes;
static char complete_never;

static void **
store_complete(NodeStore *store, bool subjects, const char *key)
{
	return map_at(subjects ? store->subject : store->about, key, strlen(key));
}

/* How much has come about the last of some keys. */
typedef struct StoreCount
{
	bool		subjects;
	const char *key;
	int			count;
} StoreCount;

static void
store_keep(NodeStore *store, const char *key, const Claim *claim, size_t bytes, void *state)
{
	StoreCount *count = state;
	Claim		kept;

	if (count->key == NULL || strcmp(count->key, key) != 0)
	{
		count->key = pool_text(store->pool, key);
		count->count = 0;
		*store_complete(store, count->subjects, key) = &complete_yes;
	}
	if (++count->count > STORE_TOGETHER)
	{
		*store_complete(store, count->subjects, key) = &complete_never;
		return;
	}
	if (store_cached(store, claim->origin, claim->seq, &kept))
		return;					/* and may have been judged since */
	memory_store_entry(store->cache, NULL, 0);
	memory_store.claim_add(store->cache, claim);
	memory_store.claim_judge(store->cache, claim->origin, claim->seq,
							 claim->effective ? NULL :
							 claim->reason != NULL ? claim->reason : "");
	store->bytes += bytes;
}

static void
store_load(NodeStore *store, bool subjects, const char *const *keys, size_t count)
{
	StoreCount	counted = {.subjects = subjects};

	if (store->loose)
		store_flush(store);
	store_read_keys(store, subjects, keys, count, STORE_TOGETHER + 1, store_keep, &counted);
	if (store->fresh == NULL)
		store->fresh = pool_alloc(store->pool, 1);
	for (size_t i = 0; i < count; i++)
	{
		void	  **complete = store_complete(store, subjects, keys[i]);

		if (*complete == NULL || *complete == &complete_asked)
			*complete = store->fresh;
	}
}

void
node_store_prefetch(NodeStore *store)
{
	const char **keys = palloc(STORE_KEYS * sizeof(char *));

	for (int subjects = 0; subjects <= 1; subjects++)
	{
		size_t		count = 0;

		for (const WaitingClaim *waiting = store->claim_list; waiting != NULL;
			 waiting = waiting->next)
		{
			Claim		claim;
			const char *key;
			char		hex[ENCODE_HEX_SIZE(HASH_LEN)];

			if (!store_cached(store, waiting->origin, waiting->seq, &claim) ||
				(CLAIM_SET(claim.kind) & (CLAIM_SET_PROTOCOL | CLAIM_SET_EXAMINEE)) == 0 ||
				(subjects && !claim.has_subject))
				continue;
			encode_hex(claim.subject, HASH_LEN, hex);
			key = subjects ? hex : claim.about;
			if (*store_complete(store, subjects, key) != NULL)
				continue;
			*store_complete(store, subjects, key) = &complete_asked;
			keys[count++] = pool_text(store->pool, key);
			if (count == STORE_KEYS)
			{
				store_load(store, subjects, keys, count);
				count = 0;
			}
		}
		if (count > 0)
			store_load(store, subjects, keys, count);
	}
	pfree(keys);
}

/* ----- the store's functions ----- */

static void
node_claim_add(void *state, const Claim *claim)
{
	NodeStore  *store = state;

	memory_store_entry(store->cache, store->payload, store->payload_len);
	memory_store.claim_add(store->cache, claim);
	store->bytes += sizeof(Claim) + STORE_PARSED * store->payload_len;
	store->kinds |= CLAIM_SET(claim->kind);
	store_waiting_claim(store, claim->origin, claim->seq)->fresh = true;
	if ((CLAIM_SET(claim->kind) & CLAIM_SET_MEMBER) != 0)
		store_known(store, claim->origin, claim->seq);
}

static void
node_claim_judge(void *state, const char *origin, int64_t seq, const char *reason)
{
	NodeStore  *store = state;
	WaitingClaim *waiting;
	Claim		claim;

	if (!store->write)
		return;
	waiting = store_waiting_claim(store, origin, seq);
	waiting->judged = true;
	waiting->reason = pool_text(store->waiting, reason);
	if (store_cached(store, origin, seq, &claim))
		memory_store.claim_judge(store->cache, origin, seq, reason);
	else
		store->loose = true;
	for (int i = 0; i < STREAMS; i++)
	{
		Claim	   *item = stream_find(&store->streams[i], origin, seq);

		if (item != NULL)
		{
			item->effective = reason == NULL;
			item->reason = pool_text(store->streams[i].pool, reason);
		}
	}
}

static void
node_claims_remove(void *state, const char *origin, int64_t first)
{
	NodeStore  *store = state;

	KnownChain *chain = map_get(store->known, origin, strlen(origin));

	store_flush(store);
	store->kinds |= store_remove_claims(store, origin, first);
	store_forget(store);
	if (chain != NULL)
		chain->seq = Min(chain->seq, first - 1);
}

/* Nothing may need more memory than that because a chain has much in it. */
static void
store_bound(NodeStore *store)
{
	if (store->bytes <= STORE_BYTES && store->nwaiting <= STORE_WAITING)
		return;
	store_flush(store);
	if (store->bytes > STORE_BYTES)
		store_forget(store);
}

static bool
store_together(NodeStore *store, bool subjects, const char *key)
{
	void	  **complete = store_complete(store, subjects, key);

	if (*complete == NULL)
	{
		store_load(store, subjects, &key, 1);
		complete = store_complete(store, subjects, key);
	}
	return *complete != &complete_never;
}

bool
store_has_rows(NodeStore *store, const char *protocol)
{
	const void *complete = map_get(store->about, protocol, strlen(protocol));

	return complete == NULL || complete != store->fresh;
}

static bool
store_in_memory(NodeStore *store, const ClaimQuery *query)
{
	char		hex[ENCODE_HEX_SIZE(HASH_LEN)];

	if (query->about != NULL)
		return store_together(store, false, query->about);
	if (query->subject != NULL)
	{
		encode_hex(query->subject, HASH_LEN, hex);
		return store_together(store, true, hex);
	}
	return query->origin != NULL && store->fresh_origin != NULL &&
		strcmp(query->origin, store->fresh_origin) == 0 && query->first >= store->fresh_first;
}

static bool
node_claim_next(void *state, const ClaimQuery *query, const Claim *after, Pool *pool,
				Claim *claim)
{
	NodeStore  *store = state;
	Claim		found;

	store_bound(store);
	if (store_in_memory(store, query) ?
		!memory_store.claim_next(store->cache, query, after, NULL, &found) :
		!stream_next(store, query, after, &found))
		return false;

	/* what is in memory may be forgotten at the next call */
	*claim = found;
	claim->origin = pool_text(pool, found.origin);
	claim->about = pool_text(pool, found.about);
	if (found.unread && !query->bare)
	{
		claim->body = store_claim_body(store, pool, claim->origin, claim->seq);
		claim->unread = false;
	}
	else
		claim->body = json_slice_keep(pool, found.body);
	claim->reason = pool_text(pool, found.reason);
	claim->canonical = NULL;
	return true;
}

static const char *
node_entry_text(void *state, Pool *pool, const char *origin, int64_t seq, size_t *len)
{
	NodeStore  *store = state;
	const char *payload = memory_store.entry_text(store->cache, NULL, origin, seq, len);

	if (payload != NULL)
		return pool_copy(pool, payload, *len);
	return store_entry_text(store, pool, origin, seq, len);
}

static void
node_row_put(void *state, const StateRow *row)
{
	store_row(state, row, false);
}

static void
node_row_remove(void *state, const StateRow *key)
{
	store_row(state, key, true);
}

static void
node_rows_trim(void *state, StateTable table, const char *protocol, int64_t first)
{
	store_trim(state, table, protocol, first, store_has_rows(state, protocol));
}

static char *
node_fact_get(void *state, Pool *pool, const uint8_t question[HASH_LEN])
{
	return store_fact(state, pool, question);
}

static void
node_fact_put(void *state, const uint8_t question[HASH_LEN], const char *answer)
{
	store_fact_waits(state, question, answer);
}

const RulesStore node_store = {
	.claim_add = node_claim_add,
	.claim_judge = node_claim_judge,
	.claims_remove = node_claims_remove,
	.claim_next = node_claim_next,
	.entry_text = node_entry_text,
	.row_put = node_row_put,
	.row_remove = node_row_remove,
	.rows_trim = node_rows_trim,
	.fact_get = node_fact_get,
	.fact_put = node_fact_put
};
