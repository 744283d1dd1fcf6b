/*
 * rules_history.h: random histories of an alliance, for the test of the rules: what its members do,
 * what they must not do, and what is no entry of any sense.
 */
#ifndef MEDCHAIN_TEST_RULES_HISTORY_H
#define MEDCHAIN_TEST_RULES_HISTORY_H

#include <stdarg.h>

#include "rules_pki.h"
#include "rules/rules.h"

#define CAST 6					/* the data centre, two end nodes, two hospitals, a stranger */
#define CAST_KEYS 3
#define CAST_CERTIFICATES 6
#define ANCHOR_SETS 6
#define LISTS 5
#define EXAMINEES 2
#define HISTORY_MAX 96			/* entries */
#define IDS_MAX 24

static const char *const cast[CAST] = {"dc", "e1", "e2", "h1", "h2", "zz"};

typedef struct World
{
	EVP_PKEY   *ca_key;
	EVP_PKEY   *middle_key;
	EVP_PKEY   *next_key;
	char	   *anchors;

	/* of genesis; and the next CA; that alone; the first one, longer; ended ones; no CA */
	char	   *anchor_sets[ANCHOR_SETS];
	EVP_PKEY   *keys[CAST][CAST_KEYS];
	char	   *public_keys[CAST][CAST_KEYS];
	char		fingerprints[CAST][CAST_KEYS][65];

	/*
	 * of key 0; of key 1; of key 0 for a short time; of key 1 by the CA in the middle; of keys 0
	 * and 1 by the next CA
	 */
	char	   *certificates[CAST][CAST_CERTIFICATES];
	char	   *lists[LISTS];
	EVP_PKEY   *examinee_keys[EXAMINEES][2];
	char	   *examinee_public[EXAMINEES][2];
	char	   *bad_keys[2];
} World;

/* One entry, as a claim with its facts. */
typedef struct Step
{
	int			by;
	Claim		claim;
	Statement  *said;
} Step;

typedef struct Chain
{
	int			steps[HISTORY_MAX];
	int			count;			/* entries, those of other kinds are not told apart */
	int			height;
	int64_t		sealed;
	int			heights[HISTORY_MAX];
	int			key;			/* which of its keys it believes to sign with */
} Chain;

typedef struct History
{
	World	   *world;
	Facts	   *facts;
	Pool	   *pool;
	Step		steps[HISTORY_MAX];
	int			count;
	Chain		chains[CAST];
	int64_t		now;
	char		contracts[IDS_MAX][CLAIM_UUID_SIZE];
	char	   *contract_payloads[IDS_MAX];
	int			contract_with[IDS_MAX];
	int			ncontracts;
	char		protocols[IDS_MAX][CLAIM_UUID_SIZE];
	int			protocol_by[IDS_MAX];
	int			protocol_about[IDS_MAX];
	char	   *protocol_payloads[IDS_MAX];
	int			nprotocols;
	char		glasses[IDS_MAX][CLAIM_UUID_SIZE];	/* broken: by whom, where, about whom */
	int			glass_of[IDS_MAX];
	int			glass_on[IDS_MAX];
	int			glass_seq[IDS_MAX];
	int			glass_about[IDS_MAX];
	int			nglasses;
	int			nids;
	bool		suspended[CAST];	/* by who means it well */
	bool		renewed;		/* trust anchors */
	bool		peaceful;		/* no suspensions, expulsions and revocation lists */
} History;

static uint64_t dice_state;

/* xorshift64*: the same numbers everywhere */
static inline int
dice(int sides)
{
	dice_state ^= dice_state >> 12;
	dice_state ^= dice_state << 25;
	dice_state ^= dice_state >> 27;
	return (int) ((dice_state * UINT64_C(0x2545F4914F6CDD1D) >> 33) % (uint64_t) sides);
}

static bool plain = false;		/* nobody is hostile at this moment */

static inline bool
once_in(int n)
{
	return dice(n) == 0 && !plain;
}

static inline void
world_new(World *world)
{
	static const long listed[LISTS][3] = {{16, 28}, {2, 22}, {21, 33, 15}, {10}, {20, 27}};
	X509	   *ca;
	X509	   *middle;
	X509	   *next;
	X509	   *longer;
	X509	   *ended;
	char	   *pem;
	long		serial = 10;

	world->ca_key = pki_key(1);
	world->middle_key = pki_key(2);
	ca = pki_certificate("Test CA", 1, world->ca_key, NULL, world->ca_key, true,
						 "20200101000000Z", "20490101000000Z");
	middle = pki_certificate("Middle CA", 2, world->middle_key, ca, world->ca_key, true,
							 "20200101000000Z", "20480101000000Z");
	world->next_key = pki_key(3);
	next = pki_certificate("Next CA", 3, world->next_key, NULL, world->next_key, true,
						   "20250101000000Z", "20490101000000Z");
	longer = pki_certificate("Test CA", 4, world->ca_key, NULL, world->ca_key, true,
							 "20200101000000Z", "20550101000000Z");
	ended = pki_certificate("Test CA", 5, world->ca_key, NULL, world->ca_key, true,
							"20200101000000Z", "20250101000000Z");
	world->anchors = pki_pem(ca);
	world->anchor_sets[0] = strdup(world->anchors);
	world->anchor_sets[2] = pki_pem(next);
	pem = malloc(strlen(world->anchors) + strlen(world->anchor_sets[2]) + 1);
	strcpy(pem, world->anchors);
	world->anchor_sets[1] = strcat(pem, world->anchor_sets[2]);
	world->anchor_sets[3] = pki_pem(longer);
	world->anchor_sets[4] = pki_pem(ended);
	for (int m = 0; m < CAST; m++)
	{
		X509	   *made[CAST_CERTIFICATES];
		BIO		   *both = BIO_new(BIO_s_mem());

		for (int k = 0; k < CAST_KEYS; k++)
		{
			CoreError	error = {0};
			Key		   *key;

			world->keys[m][k] = pki_key(100 + 10 * m + k);
			world->public_keys[m][k] = pki_public(world->keys[m][k]);
			key = key_from_pem(world->public_keys[m][k], strlen(world->public_keys[m][k]), &error);
			pki_must(key != NULL && key_fingerprint(key, world->fingerprints[m][k]), "no key");
			key_free(key);
		}
		made[0] = pki_certificate(cast[m], serial++, world->keys[m][0], ca, world->ca_key, false,
								  "20250101000000Z", "20400101000000Z");
		made[1] = pki_certificate(cast[m], serial++, world->keys[m][1], ca, world->ca_key, false,
								  "20250101000000Z", "20400101000000Z");
		made[2] = pki_certificate(cast[m], serial++, world->keys[m][0], ca, world->ca_key, false,
								  "20260101000000Z", "20260302000000Z");
		made[3] = pki_certificate(cast[m], serial++, world->keys[m][1], middle, world->middle_key,
								  false, "20250101000000Z", "20400101000000Z");
		made[4] = pki_certificate(cast[m], serial++, world->keys[m][0], next, world->next_key,
								  false, "20250101000000Z", "20400101000000Z");
		made[5] = pki_certificate(cast[m], serial++, world->keys[m][1], next, world->next_key,
								  false, "20250101000000Z", "20400101000000Z");
		for (int c = 0; c < CAST_CERTIFICATES; c++)
			if (c != 3)
				world->certificates[m][c] = pki_pem(made[c]);
		pki_must(PEM_write_bio_X509(both, made[3]) == 1 && PEM_write_bio_X509(both, middle) == 1,
				 "no PEM");
		world->certificates[m][3] = pki_text(both);
		for (int c = 0; c < CAST_CERTIFICATES; c++)
			X509_free(made[c]);
	}
	world->anchor_sets[5] = strdup(world->certificates[0][0]);

	/* serial numbers: 10 + 6 * member + certificate */
	world->lists[0] = pki_crl(ca, world->ca_key, listed[0], 2, "20260120000000Z");
	world->lists[1] = pki_crl(ca, world->ca_key, listed[1], 2, "20260210000000Z");
	world->lists[2] = pki_crl(middle, world->middle_key, listed[2], 3, "20260115000000Z");
	world->lists[4] = pki_crl(next, world->next_key, listed[4], 2, "20260125000000Z");
	world->lists[3] = pki_crl(ca, world->ca_key, listed[3], 1, "20260301000000Z");
	for (int e = 0; e < EXAMINEES; e++)
		for (int k = 0; k < 2; k++)
		{
			world->examinee_keys[e][k] = pki_key(60 + 2 * e + k);
			world->examinee_public[e][k] = pki_public(world->examinee_keys[e][k]);
		}
	world->bad_keys[0] = strdup("no key");
	world->bad_keys[1] = strdup("-----BEGIN PUBLIC KEY-----\n"
	  "MCowBQYDK2VwAyEAAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n-----END PUBLIC KEY-----\n");
	X509_free(middle);
	X509_free(ca);
	X509_free(next);
	X509_free(longer);
	X509_free(ended);
}

static inline void
world_free(World *world)
{
	EVP_PKEY_free(world->ca_key);
	EVP_PKEY_free(world->middle_key);
	EVP_PKEY_free(world->next_key);
	free(world->anchors);
	for (int a = 0; a < ANCHOR_SETS; a++)
		free(world->anchor_sets[a]);
	for (int m = 0; m < CAST; m++)
	{
		for (int k = 0; k < CAST_KEYS; k++)
		{
			EVP_PKEY_free(world->keys[m][k]);
			free(world->public_keys[m][k]);
		}
		for (int c = 0; c < CAST_CERTIFICATES; c++)
			free(world->certificates[m][c]);
	}
	for (int l = 0; l < LISTS; l++)
		free(world->lists[l]);
	for (int e = 0; e < EXAMINEES; e++)
		for (int k = 0; k < 2; k++)
		{
			EVP_PKEY_free(world->examinee_keys[e][k]);
			free(world->examinee_public[e][k]);
		}
	free(world->bad_keys[0]);
	free(world->bad_keys[1]);
}

/* ----- texts ----- */

static inline const char *
quoted(History *history, const char *text)
{
	PoolText	out;

	pool_text_begin(&out, history->pool);
	pool_text_char(&out, '"');
	for (; *text != '\0'; text++)
		if (*text == '\n')
			pool_text_puts(&out, "\\n");
		else
			pool_text_char(&out, *text);
	pool_text_char(&out, '"');
	return out.data;
}

static inline const char *
moment(History *history, int64_t time)
{
	char		text[PERIOD_TIME_SIZE];

	period_time_text(time, text);
	return pool_text(history->pool, text);
}

/* ids that come again now and then: they are their authors' choice */
static inline void
fresh_id(History *history, char id[CLAIM_UUID_SIZE])
{
	snprintf(id, CLAIM_UUID_SIZE, "00000000-0000-4000-8000-%012d", ++history->nids);
}

static inline const char *
envelope(History *history, const char *kind, const char *payload, EVP_PKEY *const *signers,
		 int count)
{
	const char *type = pool_format(history->pool, "application/vnd.medchain.%s+json", kind);
	char	   *encoded = pool_alloc(history->pool, ENCODE_BASE64_SIZE(strlen(payload)));
	PoolText	out;

	encode_base64((const uint8_t *) payload, strlen(payload), encoded);
	pool_text_begin(&out, history->pool);
	pool_text_puts(&out, pool_format(history->pool, "{\"payloadType\":\"%s\",\"payload\":\"%s\","
									 "\"signatures\":[", type, encoded));
	for (int i = 0; i < count; i++)
	{
		char		signature[ENCODE_BASE64_SIZE(64)];

		pki_sign(signers[i], type, payload, signature);
		pool_text_puts(&out, pool_format(history->pool, "%s{\"sig\":\"%s\"}", i > 0 ? "," : "",
										 signature));
	}
	pool_text_puts(&out, "]}");
	return out.data;
}

/* A point of a chain: mostly where it stands, or stood. */
static inline const char *
point(History *history, int member)
{
	Chain	   *chain = &history->chains[member];
	int			size = once_in(3) ? dice(chain->count + 1) : chain->count;
	int			height = size > 0 ? chain->heights[size - 1] : -1;

	if (once_in(15))
		return "{\"height\":\"x\",\"size\":3}";
	if (once_in(10))
		size = dice(20) + 1, height = dice(8);	/* a lie */
	if (height < 0)
		return "{\"height\":-1,\"size\":0}";
	return pool_format(history->pool, "{\"height\":%d,\"size\":%d,\"hash\":\"%064d\"}", height,
					   size, height);
}

static inline const char *
points(History *history)
{
	PoolText	out;
	bool		first = true;

	pool_text_begin(&out, history->pool);
	pool_text_char(&out, '{');
	for (int m = 0; m < CAST; m++)
		if (once_in(2))
		{
			pool_text_puts(&out, pool_format(history->pool, "%s\"%s\":%s", first ? "" : ",",
											 cast[m], point(history, m)));
			first = false;
		}
	pool_text_char(&out, '}');
	return out.data;
}

static inline const char *
period(History *history)
{
	switch (dice(8))
	{
		case 0:
			return pool_format(history->pool, "{\"from\":\"%s\"}", moment(history, history->now));
		case 1:
			return pool_format(history->pool, "{\"to\":\"%s\"}",
							   moment(history, history->now + dice(40) * INT64_C(86400000000)));
		case 2:
			return once_in(4) ? "{\"from\":\"2026-13-01T00:00:00.000000Z\"}" : "null";
		default:
			return "{}";
	}
}

/* ----- entries ----- */

static inline void
say_as(History *history, int by, const char *kind, const char *id, int examinee, const char *body)
{
	Chain	   *chain = &history->chains[by];
	Step	   *step = &history->steps[history->count];
	int64_t		time = history->now - (once_in(6) ? dice(20) * INT64_C(86400000000) : 0);
	char		fresh[CLAIM_UUID_SIZE];
	const char *payload;

	if (history->count == HISTORY_MAX)
		return;
	if (id == NULL)
	{
		fresh_id(history, fresh);
		id = fresh;
	}
	if (chain->count == 0 || once_in(2))
	{
		chain->height += chain->count > 0;
		chain->sealed = history->now;
	}
	payload = pool_format(history->pool, "{\"kind\":\"%s\",\"origin\":\"%s\",\"id\":\"%s\","
						  "\"time\":\"%s\",\"actor\":\"%s\"%s,\"body\":%s}", kind, cast[by], id,
						  moment(history, time), cast[by], examinee < 0 ? "" :
						pool_format(history->pool, ",\"subject\":\"%064d\"", examinee + 1), body);
	pki_must(claim_read(history->pool, payload, strlen(payload), cast[by], chain->count,
						chain->height, chain->sealed, &step->claim), payload);
	step->claim.canonical = json_slice_canonical(history->pool, step->claim.body, NULL);
	step->by = by;
	step->said = NULL;
	if ((CLAIM_SET(step->claim.kind) & CLAIM_SET_MEMBER) != 0)
		step->said = statement_new(history->facts, &step->claim, payload, strlen(payload));
	/* what is asked for again */
	step->claim.reason = payload;
	chain->heights[chain->count] = chain->height;
	chain->steps[chain->count++] = history->count++;
	history->now += dice(48) * INT64_C(3600000000);
}

static inline void
say(History *history, int by, const char *kind, const char *body)
{
	say_as(history, by, kind, NULL, -1, body);
}

/* The key it signs with, mostly. */
static inline EVP_PKEY *
signer(History *history, int by)
{
	if (once_in(12))
		return history->world->keys[dice(CAST)][dice(CAST_KEYS)];
	return history->world->keys[by][history->chains[by].key];
}

static inline void
do_contract(History *history, int by, int with)
{
	static const char *const lists[] = {
		"[\"configure\",\"issue\"]", "[\"query\",\"update\"]", "[\"issue\",\"audit\"]",
		"[\"configure\",\"issue\",\"audit\"]", "[]", "[\"rule\"]",
		"[\"query\",\"update\",\"emergency\"]"
	};
	bool		end_node = once_in(10) ? once_in(2) : with == 1 || with == 2;
	int			certificate = once_in(3) ? dice(CAST_CERTIFICATES) : 0;
	const char *payload = pool_format(history->pool, "{\"alliance\":\"%s\",\"member\":\"%s\","
									  "\"kind\":\"%s\",\"certificate\":%s,\"capabilities\":%s,"
									  "\"valid\":%s}", once_in(30) ? "west" : "east", cast[with],
									  once_in(30) ? "king" : end_node ? "end_node" : "chain_node",
									  quoted(history, history->world->certificates
											 [once_in(20) ? dice(CAST) : with][certificate]),
									  once_in(3) ? lists[dice(7)] :
									  lists[end_node ? 0 : dice(2) == 0 ? 6 : 1],
									  period(history));
	EVP_PKEY   *key = signer(history, by);
	char		id[CLAIM_UUID_SIZE];

	fresh_id(history, id);
	if (history->ncontracts > 0 && once_in(15))
		strcpy(id, history->contracts[dice(history->ncontracts)]);
	if (history->ncontracts < IDS_MAX)
	{
		strcpy(history->contracts[history->ncontracts], id);
		history->contract_payloads[history->ncontracts] = (char *) payload;
		history->contract_with[history->ncontracts++] = with;
	}
	say_as(history, by, "contract", id, -1, envelope(history, "contract", payload, &key, 1));
}

static inline void
do_acceptance(History *history, int contract, int by)
{
	EVP_PKEY   *key = history->world->keys[by][once_in(4) ? dice(CAST_KEYS) : 0];
	const char *payload = history->contract_payloads[once_in(20) ? dice(history->ncontracts) :
													 contract];

	say(history, by, "acceptance",
		pool_format(history->pool, "{\"contract\":\"%s\",\"envelope\":%s}",
					history->contracts[contract],
					envelope(history, "contract", payload, &key, 1)));
}

static inline void
do_rekey(History *history, int by, int about)
{
	World	   *world = history->world;
	Chain	   *chain = &history->chains[about];
	int			fresh = once_in(8) ? dice(CAST_KEYS) : 1 - chain->key % 2;
	int			certificate = fresh == 1 ? (once_in(2) ? 1 : 3) : (once_in(2) ? 0 : 2);
	int			name = once_in(15) ? dice(CAST) : about;
	bool		next = dice(history->renewed ? 2 : 10) == 0;	/* under the next CA */
	bool		own = by == about;
	const char *payload = pool_format(history->pool, "{\"alliance\":\"east\",\"member\":\"%s\","
									  "\"certificate\":%s,\"public_key\":%s,%s}", cast[about],
									  quoted(history, world->certificates[name]
											 [next ? 4 + fresh % 2 : certificate]),
									  quoted(history, world->public_keys[about][fresh]),
									  own ? pool_format(history->pool, "\"previous\":\"%s\"",
														world->fingerprints[about][chain->key]) :
									  pool_format(history->pool, "\"last\":%s",
												  point(history, about)));
	EVP_PKEY   *signers[3] = {
		signer(history, by), world->keys[about][fresh], world->keys[name][fresh % 2]
	};

	say(history, by, "rekey", envelope(history, "rekey", payload, signers, once_in(15) ? 2 : 3));
	if (!once_in(10))
		chain->key = fresh;
}

/* Of trust anchors: in time or not, as the data centre's certificate has it. */
static inline void
do_renewal(History *history, int by)
{
	static const int good[] = {1, 1, 2, 3};
	EVP_PKEY   *key = signer(history, by);
	int			set = once_in(3) ? dice(ANCHOR_SETS) : good[dice(4)];
	const char *days = once_in(4) ? "\"grace_days\":7," : once_in(8) ? "\"grace_days\":-1," : "";
	const char *payload = pool_format(history->pool, "{\"alliance\":\"%s\",%s"
									  "\"trust_anchors\":%s,\"last\":%s}",
									  once_in(30) ? "west" : "east", days,
									  once_in(30) ? "null" :
									  quoted(history, history->world->anchor_sets[set]),
									  points(history));

	history->renewed = history->renewed || by == 0;
	say(history, by, "anchors", envelope(history, "anchors", payload, &key, 1));
}

static inline const char *
do_terms(History *history, int by, int examinee, const char *protocol)
{
	static const char *const grants[] = {
		"[]", "[{\"grantee\":\"h1\",\"operations\":[\"query\"]}]",
		"[{\"grantee\":\"h1\",\"operations\":[\"query\",\"update\"],\"purpose\":\"p\","
		"\"records\":[\"a\",null,1.50]},{\"grantee\":\"h2\",\"operations\":[]}]",
		"[{\"grantee\":\"h2\",\"operations\":[\"destroy\"]}]",
		"[{\"grantee\":\"e2\",\"operations\":[\"query\"]}]"
	};
	static const int good[] = {0, 1, 2, 4};

	return pool_format(history->pool, "{\"alliance\":\"east\",\"issuer\":\"%s\","
		"\"subject\":\"%064d\",\"text\":\"t%d\",\"grants\":%s,\"data_index\":[{\"holder\":\"dc\","
					   "\"relation\":\"r\",\"key\":{\"b\":1.0,\"a\":%d}}],\"valid\":%s%s}",
					   cast[once_in(30) ? dice(CAST) : by], examinee + 1, dice(3),
					   grants[once_in(8) ? 3 : good[dice(4)]], dice(3), period(history),
					   protocol == NULL ? "" : pool_format(history->pool, ",\"protocol\":\"%s\"",
														   protocol));
}

static inline void
do_protocol(History *history, int by)
{
	World	   *world = history->world;
	int			examinee = dice(EXAMINEES);
	int			signers = 1;
	EVP_PKEY   *keys[2] = {signer(history, by), world->examinee_keys[examinee][dice(2)]};
	char		id[CLAIM_UUID_SIZE];
	const char *terms = do_terms(history, by, examinee, NULL);

	fresh_id(history, id);
	if (history->nprotocols > 0 && once_in(6))
		strcpy(id, history->protocols[dice(history->nprotocols)]);
	if (history->nprotocols > 0 && once_in(6))
		terms = history->protocol_payloads[dice(history->nprotocols)];
	if (history->nprotocols < IDS_MAX)
	{
		strcpy(history->protocols[history->nprotocols], id);
		history->protocol_by[history->nprotocols] = by;
		history->protocol_about[history->nprotocols] = examinee;
		history->protocol_payloads[history->nprotocols++] = (char *) terms;
	}
	signers += !once_in(3);
	say_as(history, by, "protocol", id, once_in(25) ? -1 : examinee,
		   envelope(history, "protocol", terms, keys, signers));
}

static inline void
do_amendment(History *history, int by, int protocol)
{
	int			examinee = history->protocol_about[protocol];
	EVP_PKEY   *keys[2] = {
		signer(history, by), history->world->examinee_keys[examinee][dice(2)]
	};

	say_as(history, by, "amendment", NULL, once_in(15) ? dice(EXAMINEES) : examinee,
		   envelope(history, "protocol",
					do_terms(history, by, examinee, history->protocols[protocol]), keys, 2));
}

static inline void
do_examinee_key(History *history, int by)
{
	World	   *world = history->world;
	int			examinee = dice(EXAMINEES);
	int			key = dice(2);
	const char *payload = pool_format(history->pool, "{\"alliance\":\"east\",\"registrar\":\"%s\","
									  "\"subject\":\"%064d\",\"public_key\":%s}", cast[by],
									  examinee + 1, quoted(history, once_in(15) ?
														   world->bad_keys[dice(2)] :
														   world->examinee_public[examinee][key]));
	EVP_PKEY   *keys[3] = {
		signer(history, by), world->examinee_keys[examinee][key],
		world->examinee_keys[examinee][1 - key]
	};

	say_as(history, by, "examinee_key", NULL, once_in(20) ? -1 : examinee,
		   envelope(history, "examinee", payload, keys, once_in(4) ? 2 : 3));
}

static inline void
do_break_glass(History *history, int on)
{
	int			of = once_in(3) ? dice(CAST) : 3 + dice(2);
	int			examinee = dice(EXAMINEES);
	int64_t		seconds = once_in(8) ? -1 : 60 + dice(3) * 7200;
	char		id[CLAIM_UUID_SIZE];

	if (!once_in(4) && dice(2) == 0)
		on = of;
	fresh_id(history, id);
	if (history->nglasses > 0 && once_in(8))
		strcpy(id, history->glasses[dice(history->nglasses)]);
	if (history->nglasses < IDS_MAX)
	{
		strcpy(history->glasses[history->nglasses], id);
		history->glass_of[history->nglasses] = of;
		history->glass_on[history->nglasses] = on;
		history->glass_seq[history->nglasses] = history->chains[on].count;
		history->glass_about[history->nglasses++] = examinee;
	}
	say_as(history, on, "break_glass", id, once_in(20) ? -1 : examinee,
		   pool_format(history->pool, "{\"member\":\"%s\",%s\"until\":\"%s\",\"last\":%s}",
					   cast[of], once_in(20) ? "" : "\"reason\":\"r\",",
					   moment(history, history->now + seconds * PERIOD_SECOND),
					   point(history, of)));
}

static inline void
do_justification(History *history, int by)
{
	int			glass = dice(history->nglasses);

	if (!once_in(4))
		by = dice(2) == 0 ? history->glass_of[glass] : history->glass_on[glass];
	say_as(history, by, "justification", NULL, once_in(15) ? -1 : once_in(15) ? dice(EXAMINEES) :
		   history->glass_about[glass],
		   pool_format(history->pool, "{\"member\":\"%s\",\"break_glass\":\"%s\","
					   "\"chain\":\"%s\",\"seq\":%d%s}",
					   cast[once_in(15) ? dice(CAST) : history->glass_of[glass]],
					   history->glasses[once_in(15) ? dice(history->nglasses) : glass],
					   cast[once_in(15) ? dice(CAST) : history->glass_on[glass]],
					   history->glass_seq[glass], once_in(15) ? "" :
					   pool_format(history->pool, ",\"justification\":\"j%d\"", dice(3))));
}

static inline void
do_policy(History *history, int by)
{
	static const char *const seconds[] = {"3600", "86400", "0", "31", "604801", "x"};
	bool		glass = dice(2) == 0;

	say(history, by, "policy",
		pool_format(history->pool, "{\"policy\":\"%s\",\"value\":\"%s\",\"last\":%s}",
					glass ? "break_glass_max" : "examinee_signature",
					glass ? seconds[once_in(3) ? dice(6) : dice(2)] :
					once_in(3) ? "optional" : "required", points(history)));
}

/* A block of a chain, signed by whoever has that key, as text of JSON; its hash. */
static inline const char *
fork_note(History *history, int of, int64_t height, int64_t size, const uint8_t *previous, int key,
		  uint8_t hash[HASH_LEN])
{
	World	   *world = history->world;
	int			by = once_in(20) ? dice(CAST) : of;
	NoteBlock	block = {.height = (uint64_t) height, .size = (uint64_t) size};
	char		text[NOTE_TEXT_MAX];
	char		note[NOTE_SIGNED_MAX];

	snprintf(block.name, sizeof(block.name), "%s/%s", once_in(40) ? "west" : "east",
			 cast[once_in(40) ? dice(CAST) : of]);
	memset(block.root, dice(256), HASH_LEN);
	if (previous != NULL)
		memcpy(block.previous, previous, HASH_LEN);
	strcpy(block.sealed, "2026-01-31T23:59:59.123Z");
	pki_note(world->keys[by][key], world->public_keys[by][key], &block, note);
	pki_must(hash_sha256(text, note_format_block(&block, text), hash), "no hash");
	return quoted(history, note);
}

/* Two blocks of one height: proven, or not. */
static inline void
do_fork(History *history, int by)
{
	int			of = once_in(8) ? dice(CAST) : 1 + dice(CAST - 2);
	Chain	   *chain = &history->chains[of];
	int			height = dice(chain->height + 2);
	int			key = once_in(4) ? dice(CAST_KEYS) : dice(3) == 0 ? 0 : chain->key;
	int			size = 0;
	uint8_t		hashes[3][HASH_LEN];
	char		hex[ENCODE_HEX_SIZE(HASH_LEN)];
	const char *before = "null";
	const char *notes[2];
	const char *counts = "";

	if (once_in(100))
	{
		char	   *huge = pool_alloc(history->pool, 70001);

		memset(huge, 'x', 70000);
		say(history, by, "fork", pool_format(history->pool, "{\"member\":\"%s\",\"notes\":"
											 "[\"%s\",\"%s\"]}", cast[of], huge, huge));
		return;
	}
	while (size < chain->count && chain->heights[size] < height)
		size++;
	if (height > 0)
		before = fork_note(history, of, once_in(30) ? height : height - 1, size, NULL, key,
						   hashes[2]);
	for (int i = 0; i < 2; i++)
		notes[i] = fork_note(history, of, height + (i > 0 && once_in(30)), size + 1 + i,
							 height > 0 && (i == 0 || dice(2) == 0) ? hashes[2] : NULL, key,
							 hashes[i]);
	if (dice(by == 0 ? 2 : 20) == 0)
	{
		encode_hex(hashes[once_in(10) ? 2 : dice(2)], HASH_LEN, hex);
		counts = pool_format(history->pool, ",\"counts\":\"%s\"", hex);
	}
	say(history, by, "fork",
		pool_format(history->pool, "{\"member\":\"%s\",\"notes\":[%s,%s%s],\"before\":%s%s}",
					cast[once_in(30) ? dice(CAST) : of], notes[0], notes[once_in(30) ? 0 : 1],
					once_in(30) ? ",7" : "", before, counts));
}

/* What is no entry of any sense: of each kind. */
static inline void
do_nonsense(History *history, int by)
{
	static const char *const bodies[] = {
		"{}", "null", "[]", "{\"member\":5,\"last\":7}", "{\"member\":\"e1\",\"member\":\"e2\"}",
		"{\"protocol\":{\"a\":[1e3]},\"reason\":[]}", "{\"payloadType\":5,\"payload\":\"\"}",
		"{\"member\":\"h1\",\"contract\":null,\"public_key\":\"x\",\"last\":{\"height\":1}}",
		"{\"role\":\"r\",\"member\":\"h1\",\"replaces\":\"x\"}",
		"{\"policy\":\"examinee_signature\"}", "{\"policy\":\"break_glass_max\",\"value\":3600}",
		"{\"member\":\"h1\",\"reason\":\"r\",\"until\":\"2027-01-01T00:00:00.000000Z\"}",
		"{\"break_glass\":7,\"member\":\"h1\",\"chain\":\"h1\",\"seq\":1e2}",
		"{\"member\":\"dc\",\"reason\":\"r\",\"last\":{\"height\":-1,\"size\":0}}",
		"1e400000", "\"\\ud800\"", "{\"member\":\"h1\",\"n\":1234567890123456789}"
	};

	say_as(history, by, claim_kind_name((ClaimKind) dice(CLAIM_KINDS)), NULL,
		   once_in(2) ? dice(EXAMINEES) : -1, bodies[dice(17)]);
}

static inline void
do_discipline(History *history, int by)
{
	static const char *const kinds[] = {"suspend", "reinstate", "expel"};
	int			about = 1 + dice(once_in(10) ? CAST - 1 : CAST - 2);
	int			kind = history->suspended[about] ? 1 : dice(5) == 0 ? 2 : 0;

	if (once_in(3))
		kind = dice(3);
	history->suspended[about] = kind == 0;
	say(history, by, kinds[kind],
		pool_format(history->pool, "{\"member\":\"%s\",\"reason\":\"w%d\",\"last\":%s}",
					cast[once_in(20) ? 0 : about], dice(3), point(history, about)));
}

static inline void
do_ending(History *history, int by)
{
	int			contract = dice(history->ncontracts);

	say(history, by, "ending",
		pool_format(history->pool, "{\"contract\":\"%s\",\"member\":\"%s\",\"reason\":\"over\","
					"\"last\":%s}", history->contracts[contract],
					cast[history->contract_with[contract]],
					point(history, history->contract_with[contract])));
}

static inline void
do_configure(History *history, int by)
{
	int			about = 1 + dice(CAST - 1);
	World	   *world = history->world;

	say(history, by, "configure",
		pool_format(history->pool, "{\"member\":\"%s\",\"public_key\":%s}", cast[about],
					quoted(history, once_in(15) ? world->bad_keys[dice(2)] :
						   world->public_keys[once_in(10) ? dice(CAST) : about]
						   [once_in(4) ? dice(CAST_KEYS) : 0])));
}

static inline void
do_of_protocol(History *history, int by)
{
	int			protocol = dice(history->nprotocols);

	if (!once_in(4) && dice(6) > 0)
		by = history->protocol_by[protocol];
	if (dice(4) == 0)
	{
		/* by the examinee's other end node, which may not be that yet */
		by = 1 + dice(2);
		say(history, by, "revocation",
			pool_format(history->pool, "{\"protocol\":\"%s\",\"reason\":\"other\"}",
						history->protocols[protocol]));
	}
	else if (dice(2) == 0)
		do_amendment(history, by, protocol);
	else
		say(history, by, dice(3) == 0 ? "revocation" : "note",
			pool_format(history->pool, "{\"protocol\":\"%s\",\"reason\":\"q%d\",\"note\":1}",
						history->protocols[protocol], dice(3)));
}

static inline void
do_something(History *history)
{
	int			by = dice(3) == 0 ? 0 : dice(CAST);

	int			what = dice(28);

	/* well meant, half of the time */
	plain = dice(2) == 0;
	if (history->peaceful && (what == 6 || what == 7 || what == 9 || what == 27))
		what = 13;
	switch (what)
	{
		case 0:
		case 1:
			do_contract(history, once_in(10) ? by : 0, 1 + dice(CAST - 1));
			break;
		case 2:
		case 3:
			if (history->ncontracts > 0)
			{
				int			contract = dice(history->ncontracts);

				do_acceptance(history, contract, once_in(10) ? by :
							  history->contract_with[contract]);
			}
			break;
		case 4:
		case 5:
			do_configure(history, once_in(8) ? by : 1 + dice(2));
			break;
		case 6:
			do_discipline(history, once_in(6) ? by : 0);
			break;
		case 7:
			if (history->ncontracts > 0 && dice(2) == 0)
				do_ending(history, by);
			break;
		case 8:
			do_rekey(history, once_in(3) ? 0 : by, by);
			break;
		case 9:
			say(history, once_in(6) ? by : 0, "crl",
				pool_format(history->pool, "{\"crl\":%s,\"last\":%s}",
							quoted(history, once_in(15) ? history->world->anchors :
								   history->world->lists[dice(LISTS)]), points(history)));
			break;
		case 10:
			do_policy(history, once_in(6) ? by : 0);
			break;
		case 11:
			do_examinee_key(history, once_in(8) ? by : 1 + dice(2));
			break;
		case 12:
			say_as(history, once_in(6) ? by : 0, "examinee_withdrawal", NULL,
				   once_in(15) ? -1 : dice(EXAMINEES),
				   pool_format(history->pool, "{\"reason\":\"lost\",\"last\":%s}",
							   points(history)));
			break;
		case 13:
		case 14:
		case 15:
			do_protocol(history, once_in(8) ? by : 1 + dice(2));
			break;
		case 16:
		case 17:
			if (history->nprotocols > 0)
				do_of_protocol(history, by);
			break;
		case 22:
		case 23:
			do_break_glass(history, by);
			break;
		case 24:
		case 25:
			if (history->nglasses > 0)
				do_justification(history, by);
			break;
		case 20:
			do_renewal(history, once_in(6) ? by : 0);
			break;
		case 18:
			say(history, by, "bind_role",
				pool_format(history->pool, "{\"role\":\"r%d\",\"member\":%s}", dice(2),
							once_in(3) ? "null" : "\"h1\""));
			break;
		case 27:
			do_fork(history, dice(2) == 0 ? 0 : by);
			break;
		case 26:
			say(history, by, "address", once_in(4) ? "{\"host\":\"/tmp\",\"dbname\":\"x\"}" :
				pool_format(history->pool, "{\"host\":\"h%d.example\",\"port\":\"5432\","
							"\"dbname\":\"d\"}", dice(3)));
			break;
		default:
			do_nonsense(history, by);
			break;
	}
	plain = false;
}

static inline void
history_new(History *history, World *world)
{
	int			entries = 20 + dice(HISTORY_MAX - 30);

	memset(history, 0, sizeof(*history));
	history->world = world;
	history->facts = facts_new(NULL, NULL);
	history->pool = pool_new();
	pki_must(period_time("2026-01-05T00:00:00.000000Z", &history->now), "no time");
	say(history, 0, "genesis",
		pool_format(history->pool, "{\"alliance\":\"%s\",\"member\":\"dc\","
					"\"kind\":\"data_center\","
					"\"certificate\":%s,\"trust_anchors\":%s}", once_in(60) ? "west" : "east",
					quoted(history, world->certificates[0][dice(4) == 0 ? 2 : 0]),
					quoted(history, world->anchors)));
	/* mostly it begins well */
	history->peaceful = once_in(2);
	plain = !once_in(8);
	for (int m = 1; m < CAST - 1; m++)
	{
		do_contract(history, 0, m);
		do_acceptance(history, history->ncontracts - 1, m);
	}
	for (int m = 2; m < CAST - 1; m++)
		if (dice(8) > 0)
			say(history, 1, "configure",
				pool_format(history->pool, "{\"member\":\"%s\",\"public_key\":%s}", cast[m],
							quoted(history, world->public_keys[m][0])));
	if (dice(2) == 0)
		say(history, 0, "policy", "{\"policy\":\"break_glass_max\",\"value\":\"7200\","
			"\"last\":{}}");
	plain = false;
	while (history->count < entries)
		do_something(history);
}

static inline void
history_free(History *history)
{
	facts_free(history->facts);
	pool_free(history->pool);
}

#endif
