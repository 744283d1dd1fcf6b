/* What is in keys and certificates, as texts: the same comes back, and nothing else is taken. */
#include "rules/fact_read.h"
#include "fixture.h"
#include "tap.h"

static bool
same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool
same_key(const KeyFact *a, const KeyFact *b)
{
	return a != NULL && b != NULL && same_text(a->given, b->given) &&
		memcmp(a->digest, b->digest, HASH_LEN) == 0 && same_text(a->reason, b->reason) &&
		same_text(a->pem, b->pem) && same_text(a->fingerprint, b->fingerprint);
}

static bool
same_certificate(const CertificateFact *a, const CertificateFact *b)
{
	if (a == NULL || b == NULL || !same_text(a->reason, b->reason) ||
		!same_text(a->subject, b->subject) ||
		memcmp(a->fingerprint, b->fingerprint, HASH_LEN) != 0 ||
		(a->key != NULL) != (b->key != NULL) || (a->key != NULL && !same_key(a->key, b->key)) ||
		a->nabove != b->nabove)
		return false;
	for (int i = 0; i < a->nabove; i++)
		if (!same_text(a->above[i], b->above[i]))
			return false;
	return true;
}

/* Every beginning of a text: what is taken has to be the whole of it. */
static bool
cut_is_refused(Pool *pool, const char *given, const char *text, const CertificateFact *whole)
{
	for (size_t len = 0; len < strlen(text); len++)
	{
		CertificateFact *part = fact_certificate_parse(pool, given, pool_copy(pool, text, len));

		/* without its intermediates, or its key, a text is whole as well */
		if (part != NULL && part->reason == NULL && part->nabove >= whole->nabove)
			return false;
	}
	return true;
}

int
main(void)
{
	Pool	   *pool = pool_new();
	size_t		len;
	char	   *pem;
	char	   *text;
	KeyFact    *key;
	CertificateFact *certificate;

	fixture_run("openssl req -x509 -newkey ed25519 -nodes -keyout ca.key -out ca.pem "
				"-subj '/CN=a: 1-2'");
	fixture_run("openssl req -newkey ed25519 -nodes -keyout leaf.key -out leaf.req -subj /CN=leaf");
	fixture_run("openssl x509 -req -in leaf.req -CA ca.pem -CAkey ca.key -CAcreateserial "
				"-out leaf.pem");
	fixture_run("cat leaf.pem ca.pem > chain.pem; openssl pkey -in leaf.key -pubout -out leaf.pub");

	pem = fixture_read("leaf.pub", &len);
	key = fact_key_read(pool, pem);
	text = fact_key_text(pool, key);
	ok(key->reason == NULL && same_key(key, fact_key_parse(pool, pem, text)), "a key");
	key = fact_key_read(pool, "no key");
	ok(key->reason != NULL && same_key(key, fact_key_parse(pool, "no key",
														   fact_key_text(pool, key))),
	   "what is no key");
	ok(fact_key_parse(pool, pem, "") == NULL && fact_key_parse(pool, pem, "---") == NULL &&
	   fact_key_parse(pool, pem, "99:a--") == NULL && fact_key_parse(pool, pem, "x") == NULL,
	   "texts that say nothing");

	pem = fixture_read("chain.pem", &len);
	certificate = fact_certificate_read(pool, pem);
	text = fact_certificate_text(pool, certificate);
	ok(certificate->reason == NULL && certificate->nabove == 1 &&
	   same_certificate(certificate, fact_certificate_parse(pool, pem, text)),
	   "a certificate with one above it");
	ok(cut_is_refused(pool, pem, text, certificate), "parts of it");
	certificate = fact_certificate_read(pool, "no certificate");
	ok(certificate->reason != NULL &&
	   same_certificate(certificate,
						fact_certificate_parse(pool, "no certificate",
											   fact_certificate_text(pool, certificate))),
	   "what is no certificate");
	pool_free(pool);
	return done_testing();
}
