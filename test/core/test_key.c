/*
 * Keys of every kind: RFC 8032 vectors, round trips, foreign signatures, malformed input, key
 * files.
 */
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <openssl/crypto.h>

#include "core/key.h"
#include "fixture.h"
#include "tap.h"

/* RFC 8032, 7.1, test 2, with the public key as SubjectPublicKeyInfo */
static const char rfc8032_key[] =
"-----BEGIN PUBLIC KEY-----\n"
"MCowBQYDK2VwAyEAPUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=\n"
"-----END PUBLIC KEY-----\n";
static const char rfc8032_signature[] =
"92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
"085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";

static void
test_rfc8032(void)
{
	CoreError	error = {0};
	Key		   *key = key_from_pem(rfc8032_key, strlen(rfc8032_key), &error);
	uint8_t		sig[65];
	uint8_t		id[4];
	char		fingerprint[65];
	char	   *pem;

	ok(key != NULL, "RFC 8032 key is read");
	is_number(key_algorithm(key), KEY_ED25519, "as Ed25519");
	unhex(rfc8032_signature, sig);
	is_number(key_verify(key, KEY_DEFAULT, "\x72", 1, sig, 64, &error), KEY_VALID,
			  "its signature is valid");
	is_number(key_verify(key, KEY_ED25519, "\x73", 1, sig, 64, &error), KEY_INVALID,
			  "not over another message");
	is_number(key_verify(key, KEY_DEFAULT, "\x72", 1, sig, 63, &error), KEY_INVALID,
			  "not truncated");
	is_number(key_verify(key, KEY_DEFAULT, "\x72", 1, sig, 65, &error), KEY_INVALID,
			  "not extended");
	is_number(key_verify(key, KEY_DEFAULT, "\x72", 1, sig, 0, &error), KEY_INVALID, "not empty");
	is_number(key_verify(key, KEY_ECDSA_P256_SHA256, "\x72", 1, sig, 64, &error), KEY_ERROR,
			  "another algorithm is an error");
	sig[63] |= 0x80;
	is_number(key_verify(key, KEY_DEFAULT, "\x72", 1, sig, 64, &error), KEY_INVALID,
			  "S out of range is invalid");
	ok(key_fingerprint(key, fingerprint) && strlen(fingerprint) == 64, "it has a fingerprint");
	pem = key_to_pem(key, &error);
	is_string(pem, rfc8032_key, "and is written as it was read");
	key_free_text(pem);
	ok(key_note_id(key, "example.com/x", id), "and has a note key id");
	key_free(key);
}

/*
 * Make a key with openssl, sign with it, and verify what openssl signed; then the other way round.
 */
static void
test_kind(const char *name, const char *generate, const char *sign, const char *verify,
		  KeyAlgorithm algorithm)
{
	char		command[1024];
	char		label[128];
	CoreError	error = {0};
	Key		   *public;
	Key		   *private;
	char	   *pem;
	char	   *foreign;
	size_t		len;
	size_t		foreign_len;
	uint8_t		sig[KEY_SIGNATURE_MAX];
	size_t		siglen;
	FILE	   *file;

	snprintf(command, sizeof(command),
		   "%s -out %s.key && chmod 600 %s.key && openssl pkey -in %s.key -pubout -out %s.pub && "
			 "printf hello > message && %s",
			 generate, name, name, name, name, sign);
	fixture_run(command);
	snprintf(label, sizeof(label), "%s.pub", name);
	pem = fixture_read(label, &len);
	public = key_from_pem(pem, len, &error);
	snprintf(label, sizeof(label), "%s: public key is read", name);
	if (!ok(public != NULL, label))
	{
		printf("# %s\n", error.message);
		return;
	}
	snprintf(label, sizeof(label), "%s: algorithm", name);
	is_number(key_algorithm(public), algorithm, label);
	snprintf(label, sizeof(label), "%s.key", name);
	private = key_load_private(fixture_path(label), NULL, NULL, &error);
	snprintf(label, sizeof(label), "%s: private key is read", name);
	if (!ok(private != NULL, label))
	{
		printf("# %s\n", error.message);
		return;
	}
	snprintf(label, sizeof(label), "%s: they belong together", name);
	ok(key_same(public, private), label);

	foreign = fixture_read("signature", &foreign_len);
	snprintf(label, sizeof(label), "%s: openssl's signature is valid", name);
	is_number(key_verify(public, KEY_DEFAULT, "hello", 5, (uint8_t *) foreign, foreign_len, &error),
			  KEY_VALID, label);

	snprintf(label, sizeof(label), "%s: we sign", name);
	ok(key_sign(private, "hello", 5, sig, &siglen, &error), label);
	snprintf(label, sizeof(label), "%s: and find it valid", name);
	is_number(key_verify(public, KEY_DEFAULT, "hello", 5, sig, siglen, &error), KEY_VALID, label);
	file = fopen(fixture_path("signature"), "wb");
	fwrite(sig, 1, siglen, file);
	fclose(file);
	fixture_run(verify);
	snprintf(label, sizeof(label), "%s: and so does openssl", name);
	ok(true, label);

	{
		bool		refused = true;

		for (size_t i = 0; i < siglen; i++)
		{
			sig[i] ^= 0x01;
			refused = refused && key_verify(public, KEY_DEFAULT, "hello", 5, sig, siglen, &error) ==
				KEY_INVALID;
			sig[i] ^= 0x01;
		}
		snprintf(label, sizeof(label), "%s: with any byte changed it is invalid", name);
		ok(refused, label);
	}
	sig[siglen] = 0;
	snprintf(label, sizeof(label), "%s: with a byte more it is invalid", name);
	is_number(key_verify(public, KEY_DEFAULT, "hello", 5, sig, siglen + 1, &error), KEY_INVALID,
			  label);
	key_free(public);
	key_free(private);
}

static void
refuse_pem(const char *pem, size_t len, const char *name)
{
	CoreError	error = {0};
	Key		   *key = key_from_pem(pem, len, &error);

	ok(key == NULL && error.code != CORE_OK && error.message[0] != '\0', name);
	key_free(key);
}

static void
test_malformed(void)
{
	char	   *pem;
	size_t		len;
	char	   *long_text = malloc(1100000);

	refuse_pem("", 0, "an empty text is no key");
	refuse_pem("hello", 5, "nor is any text");
	refuse_pem("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", 57,
			   "nor are three bytes");
	memset(long_text, 'A', 1100000);
	refuse_pem(long_text, 1100000, "nor is more than a megabyte");
	free(long_text);
	fixture_run("openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out weak.key && "
				"openssl pkey -in weak.key -pubout -out weak.pub");
	pem = fixture_read("weak.pub", &len);
	refuse_pem(pem, len, "RSA of 1024 bits is not taken");
	fixture_run("openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out p384.key && "
				"openssl pkey -in p384.key -pubout -out p384.pub");
	pem = fixture_read("p384.pub", &len);
	refuse_pem(pem, len, "P-384 is not taken");
	fixture_run("openssl ecparam -name prime256v1 -genkey -param_enc explicit -noout -out "
	 "explicit.key && openssl ec -in explicit.key -pubout -param_enc explicit -out explicit.pub");
	pem = fixture_read("explicit.pub", &len);
	refuse_pem(pem, len, "nor are explicit curve parameters");
	fixture_run("openssl genpkey -algorithm x25519 -out x25519.key && openssl pkey -in x25519.key "
				"-pubout -out x25519.pub");
	pem = fixture_read("x25519.pub", &len);
	refuse_pem(pem, len, "nor X25519, which does not sign");
	pem = fixture_read("ed.key", &len);
	refuse_pem(pem, len, "a private key is not taken for a public one");
}

static void
refuse_file(const char *uri, const char *words, const char *name)
{
	CoreError	error = {0};
	Key		   *key = key_load_private(uri, NULL, NULL, &error);

	if (!ok(key == NULL && strstr(error.message, words) != NULL, name))
		printf("# %s\n", error.message);
	key_free(key);
}

static void
test_files(void)
{
	CoreError	error = {0};
	Key		   *key;
	char		uri[300];

	snprintf(uri, sizeof(uri), "file:%s", fixture_path("ed.key"));
	key = key_load_private(uri, NULL, NULL, &error);
	ok(key != NULL, "a file: URI is read");
	key_free(key);
	snprintf(uri, sizeof(uri), "file://%s", fixture_path("ed.key"));
	key = key_load_private(uri, NULL, NULL, &error);
	ok(key != NULL, "one with an empty authority too");
	key_free(key);

	chmod(fixture_path("ed.key"), 0640);
	/* a file of root may be readable by its group, unless we are root ourselves */
	refuse_file(fixture_path("ed.key"), "group or world access",
				"a file that the group can read is refused");
	chmod(fixture_path("ed.key"), 0604);
	refuse_file(fixture_path("ed.key"), "group or world access",
				"a file that others can read is refused");
	chmod(fixture_path("ed.key"), 0600);

	refuse_file(fixture_path("nothing"), "could not open", "a missing file is an error");
	refuse_file(fixture_path(""), "not a regular file", "a directory is an error");
	fixture_run("chmod 600 ed.pub message");
	refuse_file(fixture_path("ed.pub"), "no private key", "a public key is not a private one");
	refuse_file(fixture_path("message"), "no private key", "nor is any file");
	fixture_run("openssl genpkey -algorithm ed25519 -aes256 -pass pass:secret -out encrypted.key "
				"&& chmod 600 encrypted.key");
	refuse_file(fixture_path("encrypted.key"), "encrypted with a passphrase",
				"an encrypted key is an error, and nobody is asked");
	refuse_file("pkcs11:object=none", "no private key", "a URI without a provider is an error");
	fixture_run("mkfifo -m 600 fifo");
	refuse_file(fixture_path("fifo"), "not a regular file", "a FIFO is an error, not a wait");
}

static int	prompts;

static int
passphrase(char *buffer, int size, void *arg)
{
	prompts++;
	return arg ? snprintf(buffer, (size_t) size, "%s", (char *) arg) : -1;
}

static void
test_passphrase(void)
{
	static const char *const files[] = {"encrypted.key", "legacy.key", "bag.p12"};
	CoreError	error = {0};
	Key		   *key;
	char		label[100];

	fixture_run("openssl ecparam -name prime256v1 -genkey -noout | openssl ec -aes128 -passout "
				"pass:secret -out legacy.key;"
				" openssl req -x509 -key p256.key -subj /CN=x -days 2 -out p256.crt;"
				" openssl pkcs12 -export -inkey p256.key -in p256.crt -passout pass:secret -out "
				"bag.p12; chmod 600 legacy.key bag.p12");
	for (int i = 0; i < 3; i++)
	{
		prompts = 0;
		key = key_load_private(fixture_path(files[i]), passphrase, "secret", &error);
		snprintf(label, sizeof(label), "%s: is read with its passphrase", files[i]);
		if (!ok(key != NULL, label))
			printf("# %s\n", error.message);
		snprintf(label, sizeof(label), "%s: asked for once", files[i]);
		is_number(prompts, 1, label);
		key_free(key);
		key = key_load_private(fixture_path(files[i]), passphrase, "wrong", &error);
		snprintf(label, sizeof(label), "%s: not with another", files[i]);
		ok(key == NULL && strstr(error.message, "cannot be read with the passphrase given") !=
		   NULL && strstr(error.message, "wrong") == NULL, label);
		key_free(key);
		key = key_load_private(fixture_path(files[i]), passphrase, NULL, &error);
		snprintf(label, sizeof(label), "%s: nor without", files[i]);
		ok(key == NULL && strstr(error.message, "encrypted with a passphrase") != NULL, label);
		key_free(key);
	}
	refuse_file("pkcs11:object=x?pin-value=1234", "contains a PIN",
				"a PIN does not belong into a URI");
	key = key_load_private("pkcs11:object=x?pin-source=file:/secret/place", NULL, NULL, &error);
	ok(key == NULL && strstr(error.message, "pkcs11:object=x") != NULL &&
	   strstr(error.message, "secret") == NULL, "what is behind ? is not shown");
}

/* In a process of its own: the leak checker has to look at this one. */
static void
test_protection(void)
{
	pid_t		child = fork();
	int			status = -1;

	if (child == 0)
	{
		CoreError	error = {0};
		bool		fine = (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1 &&
							key_protect_process(&error) &&
			  prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 && CRYPTO_secure_malloc_initialized() == 1);
		Key		   *key = key_load_private(fixture_path("rsa.key"), NULL, NULL, &error);
		Key		   *other = key_load_private(fixture_path("ed.key"), NULL, NULL, &error);

		fine = fine && key != NULL && other != NULL && CRYPTO_secure_used() > 0;
		key_free(key);
		key_free(other);
		/* wiped and given back, for a key that is loaded again at each reload */
		for (int i = 0; fine && i < 200; i++)
		{
			key = key_load_private(fixture_path("rsa.key"), NULL, NULL, &error);
			fine = key != NULL && key_protect_process(&error);
			key_free(key);
		}
		_exit(fine && CRYPTO_secure_used() == 0 ? 0 : 1);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		abort();
	ok(WIFEXITED(status) && WEXITSTATUS(status) == 0,
	   "private keys are in memory that is not dumped, and leave it");
}

int
main(void)
{
	KeyAlgorithm algorithm;

	test_rfc8032();
	test_kind("ed", "openssl genpkey -algorithm ed25519",
			  "openssl pkeyutl -sign -rawin -inkey ed.key -in message -out signature",
			  "openssl pkeyutl -verify -rawin -pubin -inkey ed.pub -in message -sigfile signature",
			  KEY_ED25519);
	test_kind("p256", "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256",
			  "openssl dgst -sha256 -sign p256.key -out signature message",
			  "openssl dgst -sha256 -verify p256.pub -signature signature message",
			  KEY_ECDSA_P256_SHA256);
	test_kind("rsa", "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048",
			  "openssl dgst -sha256 -sign rsa.key -out signature message",
			  "openssl dgst -sha256 -verify rsa.pub -signature signature message",
			  KEY_RSA_PKCS1_SHA256);
	test_kind("pss", "openssl genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048",
			  "openssl dgst -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest "
			  "-sign pss.key -out signature message",
			  "openssl dgst -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest "
			  "-verify pss.pub -signature signature message",
			  KEY_RSA_PSS_SHA256);
	test_kind("sm2", "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:SM2",
			  "openssl pkeyutl -sign -rawin -digest sm3 -pkeyopt distid:1234567812345678 -inkey "
			  "sm2.key -in message -out signature",
			  "openssl pkeyutl -verify -rawin -digest sm3 -pkeyopt distid:1234567812345678 -pubin "
			  "-inkey sm2.pub -in message -sigfile signature",
			  KEY_SM2_SM3);
	test_malformed();
	test_files();
	test_passphrase();
	test_protection();
	ok(key_algorithm_from_name("sm2-sm3", &algorithm) &&
	   algorithm == KEY_SM2_SM3, "algorithms have names");
	ok(!key_algorithm_from_name("rot13", &algorithm), "others are unknown");
	is_string(key_algorithm_name(KEY_RSA_PSS_SHA256), "rsa-pss-sha256", "and back");
	return done_testing();
}
