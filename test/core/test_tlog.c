/*
 * Verifier keys, cosignatures, policies and proofs of C2SP, on what others have published, and on
 * every way to spoil it.
 */
#include "core/tlog_policy.h"
#include "core/tlog_proof.h"
#include "core/tree.h"
#include "rules/witness.h"
#include "fixture.h"
#include "tap.h"

#define DASH "\xe2\x80\x94 "

/* A log's checkpoint as a public witness had it (c2sp.org/tlog-witness), and their keys. */
static const char public_checkpoint[] =
"markovianprotocol.com/log\n9266\nQnwPzJywq5AyOk9k1zLqfryh6Ktw1CnaaKplELApoxw=\n\n"
DASH "markovianprotocol.com/log "
"AwLGyIvuxLXZM101mKdNCPTsl9GgtiG/wzbd8cGru0pGnWVMXI06twIsEIZho7n8id+w2EO0BZCalxuEm6BauQGNmgo=\n"
DASH "witness.navigli.sunlight.geomys.org "
"o+AP4gAAAABqwX+So8evhUsltetL+QnwUxEYMNrD25pJYOTFHwDCopbgQMl2AEh583AxfFNMDZzE73rdjK62tUN8oUBfd9p6"
"usq+BA==\n";
static const char public_log[] =
"markovianprotocol.com/log+0302c6c8+ATkpOWo95UuEiW2EhNZAol4f0CS8hMluJfPcTSzrr03v";
static const char public_witness[] =
"witness.navigli.sunlight.geomys.org+a3e00fe2+BNy/co4C1Hn1p+INwJrfUlgz7W55dSZReusH/GhUhJ/G";
static const char neumann[] = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";

static void
test_vkey(void)
{
	static const char *const bad[] = {
		"", "+", "a", "a+b", "a+00000000", "a+00000000+", "PeterNeumann+c74f20a4+"
		"ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
		"PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
		"PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW=",
		"Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
		"PeterNeumann+c74f20a3+AQ==", "PeterNeumann+c74f20a3+"
	};
	Vkey		vkey;
	char		again[VKEY_MAX];
	CoreError	error = {0};
	Key		   *other;

	ok(vkey_read(public_log, strlen(public_log), &vkey, &error), "a public log's key is read");
	is_string(vkey.name, "markovianprotocol.com/log", "with its name");
	is_number(vkey.type, VKEY_ED25519, "and its type");
	ok(vkey_write(vkey.key, vkey.name, false, again, &error), "and written");
	is_string(again, public_log, "as it was");
	key_free(vkey.key);
	ok(vkey_read(public_witness, strlen(public_witness), &vkey, &error), "a public witness' key");
	is_number(vkey.type, COSIGNATURE_TYPE, "with its type");
	ok(vkey_write(vkey.key, vkey.name, true, again, &error), "is written");
	is_string(again, public_witness, "as it was");
	key_free(vkey.key);
	ok(vkey_read(neumann, strlen(neumann), &vkey, &error), "Go's example is read");
	key_free(vkey.key);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ok(!vkey_read(bad[i], strlen(bad[i]), &vkey, &error), bad[i]);

	fixture_run("openssl ecparam -name prime256v1 -genkey -noout -out ec.pem && "
			"openssl ec -in ec.pem -pubout -out ec.pub && openssl genpkey -algorithm EC -pkeyopt "
		   "ec_paramgen_curve:SM2 -out sm2.pem && openssl pkey -in sm2.pem -pubout -out sm2.pub");
	for (int i = 0; i < 2; i++)
	{
		size_t		len;
		char	   *pem = fixture_read(i == 0 ? "ec.pub" : "sm2.pub", &len);

		other = key_from_pem(pem, len, &error);
		ok(other != NULL && vkey_write(other, "east/b", false, again, &error),
		   "a key of another kind is written as what it is");
		ok(strncmp(again, "east/b+", 7) == 0 && again[16] == (i == 0 ? 'A' : '/'),
		   i == 0 ? "ECDSA by type 0x02" : "SM2 by type 0xff");
		ok(!vkey_write(other, "east/b", true, again, &error) && error.code == CORE_UNSUPPORTED,
		   "and not as a witness'");
		ok(!vkey_read(again, strlen(again), &vkey, &error) && error.code == CORE_UNSUPPORTED,
		   "and is not read as a log's for outsiders");
		key_free(other);
	}
}

static bool
policy_verdict(const char *policy, const char *note, int quorum, TlogVerdict *verdict)
{
	CoreError	error = {0};
	TlogPolicy *read = tlog_policy_read(policy, strlen(policy), &error);
	bool		fine = read != NULL &&
	tlog_policy_check(read, note, strlen(note), quorum, NULL, NULL, verdict, &error);

	if (read == NULL)
		printf("# %s\n", error.message);
	tlog_policy_free(read);
	return fine && verdict->signed_by_log && verdict->quorum;
}

static void
test_public(void)
{
	char		policy[1024];
	char		text[sizeof(public_checkpoint) + 8192];
	char		long_line[4000];
	TlogVerdict verdict;
	int			accepted = 0;

	snprintf(policy, sizeof(policy), "log %s\nwitness w %s\nquorum w\n", public_log,
			 public_witness);
	ok(policy_verdict(policy, public_checkpoint, -1, &verdict),
	   "a public checkpoint verifies, with the cosignature of a public witness");
	is_number(verdict.witnesses, 1, "that of one");
	is_number(verdict.latest, 1791066002, "made then");
	ok(!policy_verdict(policy, public_checkpoint, 2, &verdict), "two are not there");
	for (size_t i = 0; i < strlen(public_checkpoint); i++)
		for (int bit = 0; bit < 8; bit++)
		{
			memcpy(text, public_checkpoint, sizeof(public_checkpoint));
			text[i] ^= (char) (1 << bit);
			if (text[i] != '\0')
				accepted += policy_verdict(policy, text, -1, &verdict);
		}
	is_number(accepted, 0, "with any bit changed, it does not verify");

	memset(long_line, 'A', sizeof(long_line));
	long_line[3236] = '\0';
	snprintf(text, sizeof(text), "%s" DASH "witness.navigli.sunlight.geomys.org %s\n",
			 public_checkpoint, long_line);
	ok(policy_verdict(policy, text, -1, &verdict),
	   "a signature as long as ML-DSA-44's, of a key that nobody knows, does no harm");
	snprintf(policy, sizeof(policy), "log %s\nwitness w %s\nquorum w\n", neumann, public_witness);
	ok(!policy_verdict(policy, public_checkpoint, -1, &verdict), "nor under another log's key");
}

static bool
policy_fine(const char *text, CoreError *error)
{
	TlogPolicy *policy;

	memset(error, 0, sizeof(*error));
	policy = tlog_policy_read(text, strlen(text), error);
	tlog_policy_free(policy);
	return policy != NULL;
}

static void
test_policy(void)
{
	static const char *const bad[] = {
		"", "quorum\n", "quorum none", "quorum none\nquorum none\n", "quorum x\n",
		"quorum none more\n", "log\nquorum none\n", "log x\nquorum none\n", "witness a\n",
		"group g any\nquorum g\n", "group g 1 x\nquorum g\n", "what is this\nquorum none\n",
		"quorum none\r\n", "group none any none\nquorum none\n",
		"witness none " "witness.navigli.sunlight.geomys.org+a3e00fe2+"
		"BNy/co4C1Hn1p+INwJrfUlgz7W55dSZReusH/GhUhJ/G\nquorum none\n",
		"log witness.navigli.sunlight.geomys.org+a3e00fe2+"
		"BNy/co4C1Hn1p+INwJrfUlgz7W55dSZReusH/GhUhJ/G\nquorum none\n",
		"log a b c d\nquorum none\n"
	};
	char		text[4 * VKEY_MAX + 1024];
	char		names[3][VKEY_MAX];
	CoreError	error;
	Key		   *keys[3];
	char		note[8192];
	char		line[COSIGNATURE_LINE_MAX];
	const char *body = "log.example\n1\nKgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
	size_t		len;
	TlogVerdict verdict;
	char		log[VKEY_MAX];

	ok(policy_fine("# a comment\n\n \tquorum\tnone \n", &error), "a policy without witnesses");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ok(!policy_fine(bad[i], &error) && error.message[0] != '\0', "is no policy");
	for (int i = 0; i < 3; i++)
	{
		char		name[32];
		char		command[128];

		snprintf(name, sizeof(name), "k%d", i);
		snprintf(command, sizeof(command), "openssl genpkey -algorithm ed25519 -out %s && chmod "
				 "600 %s", name, name);
		fixture_run(command);
		keys[i] = key_load_private(fixture_path(name), NULL, NULL, &error);
		snprintf(name, sizeof(name), "w%d.example", i);
		ok(vkey_write(keys[i], name, true, names[i], &error), name);
	}
	ok(vkey_write(keys[0], "log.example", false, log, &error), "one of them has a log as well");
	len = note_sign(body, strlen(body), "log.example", keys[0], note, &error);
	note[len] = '\0';
	for (int i = 0; i < 3; i++)
	{
		char		name[32];

		snprintf(text, sizeof(text), "log %s https://log.example/\nwitness 0 %s\nwitness 1 %s\n"
				 "witness 2 %s https://w2.example/\ngroup two 2 0 1\ngroup all all two 2\n"
				 "quorum all\n", log, names[0], names[1], names[2]);
		ok(!policy_verdict(text, note, -1, &verdict), "no quorum yet");
		is_number(verdict.witnesses, i, "of so many");
		snprintf(name, sizeof(name), "w%d.example", i);
		len = cosignature_make(body, strlen(body), name, keys[i], 1700000000 + i,
							   line, &error);
		ok(len > 0, "one more");
		strcat(note, line);
		if (i > 0)
			continue;
		strcat(note, line);
		ok(policy_verdict(text, note, 1, &verdict) && verdict.witnesses == 1,
		   "a cosignature that is there twice counts once");
	}
	ok(policy_verdict(text, note, -1, &verdict), "a quorum of groups in groups");
	ok(verdict.earliest == 1700000000 && verdict.latest == 1700000002, "with the times");
	ok(policy_verdict(text, note, 3, &verdict) && !policy_verdict(text, note, 4, &verdict),
	   "or so many, whatever the policy says");
	snprintf(text, sizeof(text), "log %s\nwitness 0 %s\ngroup g any 0\ngroup h any 0\nquorum g\n",
			 log, names[0]);
	ok(!policy_fine(text, &error), "a name in two groups");
	snprintf(text, sizeof(text), "witness 0 %s\nwitness 1 %s\nquorum 1\n", names[0], names[0]);
	ok(!policy_fine(text, &error), "a key twice");
	snprintf(text, sizeof(text), "witness 0 %s\nwitness 0 %s\nquorum 0\n", names[0], names[1]);
	ok(!policy_fine(text, &error), "a name twice");
	snprintf(text, sizeof(text), "log %s\nlog %s\nquorum none\n", log, log);
	ok(!policy_fine(text, &error), "a log twice");
	snprintf(text, sizeof(text), "witness 0 %s\ngroup g 2 0\nquorum g\n", names[0]);
	ok(!policy_fine(text, &error), "a threshold that nobody reaches");

	for (int i = 0; i < 3; i++)
		key_free(keys[i]);
}

static void
test_proof(void)
{
	static const char *const bad[] = {
		"", "c2sp.org/tlog-proof@v2\nindex 0\n\nx\n", "c2sp.org/tlog-proof@v1\n",
		"c2sp.org/tlog-proof@v1\nindex 0\n", "c2sp.org/tlog-proof@v1\nindex 00\n\nx\n",
		"c2sp.org/tlog-proof@v1\nindex -1\n\nx\n", "c2sp.org/tlog-proof@v1\nindex \n\nx\n",
		"c2sp.org/tlog-proof@v1\nindex 99999999999999999999\n\nx\n",
		"c2sp.org/tlog-proof@v1\nextra !!notbase64!!\nindex 0\n\nx\n",
		"c2sp.org/tlog-proof@v1\nindex 0\nAAAA\n\nx\n",
		"c2sp.org/tlog-proof@v1\nindex 0\nextra YQ==\n\nx\n"
	};
	static const char good[] = "c2sp.org/tlog-proof@v1\nextra YWdl\nindex 73894\n"
	"gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=\n\nexample.com/fancylog\n109482\n";
	char		many[4096] = "c2sp.org/tlog-proof@v1\nindex 1\n";
	TlogProof	proof;
	CoreError	error = {0};

	ok(tlog_proof_read(good, strlen(good), &proof, &error) && proof.index == 73894 &&
	   proof.nhashes == 1 && strncmp(proof.checkpoint, "example.com/fancylog\n109482\n",
									 proof.checkpoint_len) == 0, "the specification's example");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ok(!tlog_proof_read(bad[i], strlen(bad[i]), &proof, &error), "is no proof");
	for (int i = 0; i < 65; i++)
		strcat(many, "gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=\n");
	strcat(many, "\nx\n");
	ok(!tlog_proof_read(many, strlen(many), &proof, &error), "65 hashes are too many");
}

static bool
witness_of(const char *body, Witness *witness)
{
	char		payload[2048];

	snprintf(payload, sizeof(payload), "{\"kind\":\"witness\",\"origin\":\"b\",\"id\":"
			 "\"00000000-0000-0000-0000-000000000000\",\"time\":\"2026-01-31T23:59:59.123456Z\","
			 "\"actor\":\"b\",\"body\":%s}", body);
	return witness_read(payload, strlen(payload), witness);
}

static void
test_witness(void)
{
#define HASH "0000000000000000000000000000000000000000000000000000000000000000"
	static const char *const bad[] = {
		"{}", "[]", "1", "null",
		"{\"chain\":\"b\",\"entries\":1,\"height\":0,\"hash\":\"" HASH "\"}",
		"{\"chain\":\"a\",\"entries\":-1,\"height\":0,\"hash\":\"" HASH "\"}",
		"{\"chain\":\"a\",\"entries\":1,\"height\":1.5,\"hash\":\"" HASH "\"}",
		"{\"chain\":\"a\",\"entries\":1,\"height\":\"0\",\"hash\":\"" HASH "\"}",
		"{\"chain\":\"a\",\"entries\":1,\"height\":9999999999999999999,\"hash\":\"" HASH "\"}",
		"{\"chain\":\"a\",\"entries\":1,\"height\":0,\"hash\":\"00\"}",
		"{\"chain\":\"a/b\",\"entries\":1,\"height\":0,\"hash\":\"" HASH "\"}",
		"{\"chain\":\"a\",\"entries\":1,\"height\":0,\"hash\":\"" HASH "\",\"cosignature\":1}",
		"{\"chain\":\"a\",\"chain\":\"a\",\"entries\":1,\"height\":0,\"hash\":\"" HASH "\"}"
	};
	Witness		witness;
	NoteSignature signature;

	ok(witness_of("{\"chain\":\"a\",\"entries\":17,\"height\":3,\"hash\":\"" HASH "\","
				  "\"cosignature\":\"" DASH "east/b AAAAAAAA\"}", &witness), "a witness' word");
	ok(strcmp(witness.author, "b") == 0 && strcmp(witness.chain, "a") == 0 &&
	   witness.entries == 17 && witness.height == 3, "says what it says");
	ok(witness_signature(&witness, &signature) && note_signature_is_of(&signature, "east/b"),
	   "with a signature line");
	ok(witness_of("{\"chain\":\"a\",\"entries\":17,\"height\":3,\"hash\":\"" HASH "\"}",
				  &witness) && !witness_signature(&witness, &signature), "or without");
	ok(witness_of("{\"chain\":\"a\",\"entries\":17,\"height\":3,\"hash\":\"" HASH "\","
				  "\"cosignature\":\"" DASH "x\\n\\neast/b AAAAAAAA\"}", &witness) &&
	   !witness_signature(&witness, &signature), "a line that would be more than one is none");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ok(!witness_of(bad[i], &witness), bad[i]);
}

int
main(void)
{
	test_vkey();
	test_public();
	test_policy();
	test_proof();
	test_witness();
	return done_testing();
}
