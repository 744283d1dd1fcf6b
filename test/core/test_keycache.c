/*
 * The cache of parsed keys: a batch of one signer is parsed once, and however many signers there
 * are, it stays small.
 */
#include <stdlib.h>

#include <openssl/crypto.h>

#include "core/keycache.h"
#include "tap.h"

static long live = 0;			/* allocations of OpenSSL that are not freed yet */
static long made = 0;

static void *
count_malloc(size_t size, const char *file, int line)
{
	(void) file;
	(void) line;
	live++;
	made++;
	return malloc(size);
}

static void *
count_realloc(void *old, size_t size, const char *file, int line)
{
	(void) file;
	(void) line;
	if (old == NULL)
		live++, made++;
	return realloc(old, size);
}

static void
count_free(void *old, const char *file, int line)
{
	(void) file;
	(void) line;
	if (old != NULL)
		live--;
	free(old);
}

/*
 * The key of RFC 8032, 7.1, test 3; what stands before the PEM block makes each a text of its own,
 * and so a key of its own to the cache.
 */
static const Key *
cached(int i)
{
	char		text[300];
	CoreError	error = {0};

	snprintf(text, sizeof(text), "%d\n-----BEGIN PUBLIC "
			 "KEY-----\nMCowBQYDK2VwAyEA/FHNjmIYoaONpH7QAjDwWAgW7RO6MwOsXeuRFUiQgCU=\n-----END "
			 "PUBLIC KEY-----\n", i);
	return keycache_get(text, strlen(text), &error);
}

static void
test_keycache(void)
{
	const Key  *first = cached(0);
	CoreError	error = {0};
	long		parse;
	long		hit;
	long		full;

	made = 0;
	cached(1);
	parse = made;
	made = 0;
	ok(cached(0) == first, "a key is kept");
	hit = made;
	ok(hit < parse / 2, "and not parsed again");
	if (hit >= parse / 2)
		printf("# %ld allocations to find, %ld to parse\n", hit, parse);
	made = 0;
	for (int i = 0; i < 100; i++)
		cached(0);
	is_number(made, 100 * hit, "however often it is asked for");

	for (int i = 0; i < KEYCACHE_SIZE; i++)
		cached(1000 + i);
	full = live;
	for (int i = 0; i < 1000; i++)
		cached(2000 + i);
	is_number(live, full, "a thousand keys take no more room than the cache has");
	first = cached(2999);
	for (int i = 0; i < 1000; i++)
	{
		cached(4000 + i);
		if (cached(2999) != first)
			first = NULL;
	}
	ok(first != NULL, "what is used stays, whatever comes between");
	ok(keycache_get("no key", 6, &error) == NULL &&
	   error.code == CORE_MALFORMED, "what is no key is an error");
	error.code = CORE_OK;
	ok(keycache_get("no key", 6, &error) == NULL && error.code == CORE_MALFORMED, "each time");
}

int
main(void)
{
	if (CRYPTO_set_mem_functions(count_malloc, count_realloc, count_free) != 1)
		abort();
	test_keycache();
	return done_testing();
}
