/*
 * test_rules_work.c: how much the rules ask of a store, counted.
 *
 * An examinee who has to sign has more and more protocols, each folded when it comes; and somebody
 * calls more and more protocols the same.  What one of them costs must not grow with how many there
 * are.  And of thousands of countersignatures that have no effect, nothing is looked up again
 * whenever something is said about members.
 */
#include "rules_history.h"
#include "rules/memory_store.h"
#include "tap.h"

#define PROTOCOLS 400
#define REVOCATIONS 1000
#define VOID_ACCEPTANCES 20000	/* more than the facts have at hand */

static RulesStore counting;
static long asked = 0;			/* claims that were asked for */

static bool
count_claim_next(void *store, const ClaimQuery *query, const Claim *after, Pool *pool,
				 Claim *claim)
{
	asked++;
	return memory_store.claim_next(store, query, after, pool, claim);
}

static long facts_asked = 0;

static char *
count_fact_get(void *store, Pool *pool, const uint8_t question[HASH_LEN])
{
	(void) store;
	(void) pool;
	(void) question;
	facts_asked++;
	return NULL;
}

static const RulesStore counting_facts = {.fact_get = count_fact_get};

/* The rules, and where the chain of the end node stands. */
typedef struct Work
{
	History		history;
	MemoryStore *store;
	Rules	   *rules;
	int64_t		seq;
} Work;

static void
work_put(Work *work, const char *payload, const char *origin, int64_t seq)
{
	memory_store_entry(work->store, payload, strlen(payload));
	pki_must(rules_take(work->rules, payload, strlen(payload), origin, seq, seq,
						work->history.now), "no claim");
}

static void
work_take(Work *work, const char *payload, const char *origin, int64_t seq)
{
	work_put(work, payload, origin, seq);
	rules_settle(work->rules, origin, seq, seq);
}

/* A data centre that wants signatures, an end node, and an examinee with a key. */
static void
work_begin(Work *work, World *world)
{
	History    *history = &work->history;
	EVP_PKEY   *examinee;

	memset(work, 0, sizeof(*work));
	history->world = world;
	history->facts = facts_new(&counting_facts, NULL);
	history->pool = pool_new();
	pki_must(period_time("2026-01-05T00:00:00.000000Z", &history->now), "no time");
	plain = true;
	say(history, 0, "genesis",
		pool_format(history->pool, "{\"alliance\":\"east\",\"member\":\"dc\","
					"\"kind\":\"data_center\",\"certificate\":%s,\"trust_anchors\":%s}",
					quoted(history, world->certificates[0][0]), quoted(history, world->anchors)));
	do_contract(history, 0, 1);
	do_acceptance(history, 0, 1);
	say(history, 0, "policy", "{\"policy\":\"examinee_signature\",\"value\":\"required\","
		"\"last\":{}}");
	examinee = world->examinee_keys[0][0];
	say_as(history, 1, "examinee_key", NULL, 0,
		   envelope(history, "examinee",
					pool_format(history->pool, "{\"alliance\":\"east\",\"registrar\":\"e1\","
								"\"subject\":\"%064d\",\"public_key\":%s}", 1,
								quoted(history, world->examinee_public[0][0])), &examinee, 1));
	work->store = memory_store_new(false);
	work->rules = rules_new("east", "dc", NULL, history->facts, &counting, work->store);
	for (int i = 0; i < history->count; i++)
	{
		const Claim *claim = &history->steps[i].claim;

		work_take(work, claim->reason, claim->origin, claim->seq);
		work->seq = claim->seq + 1;
	}
	work->seq = history->chains[1].count;
}

/* A protocol with that text, signed by both; id NULL: of its own. */
static void
work_protocol_as(Work *work, int text, const char *id)
{
	History    *history = &work->history;
	EVP_PKEY   *keys[2] = {history->world->keys[1][0], history->world->examinee_keys[0][0]};
	const char *terms = pool_format(history->pool, "{\"alliance\":\"east\",\"issuer\":\"e1\","
									"\"subject\":\"%064d\",\"text\":\"t%d\",\"grants\":"
									"[{\"grantee\":\"dc\",\"operations\":[\"query\"]}],"
									"\"data_index\":[],\"valid\":{}}", 1, text);
	char		fresh[CLAIM_UUID_SIZE];

	fresh_id(history, fresh);
	history->now += INT64_C(1000000);
	work_take(work, pool_format(history->pool, "{\"kind\":\"protocol\",\"origin\":\"e1\","
								"\"id\":\"%s\",\"time\":\"%s\",\"actor\":\"e1\","
								"\"subject\":\"%064d\",\"body\":%s}", id != NULL ? id : fresh,
								moment(history, history->now), 1,
								envelope(history, "protocol", terms, keys, 2)), "e1", work->seq);
	work->seq++;
}

/* So many countersignatures that nobody has signed. */
static void
work_void_acceptances(Work *work, int count)
{
	History    *history = &work->history;
	int64_t		first = work->seq;
	char		id[CLAIM_UUID_SIZE];

	for (int i = 0; i < count; i++)
	{
		fresh_id(history, id);
		work_put(work, pool_format(history->pool, "{\"kind\":\"acceptance\",\"origin\":\"e1\","
								   "\"id\":\"%s\",\"time\":\"%s\",\"actor\":\"e1\",\"body\":"
								   "{\"contract\":\"%s\",\"envelope\":{}}}", id,
								   moment(history, history->now), history->contracts[0]), "e1",
				 work->seq++);
	}
	rules_settle(work->rules, "e1", first, work->seq - 1);
}

/* So many revocations of the protocol that the chain has there, in one block. */
static void
work_revocations(Work *work, int64_t at, int count)
{
	History    *history = &work->history;
	ClaimQuery	query = {.kinds = CLAIM_SET_ALL, .origin = "e1", .first = at, .last = at};
	int64_t		first = work->seq;
	Claim		target;
	char		id[CLAIM_UUID_SIZE];

	pki_must(memory_store.claim_next(work->store, &query, NULL, history->pool, &target),
			 "no claim");
	for (int i = 0; i < count; i++)
	{
		fresh_id(history, id);
		work_put(work, pool_format(history->pool, "{\"kind\":\"revocation\",\"origin\":\"e1\","
								   "\"id\":\"%s\",\"time\":\"%s\",\"actor\":\"e1\",\"body\":"
								   "{\"protocol\":\"%s\"}}", id,
								   moment(history, history->now), target.id), "e1", work->seq++);
	}
	rules_settle(work->rules, "e1", first, work->seq - 1);
}

static void
work_protocol(Work *work, int text)
{
	work_protocol_as(work, text, NULL);
}

/* Has the last one effect? */
static const char *
work_reason(Work *work)
{
	ClaimQuery	query = {
		.kinds = CLAIM_SET_ALL, .origin = "e1", .first = work->seq - 1, .last = work->seq - 1
	};
	Claim		claim;

	pki_must(memory_store.claim_next(work->store, &query, NULL, work->history.pool, &claim),
			 "no claim");
	return claim.effective ? "" : claim.reason;
}

int
main(void)
{
	static const char *const same = "00000000-0000-4000-9000-000000000000";
	static const char *const again = "the examinee's signature is that of an earlier entry";
	static World world;
	static Work work;
	long		first;
	long		second;
	int64_t		middle;

	counting = memory_store;
	counting.claim_next = count_claim_next;
	world_new(&world);
	work_begin(&work, &world);

	for (int i = 0; i < PROTOCOLS / 2; i++)
		work_protocol(&work, i);
	is_string(work_reason(&work), "", "a protocol that the examinee has signed has effect");
	first = asked;
	middle = work.seq;
	for (int i = PROTOCOLS / 2; i < PROTOCOLS; i++)
		work_protocol(&work, i);
	second = asked - first;
	is_string(work_reason(&work), "", "so has the last of many");
	printf("# claims asked for: %ld for the first half of %d protocols, %ld for the second\n",
		   first, PROTOCOLS, second);
	ok(second < first + first / 4, "what one of an examinee's protocols costs does not grow");

	work_protocol(&work, 7);
	is_string(work_reason(&work), again, "the same terms do not count again");
	work_protocol(&work, PROTOCOLS - 3);
	is_string(work_reason(&work), again, "nor do newer ones");
	rules_forget(work.rules, "e1", middle);
	work.seq = middle;
	work_protocol(&work, PROTOCOLS - 3);
	is_string(work_reason(&work), "", "what was taken back was never signed");
	work_protocol(&work, 7);
	is_string(work_reason(&work), again, "what stayed was");

	for (int i = 1; i <= PROTOCOLS / 2; i++)
		work_protocol_as(&work, -i, same);
	is_string(work_reason(&work), "there is a protocol with this id already", "an id is one's own");
	first = asked;
	for (int i = PROTOCOLS / 2 + 1; i <= PROTOCOLS; i++)
		work_protocol_as(&work, -i, same);
	second = asked - first;
	is_string(work_reason(&work), "there is a protocol with this id already", "however many come");
	printf("# claims asked for: %ld by the second half of %d protocols with one id\n", second,
		   PROTOCOLS);
	ok(second < 40 * PROTOCOLS / 2, "what one with an id of another costs does not grow");

	work_protocol(&work, PROTOCOLS + 1);
	first = asked;
	work_revocations(&work, work.seq - 1, REVOCATIONS);
	second = asked - first;
	is_string(work_reason(&work), "", "what is revoked can be revoked again");
	printf("# claims asked for: %ld by %d revocations of one protocol in a block\n", second,
		   REVOCATIONS);
	ok(second < 8 * REVOCATIONS, "its row is written once");

	work_void_acceptances(&work, VOID_ACCEPTANCES);
	is_string(work_reason(&work), "envelope is not of type application/vnd.medchain.contract+json",
			  "what nobody has signed is no countersignature");
	first = facts_asked;
	work_void_acceptances(&work, 1);
	second = facts_asked - first;
	printf("# facts asked for: %ld, with %d countersignatures that have no effect\n", second,
		   VOID_ACCEPTANCES);
	ok(second < 10, "one more has nothing asked about the others");

	rules_free(work.rules);
	memory_store_free(work.store);
	history_free(&work.history);
	world_free(&world);
	return done_testing();
}
