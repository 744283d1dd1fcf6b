/* Revocation lists: whose count, what an expired one says, and the reasons given. */
#include <time.h>

#include "core/certificate.h"
#include "fixture.h"
#include "tap.h"

static int64_t now;

/* The files, one behind the other; NULL if there is none. */
static char *
join(const char *files, size_t *len)
{
	static char text[8][100000];
	static int	next = 0;
	char		names[200];
	char	   *to = text[next++ % 8];

	*len = 0;
	snprintf(names, sizeof(names), "%s", files);
	for (char *name = strtok(names, " "); name != NULL; name = strtok(NULL, " "))
	{
		char		path[300];
		FILE	   *file;

		snprintf(path, sizeof(path), "%s/pki/%s", fixture_dir, name);
		file = fopen(path, "rb");
		if (file == NULL)
			abort();
		*len += fread(to + *len, 1, 99999 - *len, file);
		fclose(file);
	}
	to[*len] = '\0';
	return *len > 0 ? to : NULL;
}

static void
check(const char *certificate, const char *anchor, const char *crls, CertificateCrlPolicy policy,
	  int64_t at,
	  const char *words, const char *name)
{
	CoreError	error = {0};
	char		reason[CORE_MESSAGE_LEN] = "";
	size_t		certificate_len;
	size_t		anchor_len;
	size_t		crls_len;
	char	   *c = join(certificate, &certificate_len);
	char	   *a = join(anchor, &anchor_len);
	char	   *l = join(crls, &crls_len);
	CertificateVerdict verdict = certificate_verify(c, certificate_len, a, anchor_len, l, crls_len,
													policy, at, reason, &error);

	if (!ok(words == NULL ? verdict == CERTIFICATE_VALID : verdict == CERTIFICATE_INVALID &&
			strstr(reason, words) != NULL, name))
		printf("# verdict %d, reason: %s, error: %s\n", verdict, reason, error.message);
}

#define STRICT(certificate, crls, words, name) \
	check(certificate, "ca.crt", crls, CERTIFICATE_CRL_STRICT, now, words, name)
#define LAST(certificate, crls, words, name) \
	check(certificate, "ca.crt", crls, CERTIFICATE_CRL_LAST_KNOWN, now, words, name)

static void
refused(const char *data, size_t len, const char *words, const char *name)
{
	CoreError	error = {0};
	char		reason[CORE_MESSAGE_LEN];
	size_t		certificate_len;
	size_t		anchor_len;
	char	   *c = join("member.crt", &certificate_len);
	char	   *a = join("ca.crt", &anchor_len);

	if (!ok(certificate_verify(c, certificate_len, a, anchor_len, data, len, CERTIFICATE_CRL_STRICT,
							   now, reason, &error) == CERTIFICATE_ERROR &&
			strstr(error.message, words) != NULL, name))
		printf("# %s %s\n", reason, error.message);
}

static void
test_malformed(void)
{
	size_t		len;
	char	   *crl = join("ca.crl", &len);
	char	   *big = calloc(1, CERTIFICATE_MAX + 1);
	char	   *pem;
	CoreError	error = {0};
	bool		fine = true;
	char		reason[CORE_MESSAGE_LEN];
	size_t		certificate_len;
	size_t		anchor_len;
	char	   *c = join("member.crt", &certificate_len);
	char	   *a = join("ca.crt", &anchor_len);

	refused("", 0, "no PEM block", "nothing is an error");
	refused("garbage", 7, "no PEM block", "garbage is an error");
	refused(crl, len - 40, "damaged PEM block", "a list cut short is an error");
	refused(c, certificate_len, "and not \"X509 CRL\"", "a certificate is no revocation list");
	refused(big, CERTIFICATE_MAX + 1, "longer than", "more than a megabyte is an error");
	memset(big, 0x30, CERTIFICATE_MAX);
	for (int i = 1; i < CERTIFICATE_MAX; i += 2)
		big[i] = (char) 0x80;
	refused(big, CERTIFICATE_MAX, "invalid DER", "deeply nested DER is an error");
	len = 0;
	for (int i = 0; i < 101; i++)
	{
		size_t		one;
		char	   *again = join("ca-empty.crl", &one);

		memcpy(big + len, again, one);
		len += one;
	}
	refused(big, len, "more than 100", "more than a hundred lists are an error");
	free(big);

	/* DER, and back */
	fixture_run("openssl crl -in pki/ca.crl -outform DER -out pki/ca.der; openssl x509 -in "
				"pki/member.crt -outform DER -out pki/member.der");
	STRICT("revoked.crt", "ca.der", "certificate revoked", "a list in DER counts");
	crl = join("ca.der", &len);
	pem = certificate_crls_to_pem(crl, len, &error);
	is_string(pem, join("ca.crl", &anchor_len), "and is written in PEM");
	key_free_text(pem);
	for (size_t i = 0; i < len; i++)
	{
		crl[i] ^= 0x20;
		fine = fine && certificate_verify(c, certificate_len, a, anchor_len, crl, len,
								CERTIFICATE_CRL_STRICT, now, reason, &error) != CERTIFICATE_VALID;
		crl[i] ^= 0x20;
	}
	a = join("ca.crt", &anchor_len);
	fine = true;
	for (size_t i = 0; i < len; i++)
	{
		CertificateVerdict verdict;

		crl[i] ^= 0x20;
		verdict = certificate_verify(c, certificate_len, a, anchor_len, crl, len,
									 CERTIFICATE_CRL_LAST_KNOWN, now, reason, &error);
		/* one with another issuer in it is none of ours */
		if (verdict == CERTIFICATE_VALID && crl[i] != '\0')
		{
			CertificateVerdict revoked;
			size_t		revoked_len;
			char	   *r = join("revoked.crt", &revoked_len);

			revoked = certificate_verify(r, revoked_len, a, anchor_len, crl, len,
										 CERTIFICATE_CRL_LAST_KNOWN, now, reason, &error);
			fine = fine && revoked == CERTIFICATE_VALID;
		}
		crl[i] ^= 0x20;
	}
	ok(fine, "with a bit of it changed, a list is refused or of another issuer");
	crl = join("member.der", &len);
	pem = certificate_to_pem(crl, len, &error);
	is_string(pem, join("member.crt", &anchor_len), "a certificate in DER is written in PEM");
	key_free_text(pem);
	ok(certificate_to_pem("x", 1, &error) == NULL &&
	   error.code == CORE_MALFORMED, "garbage is not");
}

static void
test_path(void)
{
	CertificateInfo path[CERTIFICATE_PATH_MAX];
	CoreError	error = {0};
	bool		anchored = false;
	size_t		certificate_len;
	size_t		anchor_len;
	char	   *c = join("below.crt", &certificate_len);
	char	   *a = join("ca.crt rogue-ca.crt sm2-ca.crt", &anchor_len);

	is_number(certificate_path(c, certificate_len, a, anchor_len, now, path, &anchored, &error), 4,
			  "a path is built");
	ok(anchored, "to its anchor");
	is_string(path[0].subject, "CN=below,O=Medchain test", "from the certificate");
	is_string(path[1].issuer, path[2].subject, "each issued by the next");
	is_string(path[3].subject, "CN=Medchain test CA,O=Medchain test", "the anchor last");
	ok(strlen(path[3].serial) >= 16 &&
	   strspn(path[3].serial, "0123456789ABCDEF") == strlen(path[3].serial),
	   "with its serial number");
	c = join("rogue.crt", &certificate_len);
	is_number(certificate_path(c, certificate_len, a, anchor_len, now, path, &anchored, &error), 2,
			  "an expired, revoked or forged one has a path too");
	a = join("sm2-ca.crt", &anchor_len);
	is_number(certificate_path(c, certificate_len, a, anchor_len, now, path, &anchored, &error), 1,
			  "and one that leads nowhere itself");
	ok(!anchored, "without an anchor");
	is_number(certificate_path("x", 1, a, anchor_len, now, path, &anchored, &error), 0,
			  "garbage has none");
}

int
main(void)
{
	char		root[512];
	char		command[1024];
	const int64_t in_2020 = 1600000000;

	now = time(NULL) + 60;
	if (getcwd(root, sizeof(root)) == NULL)
		abort();
	snprintf(command, sizeof(command), "sh '%s/%s' pki member", root,
			 access("../pki/make-pki", R_OK) == 0 ? "../pki/make-pki" : "test/pki/make-pki");
	fixture_run(command);

	STRICT("revoked.crt", "", NULL, "without a list nothing is revoked");
	STRICT("revoked.crt", "ca.crl", "certificate revoked: keyCompromise, since 20",
		   "with it, the reason says why and since when");
	STRICT("revoked.crt", "ca.crl", "(depth 0, CN=revoked", "and which certificate");
	STRICT("member.crt", "ca.crl", NULL, "others of the authority are not");
	STRICT("revoked.crt", "ca-empty.crl", NULL, "nor by a list without it");
	STRICT("revoked.crt", "ca-empty.crl ca-old.crl intermediate.crl ca.crl", "certificate revoked",
		   "several lists in one text");

	/* whose list it is */
	STRICT("chained.crt", "intermediate.crl", NULL,
		   "a list of the intermediate alone: the root has said nothing");
	STRICT("chained.crt", "ca.crl", NULL,
		   "a list of the root alone: the intermediate has said nothing");
	STRICT("chained.crt", "ca.crl intermediate-chained.crl", "certificate revoked: superseded",
		   "each is asked for what it issued");
	STRICT("chained.crt", "ca-intermediate.crl intermediate.crl",
	  "certificate revoked: cACompromise", "and a revoked intermediate revokes what is below it");
	STRICT("chained.crt", "ca-intermediate.crl", "(depth 1, CN=Medchain test intermediate CA",
		   "and is named");
	STRICT("member.crt", "intermediate.crl sm2-ca.crl", NULL,
		   "lists of authorities that are not on the path do not matter");
	STRICT("ec.crt", "rogue-ca.crl", "CRL signature failure", "a forged list is found out");
	LAST("ec.crt", "rogue-ca.crl", "CRL signature failure", "with either policy");
	check("member.crt", "intermediate.crt ca.crt", "ca.crl", CERTIFICATE_CRL_STRICT, now, NULL,
		  "an anchor needs no list");
	check("chained.crt", "intermediate.crt", "intermediate.crl", CERTIFICATE_CRL_STRICT, now, NULL,
		  "an intermediate as anchor neither");
	check("chained.crt", "intermediate.crt", "intermediate-chained.crl ca.crl",
		  CERTIFICATE_CRL_STRICT, now, "certificate revoked", "it revokes all the same");

	/* expired lists */
	STRICT("member.crt", "ca-old.crl", "CRL has expired", "strict: an expired list is no answer");
	STRICT("revoked.crt", "ca-old.crl", "CRL has expired", "for none");
	LAST("member.crt", "ca-old.crl", NULL, "last known: an expired list is taken as it is");
	LAST("revoked.crt", "ca-old.crl", "certificate revoked: keyCompromise",
		 "with what it revokes");
	STRICT("revoked.crt", "ca-old.crl ca-empty.crl", NULL,
		   "strict: a current list is better than an expired one");
	LAST("revoked.crt", "ca-old.crl ca-empty.crl", NULL, "last known as well");
	check("member.crt", "ca.crt", "ca-old.crl", CERTIFICATE_CRL_STRICT, in_2020,
		  "certificate is not yet valid", "times are those of the time given");
	check("expired.crt", "ca.crt", "ca-old.crl", CERTIFICATE_CRL_STRICT, in_2020, NULL,
		  "then the list had not expired");
	check("expired.crt", "ca.crt", "ca-old.crl", CERTIFICATE_CRL_STRICT, 1577836800 - 1,
		  "not yet valid", "and before it there was none");

	/* SM2, where OpenSSL cannot be told the user id of a list's signer */
	check("sm.crt", "sm2-ca.crt", "sm2-ca.crl", CERTIFICATE_CRL_STRICT, now,
		  "certificate revoked: cessationOfOperation", "a list signed with SM2 revokes");
	check("sm.crt", "sm2-ca.crt", "sm2-ca-empty.crl", CERTIFICATE_CRL_STRICT, now, NULL,
		  "or does not");
	check("sm.crt", "sm2-ca.crt", "", CERTIFICATE_CRL_STRICT, now, NULL,
		  "an SM2 authority's certificate is good");
	check("sm.crt", "sm2-ca.crt", "sm2-ca-old.crl", CERTIFICATE_CRL_STRICT, now, "CRL has expired",
		  "an expired one");
	check("sm.crt", "sm2-ca.crt", "sm2-ca-old.crl", CERTIFICATE_CRL_LAST_KNOWN, now,
		  "certificate revoked: cessationOfOperation", "as it was last known");
	fixture_run("cd pki && openssl crl -in sm2-ca.crl -outform DER -out bad.der && size=$(stat -c "
				"%s bad.der) &&"
				" printf '\\377\\377\\377\\377' | dd of=bad.der bs=1 seek=$((size - 8)) "
				"conv=notrunc");
	check("sm.crt", "sm2-ca.crt", "bad.der", CERTIFICATE_CRL_STRICT, now, "CRL signature failure",
		  "with another signature it is found out");

	test_malformed();
	test_path();
	return done_testing();
}
