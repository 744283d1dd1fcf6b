/*
 * Any bytes as entries of an alliance, one a line: of the data centre's chain and of others in
 * turn. Whatever they say, they are folded, in bounded time and memory, and in another order to
 * the same state.
 */
#include "fuzz.h"
#include "rules/memory_store.h"
#include "rules/rules.h"

#define ENTRIES_MAX 100

typedef struct FuzzEntry
{
	const char *origin;
	const char *text;
	size_t		len;
	int64_t		seq;
	int64_t		sealed;
} FuzzEntry;

static void
take(Rules *rules, MemoryStore *store, const FuzzEntry *entry)
{
	memory_store_entry(store, entry->text, entry->len);
	(void) rules_take(rules, entry->text, entry->len, entry->origin, entry->seq, entry->seq / 2,
					  entry->sealed);
}

/* The entry's own word for its chain and for its block's time, if there is one. */
static void
read_entry(Pool *pool, FuzzEntry *out)
{
	Entry		entry;

	out->origin = "dc";
	out->sealed = 0;
	if (!entry_read_old(out->text, out->len, &entry, NULL))
		return;
	out->origin = pool_text(pool, entry.origin);
	(void) period_time(entry.time, &out->sealed);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Pool	   *pool = pool_new();
	FuzzEntry	entries[ENTRIES_MAX];
	size_t		count = 0;
	Facts	   *facts = facts_new(NULL, NULL);
	uint8_t		hashes[2][HASH_LEN];

	for (size_t at = 0; at < size && count < ENTRIES_MAX;)
	{
		const uint8_t *end = memchr(data + at, '\n', size - at);
		size_t		len = end != NULL ? (size_t) (end - data) - at : size - at;
		FuzzEntry  *entry = &entries[count];

		entry->text = pool_copy(pool, data + at, len);
		entry->len = len;
		read_entry(pool, entry);
		entry->seq = 0;
		for (size_t i = 0; i < count; i++)
			if (strcmp(entries[i].origin, entry->origin) == 0)
				entry->seq = entries[i].seq + 1;
		count++;
		at += len + 1;
	}
	for (int way = 0; way < 2; way++)
	{
		MemoryStore *store = memory_store_new(false);
		Rules	   *rules = rules_new("east", "dc", "h1", facts, &memory_store, store);

		/* one by one; or chain by chain, the last first, and with something taken back */
		for (size_t i = 0; i < count; i++)
			if (way == 0)
			{
				take(rules, store, &entries[i]);
				rules_settle(rules, entries[i].origin, entries[i].seq, entries[i].seq);
			}
		for (size_t i = count; way == 1 && i > 0; i--)
		{
			const char *origin = entries[i - 1].origin;
			bool		last = true;

			for (size_t j = i; j < count; j++)
				last = last && strcmp(entries[j].origin, origin) != 0;
			for (int round = 0; last && round < 2; round++)
			{
				for (size_t j = 0; j < count; j++)
					if (strcmp(entries[j].origin, origin) == 0 && entries[j].seq >= round)
						take(rules, store, &entries[j]);
				rules_settle(rules, origin, 0, INT64_MAX);
				if (round == 0)
					rules_forget(rules, origin, 1);
			}
		}
		memory_store_hash(store, hashes[way]);
		rules_free(rules);
		memory_store_free(store);
	}
	MUST(memcmp(hashes[0], hashes[1], HASH_LEN) == 0);
	facts_free(facts);
	pool_free(pool);
	return 0;
}
