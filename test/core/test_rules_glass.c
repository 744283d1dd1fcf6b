/*
 * test_rules_glass.c: emergencies, rule by rule: who breaks the glass, where that counts and for
 * how long, who justifies it; and that many of them cost no more than few.
 */
#include "rules_history.h"
#include "rules/memory_store.h"
#include "tap.h"

#define DAY (INT64_C(86400) * PERIOD_SECOND)
#define DC 0
#define E1 1
#define H1 3					/* with the capability emergency */
#define H2 4					/* without */
#define MANY 300
#define FAR 1000				/* behind all that is said otherwise */

static History history;
static MemoryStore *store;
static Rules *rules;
static RulesStore counting;
static long asked = 0;			/* claims that were asked for */

static bool
count_claim_next(void *state, const ClaimQuery *query, const Claim *after, Pool *pool,
				 Claim *claim)
{
	asked++;
	return memory_store.claim_next(state, query, after, pool, claim);
}

/* Take what was said last. */
static void
take(void)
{
	Step	   *step = &history.steps[history.count - 1];

	memory_store_entry(store, step->claim.reason, strlen(step->claim.reason));
	rules_take_claim(rules, &step->claim, step->said);
	rules_settle(rules, step->claim.origin, step->claim.seq, step->claim.seq);
}

/* Why the last entry of a chain has no effect; empty: it has. */
static const char *
reason_of(int by)
{
	int64_t		seq = history.chains[by].count - 1;
	ClaimQuery	query = {.kinds = CLAIM_SET_ALL, .origin = cast[by], .first = seq, .last = seq};
	Claim		claim;

	pki_must(memory_store.claim_next(store, &query, NULL, history.pool, &claim), "no claim");
	return claim.effective ? "" : claim.reason;
}

static const char *
said(int by, const char *kind, int examinee, const char *body)
{
	say_as(&history, by, kind, NULL, examinee, body);
	take();
	return reason_of(by);
}

/* A column of the row that follows from an entry; empty: null, or there is none. */
static const char *
column(int by, int seq, int number)
{
	StateRow	key = {.table = STATE_BREAK_GLASS};
	StateRow	row;

	key.values[0] = cast[by];
	key.values[1] = state_number(history.pool, seq);
	if (!memory_store_row(store, &key, &row) || row.values[number] == NULL)
		return "";
	return pool_text(history.pool, row.values[number]);
}

static void
contract(int with, const char *kind, const char *capabilities)
{
	EVP_PKEY   *key = history.world->keys[DC][0];
	const char *payload = pool_format(history.pool, "{\"alliance\":\"east\",\"member\":\"%s\","
									  "\"kind\":\"%s\",\"certificate\":%s,\"capabilities\":%s,"
									  "\"valid\":{}}", cast[with], kind,
									  quoted(&history, history.world->certificates[with][0]),
									  capabilities);
	int			number = history.ncontracts++;

	fresh_id(&history, history.contracts[number]);
	history.contract_payloads[number] = (char *) payload;
	history.contract_with[number] = with;
	say_as(&history, DC, "contract", history.contracts[number], -1,
		   envelope(&history, "contract", payload, &key, 1));
	take();
	do_acceptance(&history, number, with);
	take();
	if (with == E1)
		return;
	is_string(said(E1, "configure", -1,
				   pool_format(history.pool, "{\"member\":\"%s\",\"public_key\":%s}", cast[with],
							   quoted(&history, history.world->public_keys[with][0]))), "",
			  "its ledger is configured");
}

static void
begin(World *world)
{
	history.world = world;
	history.facts = facts_new(NULL, NULL);
	history.pool = pool_new();
	pki_must(period_time("2026-01-05T00:00:00.000000Z", &history.now), "no time");
	counting = memory_store;
	counting.claim_next = count_claim_next;
	store = memory_store_new(true);
	rules = rules_new("east", "dc", NULL, history.facts, &counting, store);
	plain = true;
	is_string(said(DC, "genesis", -1,
				   pool_format(history.pool, "{\"alliance\":\"east\",\"member\":\"dc\","
							   "\"kind\":\"data_center\",\"certificate\":%s,\"trust_anchors\":%s}",
							   quoted(&history, world->certificates[DC][0]),
							   quoted(&history, world->anchors))), "", "there is an alliance");
	contract(E1, "end_node", "[\"configure\",\"issue\"]");
	contract(H1, "chain_node", "[\"query\",\"update\",\"emergency\"]");
	contract(H2, "chain_node", "[\"query\",\"update\"]");
}

static const char *
glass(int of, int64_t time)
{
	return pool_format(history.pool, "{\"member\":\"%s\",\"reason\":\"r\",\"until\":\"%s\","
					   "\"last\":%s}", cast[of], moment(&history, history.now + time),
					   point(&history, of));
}

static const char *
policy(const char *value)
{
	return said(DC, "policy", -1,
				pool_format(history.pool, "{\"policy\":\"break_glass_max\",\"value\":%s,"
							"\"last\":{\"dc\":%s,\"h1\":%s,\"e1\":%s}}", value,
							point(&history, DC), point(&history, H1), point(&history, E1)));
}

/* By whom, of whom, of what stands there. */
static const char *
justified(int by, int of, int chain, int seq, int examinee, const char *text)
{
	const Step *step = &history.steps[history.chains[chain].steps[seq]];

	return said(by, "justification", examinee,
				pool_format(history.pool, "{\"member\":\"%s\",\"break_glass\":\"%s\","
							"\"chain\":\"%s\",\"seq\":%d,\"justification\":%s}", cast[of],
							step->claim.id, cast[chain], seq, text));
}

/* ----- the rules ----- */

static void
check_policy(void)
{
	static const char *const off = "no policy allows to break the glass there";
	static const char *const unknown = "there is no such policy or value";
	int			first = history.chains[H1].count;

	is_string(said(H1, "break_glass", 0, glass(H1, PERIOD_SECOND)), off, "it is off");
	is_string(policy("\"x\""), unknown, "a policy is a number of seconds");
	is_string(policy("\"604801\""), unknown, "at most a week");
	is_string(policy("\"-1\""), unknown, "and no less than none");
	is_string(policy("\"3600\""), "", "it is on");
	is_string(column(H1, first, 0), "", "for what stands behind");
	is_string(said(H1, "break_glass", 0, glass(H1, PERIOD_SECOND)), "", "and not before");
	is_string(column(H1, first + 1, 3), "h1", "the row says whose it is");
}

static void
check_form(void)
{
	static const char *const no_end = "it has no end, or one before its beginning";
	int64_t		start;
	int			seq;

	is_string(said(H1, "break_glass", -1, glass(H1, PERIOD_SECOND)), "it names no subject",
			  "it is about somebody");
	is_string(said(H1, "break_glass", 0, "{\"member\":\"h1\",\"reason\":7}"),
			  "it gives no reason", "and says why");
	is_string(said(H1, "break_glass", 0, "{\"member\":\"h1\",\"reason\":\"r\"}"), no_end,
			  "and until when");
	is_string(said(H1, "break_glass", 0, glass(H1, 0)), no_end, "which is later");
	is_string(said(H1, "break_glass", 0, "{}"), "malformed entry", "and more than nothing");
	seq = history.chains[H1].count;
	start = history.now;
	is_string(said(H1, "break_glass", 0, glass(H1, 30 * DAY)), "", "as long as is wanted");
	is_string(column(H1, seq, 6),
			  pool_format(history.pool, "[%s,%s)", moment(&history, start),
						  moment(&history, start + 3600 * PERIOD_SECOND)),
			  "and not longer than is allowed");
}

static void
check_author(void)
{
	int			seq;

	is_string(said(H2, "break_glass", 0, glass(H2, PERIOD_SECOND)),
			  "the author may not break the glass", "not without the capability");
	is_string(said(DC, "break_glass", 0, glass(DC, PERIOD_SECOND)),
			  "the author may not break the glass", "nor the data centre");
	is_string(said(5, "break_glass", 0, glass(5, PERIOD_SECOND)),
			  "the author may not break the glass", "nor a stranger");
	is_string(said(5, "break_glass", 0, glass(H1, PERIOD_SECOND)), "the author takes no part",
			  "nor for somebody else");
	seq = history.chains[E1].count;
	is_string(said(E1, "break_glass", 0, glass(H1, PERIOD_SECOND)), "", "a holder of records may");
	is_string(column(E1, seq, 3), "h1", "for that member");
	is_string(said(E1, "break_glass", 0, glass(H2, PERIOD_SECOND)),
			  "the member may not break the glass there", "and for no other");
	is_string(said(E1, "break_glass", 0, "{\"member\":\"h1\",\"reason\":\"r\",\"until\":"
				   "\"2040-01-01T00:00:00.000000Z\",\"last\":{\"height\":-1,\"size\":0}}"),
			  "the member may not break the glass there",
			  "nor by a block from before its contract");
	is_string(said(E1, "break_glass", 0, "{\"member\":\"h1\",\"reason\":\"r\",\"until\":"
				   "\"2040-01-01T00:00:00.000000Z\"}"), "it names no block of the member's chain",
			  "nor by none");
}

static void
check_justification(void)
{
	static const char *const none = "there is no such break-glass of this member";
	int			own = history.chains[H1].count;
	int			held = history.chains[E1].count;

	(void) said(H1, "break_glass", 0, glass(H1, PERIOD_SECOND));
	(void) said(E1, "break_glass", 0, glass(H1, PERIOD_SECOND));
	is_string(justified(H1, H1, H1, own, 1, "\"w\""), none, "of the same examinee");
	is_string(justified(H1, H2, H1, own, 0, "\"w\""), none, "of the same member");
	is_string(justified(H1, H1, H1, own - 1, 0, "7"), "there is no justification in it",
			  "in words");
	is_string(justified(E1, H1, H1, own, 0, "\"w\""),
			  "only the member itself, or the holder of the records for it, justifies",
			  "not by others");
	is_string(justified(H1, H1, H1, own, 0, "\"first\""), "", "by the member");
	is_string(justified(H1, H1, H1, own, 0, "\"again\""), "it is justified already", "once");
	is_string(column(H1, own, 8), "first", "the first one counts");
	is_string(justified(E1, H1, E1, held, 0, "\"there\""), "", "or where it was");
	is_string(column(E1, held, 8), "there", "which counts there");
	history.now -= DAY * 300;
	is_string(justified(H1, H1, E1, held, 0, "\"earlier\""), "", "the earliest, by its time");
	history.now += DAY * 300;
	is_string(column(E1, held, 8), "earlier", "counts, however late it comes");
	rules_forget(rules, "h1", history.chains[H1].count - 1);
	is_string(column(E1, held, 8), "there", "until it is gone");
}

static void
check_member(void)
{
	int			held = history.chains[E1].count;

	(void) said(E1, "break_glass", 0, glass(H1, PERIOD_SECOND));
	is_string(said(DC, "suspend", -1,
				   pool_format(history.pool, "{\"member\":\"h1\",\"reason\":\"w\",\"last\":%s}",
							   point(&history, H1))), "", "the member is suspended");
	is_string(column(E1, held, 3), "", "at the point that the holder had of it");
	is_string(said(E1, "break_glass", 0, glass(H1, PERIOD_SECOND)),
			  "the member may not break the glass there", "and so is what comes behind");
}

/* So many of one member, about one examinee, each folded when it comes. */
static void
check_work(void)
{
	long		counts[2];
	int64_t		seq = FAR;

	for (int half = 0; half < 2; half++)
	{
		asked = 0;
		for (int i = 0; i < MANY / 2; i++)
		{
			Claim		claim;
			char		id[CLAIM_UUID_SIZE];
			const char *payload;

			fresh_id(&history, id);
			payload = pool_format(history.pool, "{\"kind\":\"break_glass\",\"origin\":\"e1\","
								  "\"id\":\"%s\",\"time\":\"%s\",\"actor\":\"h1\","
								  "\"subject\":\"%064d\",\"body\":%s}", id,
								  moment(&history, history.now), 1, glass(H1, PERIOD_SECOND));
			pki_must(claim_read(history.pool, payload, strlen(payload), cast[E1], seq, FAR,
								history.now, &claim), payload);
			memory_store_entry(store, payload, strlen(payload));
			rules_take_claim(rules, &claim, NULL);
			rules_settle(rules, cast[E1], seq, seq);
			seq++;
		}
		counts[half] = asked;
	}
	is_string(column(E1, FAR + MANY - 1, 3), "h1", "the last one has effect, too");
	printf("# claims asked for: %ld by the first half of %d, %ld by the second\n", counts[0], MANY,
		   counts[1]);
	ok(counts[1] < counts[0] + counts[0] / 4,
	   "what one costs does not grow with how many there are");
	rules_forget(rules, cast[E1], FAR);
	is_string(column(E1, FAR, 3), "", "nothing is left of what was taken back");
}

int
main(void)
{
	static World world;

	world_new(&world);
	begin(&world);
	check_policy();
	check_form();
	check_author();
	check_justification();
	check_work();
	check_member();
	rules_free(rules);
	memory_store_free(store);
	history_free(&history);
	world_free(&world);
	return done_testing();
}
