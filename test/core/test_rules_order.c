/*
 * test_rules_order.c: order never matters.
 *
 * Random histories of an alliance, hostile entries among them, are folded in random orders of
 * arrival: chains beside each other, cut anywhere, some of it taken back and sent again, the node
 * started anew in between.  Whatever the order, the state has one hash.
 *
 * RULES_INTERLEAVINGS: how many orders altogether (100,000), RULES_ORDERS: of each history (200),
 * RULES_SEED: where the dice start.
 */
#include <time.h>

#include "rules_history.h"
#include "rules/memory_store.h"
#include "tap.h"

typedef struct Fold
{
	MemoryStore *store;
	Rules	   *rules;
	int			taken[CAST];
} Fold;

static long settles = 0;
static long taken_back = 0;
static long restarts = 0;

static void
fold_begin(Fold *fold, History *history)
{
	memset(fold, 0, sizeof(*fold));
	fold->store = memory_store_new(true);
	fold->rules = rules_new("east", "dc", "h1", history->facts, &memory_store, fold->store);
}

static void
fold_end(Fold *fold)
{
	rules_free(fold->rules);
	memory_store_free(fold->store);
}

/* So many more entries of a chain. */
static void
fold_take(Fold *fold, History *history, int by, int count, bool settle)
{
	int			first = fold->taken[by];

	for (int i = 0; i < count; i++)
	{
		Step	   *step = &history->steps[history->chains[by].steps[fold->taken[by]++]];

		memory_store_entry(fold->store, step->claim.reason, strlen(step->claim.reason));
		rules_take_claim(fold->rules, &step->claim, step->said);
	}
	if (settle && count > 0)
		rules_settle(fold->rules, cast[by], first, fold->taken[by] - 1);
	settles += settle;
}

/* The way verify() does it: all claims, and then all of it. */
static void
fold_at_once(Fold *fold, History *history)
{
	for (int by = 0; by < CAST; by++)
		fold_take(fold, history, by, history->chains[by].count, false);
	for (int by = 0; by < CAST; by++)
		rules_settle(fold->rules, cast[by], 0, INT64_MAX);
}

static void
fold_restart(Fold *fold, History *history)
{
	rules_free(fold->rules);
	fold->rules = rules_new("east", "dc", "h1", history->facts, &memory_store, fold->store);
	rules_load(fold->rules);
	restarts++;
}

static void
fold_in_random_order(Fold *fold, History *history)
{
	int			left = history->count;
	int			step = 1 + dice(24);
	bool		hesitant = once_in(2);

	while (left > 0)
	{
		int			by = dice(CAST);
		int			there = history->chains[by].count - fold->taken[by];

		if (there > 0)
		{
			int			count = 1 + dice(there < step ? there : step);

			fold_take(fold, history, by, count, true);
			left -= count;
		}
		if (hesitant && fold->taken[by] > 0 && once_in(12))
		{
			int			first = dice(fold->taken[by]);

			rules_forget(fold->rules, cast[by], first);
			left += fold->taken[by] - first;
			fold->taken[by] = first;
			taken_back++;
		}
		if (once_in(40))
			fold_restart(fold, history);
	}
}

static void
print_row(void *state, const StateRow *row)
{
	FILE	   *file = state;

	fprintf(file, "%s", state_tables[row->table].name);
	for (int i = 0; i < state_tables[row->table].ncolumns; i++)
		fprintf(file, " %s=%.60s", state_tables[row->table].columns[i],
				row->values[i] != NULL ? row->values[i] : "-");
	fputc('\n', file);
}

/* Each row that only one of the two has. */
static void
show_difference(Fold *expected, Fold *got)
{
	char	   *texts[2];
	size_t		sizes[2];
	Fold	   *folds[2] = {expected, got};

	for (int i = 0; i < 2; i++)
	{
		FILE	   *file = open_memstream(&texts[i], &sizes[i]);

		memory_store_rows(folds[i]->store, print_row, file);
		fclose(file);
	}
	for (int i = 0; i < 2; i++)
		for (char *line = texts[i]; *line != '\0';)
		{
			char	   *end = strchr(line, '\n');
			char	   *wanted = strndup(line, (size_t) (end - line + 1));

			/* one value may have more than one line */
			if (strstr(texts[1 - i], wanted) == NULL)
				printf("# %s: %s", i == 0 ? "at once" : "in this order", wanted);
			free(wanted);
			line = end + 1;
		}
	free(texts[0]);
	free(texts[1]);
}

static long
setting(const char *name, long otherwise)
{
	const char *value = getenv(name);

	return value != NULL && *value != '\0' ? strtol(value, NULL, 10) : otherwise;
}

/* What the histories are made of: a test that reaches nothing shows nothing. */
static long reached[CLAIM_KINDS][2];

static void
count_row(void *state, const StateRow *row)
{
	ClaimKind	kind;

	(void) state;
	if (row->table == STATE_CLAIM && claim_kind_from_name(row->values[3], &kind))
		reached[kind][strcmp(row->values[10], "true") == 0]++;
}

int
main(void)
{
	World		world = {0};
	long		wanted = setting("RULES_INTERLEAVINGS", 100000);
	long		orders = setting("RULES_ORDERS", 200);
	uint64_t	seed = (uint64_t) setting("RULES_SEED", (long) time(NULL));
	long		done = 0;
	long		histories = 0;
	long		claims = 0;
	int			failures = 0;

	world_new(&world);
	while (done < wanted && failures < 3)
	{
		History    *history = malloc(sizeof(History));
		Fold		expected;
		uint8_t		hash[HASH_LEN];

		dice_state = (seed + (uint64_t) histories) * UINT64_C(0x9E3779B97F4A7C15) + 1;
		for (int i = 0; i < 8; i++)
			(void) dice(2);
		history_new(history, &world);
		fold_begin(&expected, history);
		fold_at_once(&expected, history);
		memory_store_hash(expected.store, hash);
		memory_store_rows(expected.store, count_row, NULL);
		claims += history->count;
		for (long i = 0; i < orders && done < wanted; i++, done++)
		{
			Fold		fold;
			uint8_t		other[HASH_LEN];

			fold_begin(&fold, history);
			fold_in_random_order(&fold, history);
			memory_store_hash(fold.store, other);
			if (memcmp(hash, other, HASH_LEN) != 0)
			{
				printf("# history %ld, order %ld of seed %llu\n", histories, i,
					   (unsigned long long) seed);
				show_difference(&expected, &fold);
				failures++;
				i = orders;
			}
			fold_end(&fold);
		}
		fold_end(&expected);
		history_free(history);
		free(history);
		histories++;
	}
	printf("# %ld orders of %ld histories with %ld claims: settled %ld times, %ld times something "
		   "was taken back, %ld times started anew; seed %llu\n", done, histories, claims,
		   settles, taken_back, restarts, (unsigned long long) seed);
	for (int kind = 0; kind < CLAIM_KINDS; kind++)
		printf("# %s: %ld with effect, %ld without\n", claim_kind_name((ClaimKind) kind),
			   reached[kind][1], reached[kind][0]);
	is_number(failures, 0, "the state has one hash, whatever the order of arrival");
	for (int kind = 0; kind < CLAIM_KINDS && histories > 200; kind++)
	{
		char		name[80];

		snprintf(name, sizeof(name), "there is a %s with effect, and one without",
				 claim_kind_name((ClaimKind) kind));
		ok(reached[kind][1] > 0 && reached[kind][0] > 0, name);
	}
	world_free(&world);
	return done_testing();
}
