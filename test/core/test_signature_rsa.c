/*
 * RSA signatures as an adversary would send them.  The forgeries are made with the private key,
 * from padding that is nearly right: what a verifier that only parses the padding takes from
 * somebody who does not have it.
 */
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "core/hash.h"
#include "signature.h"

static EVP_PKEY *rsa;
static size_t rsa_len;

/* em^d mod n */
static void
rsa_raw(const uint8_t *em, uint8_t *sig)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(rsa, NULL);
	size_t		len = rsa_len;

	if (EVP_PKEY_sign_init(context) != 1 ||
		EVP_PKEY_CTX_set_rsa_padding(context, RSA_NO_PADDING) != 1 ||
		EVP_PKEY_sign(context, sig, &len, em, rsa_len) != 1 || len != rsa_len)
		abort();
	EVP_PKEY_CTX_free(context);
}

static void
test_rsa(const char *name)
{
	static const uint8_t info[19] = {
		0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
		0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20
	};
	uint8_t		em[1024];
	uint8_t		good[1024];
	uint8_t		sig[1025];
	uint8_t		digest[32];
	size_t		tail;			/* where the DigestInfo begins */
	char		file[64];
	char	   *pem;
	size_t		len;
	FILE	   *f;
	BIGNUM	   *n = NULL;
	BIGNUM	   *value = BN_new();

	snprintf(file, sizeof(file), "%s.pub", name);
	pem = fixture_read(file, &len);
	snprintf(file, sizeof(file), "%s.key", name);
	f = fopen(fixture_path(file), "r");
	rsa = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	fclose(f);
	rsa_len = (size_t) EVP_PKEY_get_size(rsa);
	tail = rsa_len - 51;
	EVP_PKEY_get_bn_param(rsa, "n", &n);
	if (!hash_sha256("medchain", 8, digest))
		abort();

#define TRY(verdict, title) expect(pem, "-", "medchain", 8, sig, rsa_len, verdict, title)
#define SIGN(title) (rsa_raw(em, sig), TRY(KEY_INVALID, title))
#define PAD() (memset(em, 0xff, rsa_len), em[0] = 0, em[1] = 1, em[tail - 1] = 0, \
			   memcpy(em + tail, info, 19), memcpy(em + tail + 19, digest, 32))
	PAD();
	rsa_raw(em, good);
	memcpy(sig, good, rsa_len);
	TRY(KEY_VALID, "valid");
	expect(pem, "rsa-pkcs1-sha256", "medchain", 8, sig, rsa_len, KEY_VALID, "valid, by name");
	expect(pem, "rsa-pss-sha256", "medchain", 8, sig, rsa_len, KEY_INVALID,
		   "PKCS #1 v1.5 where PSS is asked for");
	expect(pem, "-", "medchain", 8, sig, rsa_len - 1, KEY_INVALID, "truncated");
	expect(pem, "-", "medchain", 8, sig, 0, KEY_INVALID, "empty");
	memmove(sig + 1, sig, rsa_len);
	sig[0] = 0;
	expect(pem, "-", "medchain", 8, sig, rsa_len + 1, KEY_INVALID, "a zero before it");
	memcpy(sig, good, rsa_len);
	sig[rsa_len] = 0;
	expect(pem, "-", "medchain", 8, sig, rsa_len + 1, KEY_INVALID, "a zero behind it");
	BN_bin2bn(good, (int) rsa_len, value);
	BN_add(value, value, n);
	/* as long as the modulus, or a byte longer, as the key has it */
	BN_bn2bin(value, sig);
	expect(pem, "-", "medchain", 8, sig, (size_t) BN_num_bytes(value), KEY_INVALID, "s + n");
	BN_bin2bn(good, (int) rsa_len, value);
	BN_sub(value, n, value);
	BN_bn2binpad(value, sig, (int) rsa_len);
	TRY(KEY_INVALID, "n - s");
	BN_bn2binpad(n, sig, (int) rsa_len);
	TRY(KEY_INVALID, "s = n");
	memset(sig, 0, rsa_len);
	TRY(KEY_INVALID, "s = 0");
	sig[rsa_len - 1] = 1;
	TRY(KEY_INVALID, "s = 1");
	PAD();
	em[1] = 2;
	SIGN("block type 2");
	PAD();
	em[10] = 0xfe;
	SIGN("a padding byte that is not 0xff");
	PAD();
	em[tail - 1] = 0xff;
	SIGN("no zero behind the padding");
	/* 8 bytes of padding, and rubbish behind the digest: what forges with exponent 3 */
	PAD();
	em[10] = 0;
	memcpy(em + 11, info, 19);
	memcpy(em + 30, digest, 32);
	memset(em + 62, 0xab, rsa_len - 62);
	SIGN("bytes behind the digest");
	PAD();
	em[tail + 18] = 0x1f;
	SIGN("digest one byte shorter");
	PAD();
	em[tail + 14] = 0x04;
	SIGN("another hash algorithm");
	PAD();
	em[tail + 15] = 0x04;
	SIGN("parameters that are no NULL");
	PAD();
	em[tail + 1] = 0x30;
	SIGN("DigestInfo with a wrong length");
	/* the parameters left out: Wycheproof calls it acceptable, RFC 8017 (A.2.4) does not */
	PAD();
	memset(em + tail - 1, 0xff, 2);
	em[tail + 1] = 0;
	memcpy(em + tail + 2, info, 19);
	em[tail + 3] -= 2;
	em[tail + 5] -= 2;
	memmove(em + tail + 17, info + 17, 2);
	memcpy(em + tail + 19, digest, 32);
	SIGN("DigestInfo without NULL");
	PAD();
	memset(em + 2, 0xff, tail - 2);
	em[tail - 2] = 0;
	em[tail - 1] = 0x30;
	em[tail] = 0x81;
	SIGN("DigestInfo's length in the long form");
	PAD();
	memcpy(em + rsa_len - 32, "another digest, of 32 bytes.....", 32);
	SIGN("of another digest");
	expect(pem, "sm2-sm3", "medchain", 8, good, rsa_len, KEY_ERROR, "with another algorithm");
#undef TRY
#undef SIGN
#undef PAD
	BN_free(n);
	BN_free(value);
	EVP_PKEY_free(rsa);
}

/* PSS of the openssl command, with one thing different each. */
static void
test_pss(void)
{
	static const struct
	{
		const char *digest;
		const char *mgf1;
		const char *salt;
		bool		valid;
		const char *name;
	}			cases[] = {
		{"sha256", "sha256", "32", true, "valid"},
		{"sha256", "sha256", "0", false, "no salt"},
		{"sha256", "sha256", "31", false, "salt of 31 bytes"},
		{"sha256", "sha256", "33", false, "salt of 33 bytes"},
		{"sha256", "sha256", "max", false, "as much salt as fits"},
		{"sha256", "sha1", "32", false, "MGF1 with SHA-1"},
		{"sha256", "sha512", "32", false, "MGF1 with SHA-512"},
		{"sha512-256", "sha256", "32", false, "another digest of the same length"},
		{"sha1", "sha1", "20", false, "SHA-1"},
	};
	size_t		len;
	char	   *pem = fixture_read("rsa.pub", &len);
	char	   *sig;
	char		command[400];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		snprintf(command, sizeof(command),
			   "printf medchain > message; openssl dgst -%s -sigopt rsa_padding_mode:pss -sigopt "
				 "rsa_pss_saltlen:%s"
				 " -sigopt rsa_mgf1_md:%s -sign rsa.key -out signature message", cases[i].digest,
				 cases[i].salt, cases[i].mgf1);
		fixture_run(command);
		sig = fixture_read("signature", &len);
		expect(pem, "rsa-pss-sha256", "medchain", 8, (uint8_t *) sig, len, cases[i].valid ?
			   KEY_VALID : KEY_INVALID, cases[i].name);
		expect(pem, "-", "medchain", 8, (uint8_t *) sig, len, KEY_INVALID,
			   "PSS where PKCS #1 v1.5 is the key's");
	}
	/* RSASSA-PSS keys that ask for what we don't verify with */
	fixture_run("for o in digest:sha512 saltlen:40 mgf1_md:sha1; do"
				" openssl genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048 -pkeyopt "
			  "rsa_pss_keygen_md:sha256 -pkeyopt rsa_pss_keygen_$o -out pss-$o.key 2>/dev/null ||"
				" openssl genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048 -pkeyopt "
				"rsa_pss_keygen_md:sha512 -out pss-$o.key;"
				" openssl pkey -in pss-$o.key -pubout -outform DER -out pss-$o.der; done");
	pem = fixture_read("pss-digest:sha512.der", &len);
	refuse_key((uint8_t *) pem, len, "does not allow rsa-pss-sha256", "RSASSA-PSS key for SHA-512");
	pem = fixture_read("pss-saltlen:40.der", &len);
	refuse_key((uint8_t *) pem, len, "does not allow rsa-pss-sha256",
			   "RSASSA-PSS key for longer salt");
	pem = fixture_read("pss-mgf1_md:sha1.der", &len);
	refuse_key((uint8_t *) pem, len, "does not allow rsa-pss-sha256",
			   "RSASSA-PSS key for MGF1 with SHA-1");
}

/* The exponent is the last three bytes of such a key: 65537. */
static void
test_rsa_keys(void)
{
	size_t		len;
	uint8_t    *der;

	fixture_run("openssl pkey -pubin -in rsa.pub -outform DER -out rsa.der");
	der = (uint8_t *) fixture_read("rsa.der", &len);
	der[len - 3] = 0;
	der[len - 1] = 1;
	refuse_key(der, len, "exponent", "RSA exponent 1");
	der[len - 3] = 1;
	der[len - 1] = 0;
	refuse_key(der, len, "exponent", "RSA exponent even");
	der[len - 1] = 1;
	der[len - 6] ^= 1;
	refuse_key(der, len, "even modulus", "RSA modulus even");
}

int
main(int argc, char **argv)
{
	open_vectors(argc, argv);
	fixture_run("openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.key && "
				"openssl pkey -in rsa.key -pubout -out rsa.pub");
	fixture_run("openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -pkeyopt "
		  "rsa_keygen_pubexp:3 -out rsa3.key && openssl pkey -in rsa3.key -pubout -out rsa3.pub");
	test_rsa("rsa");
	test_rsa("rsa3");
	test_pss();
	test_rsa_keys();
	if (out != NULL)
		fclose(out);
	return done_testing();
}
