/*
 * signature.h: signatures, and what is to be said of them, for the tests of verification.  They can
 * also be written to a file: "test_signature FILE" and "test_signature_rsa FILE" make
 * test/vectors/curves.txt and rsa.txt.
 */
#ifndef MEDCHAIN_TEST_SIGNATURE_H
#define MEDCHAIN_TEST_SIGNATURE_H

#include "core/encode.h"
#include "core/keycache.h"
#include "fixture.h"
#include "tap.h"

static FILE *out = NULL;		/* the file to write, or NULL */
static char written_key[4096];	/* the key written last */

/* The base64 of a PEM text, on one line. */
static inline const char *
pem_body(const char *pem)
{
	static char body[4096];
	size_t		len = 0;

	for (const char *line = strchr(pem, '\n') + 1; strncmp(line, "-----", 5) != 0;
		 line = strchr(line, '\n') + 1)
	{
		size_t		n = strcspn(line, "\n");

		memcpy(body + len, line, n);
		len += n;
	}
	body[len] = '\0';
	return body;
}

static inline void
write_hex(const uint8_t *bytes, size_t len)
{
	if (len == 0)
		fputs(" -", out);
	else
		fputc(' ', out);
	for (size_t i = 0; i < len; i++)
		fprintf(out, "%02x", bytes[i]);
}

static inline void
expect(const char *pem, const char *algorithm, const void *message, size_t len, const uint8_t *sig,
	   size_t siglen,
	   KeyVerdict verdict, const char *name)
{
	CoreError	error = {0};
	KeyAlgorithm a = KEY_DEFAULT;
	const Key  *key = keycache_get(pem, strlen(pem), &error);
	KeyVerdict	got;
	char		label[200];

	if (strcmp(algorithm, "-") != 0 && !key_algorithm_from_name(algorithm, &a))
		abort();
	got = key ? key_verify(key, a, message, len, sig, siglen, &error) : KEY_ERROR;
	snprintf(label, sizeof(label), "%s: %s", key ? key_algorithm_name(key_algorithm(key)) :
			 "key", name);
	if (!is_number(got, verdict, label))
		printf("# %s\n", error.message);
	if (out == NULL)
		return;
	if (strcmp(written_key, pem) != 0)
		fprintf(out, "key %s\n", pem_body(pem));
	snprintf(written_key, sizeof(written_key), "%s", pem);
	fputs(verdict == KEY_VALID ? "valid" : verdict == KEY_INVALID ? "invalid" : "error", out);
	fprintf(out, " %s", algorithm);
	write_hex(message, len);
	write_hex(sig, siglen);
	fprintf(out, " %s\n", name);
}

static inline void
refuse_key(const uint8_t *spki, size_t len, const char *words, const char *name)
{
	char		pem[4200];
	char		base64[4096];
	CoreError	error = {0};
	Key		   *key;

	encode_base64(spki, len, base64);
	snprintf(pem, sizeof(pem), "-----BEGIN PUBLIC KEY-----\n%s\n-----END PUBLIC KEY-----\n",
			 base64);
	key = key_from_pem(pem, strlen(pem), &error);
	if (!ok(key == NULL && strstr(error.message, words) != NULL, name))
		printf("# %s\n", error.message);
	key_free(key);
	if (out != NULL)
		fprintf(out, "badkey %s %s\n", base64, name);
}

static inline void
open_vectors(int argc, char **argv)
{
	if (argc < 2)
		return;
	out = fopen(argv[1], "w");
	if (out == NULL)
	{
		perror(argv[1]);
		exit(2);
	}
	fprintf(out, "# Made by test/core/%s FILE; README.md tells the format.\n",
			strrchr(argv[0], '/') + 1);
}

#endif
