/*
 * fact_read.c: what is in a key or a certificate (see fact_read.h).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/certificate.h"
#include "core/encode.h"
#include "rules/fact_read.h"

void
fact_digest(const char *text, uint8_t digest[HASH_LEN])
{
	if (!hash_sha256(text, strlen(text), digest))
		pool_fail();
}

const char *
fact_reason(Pool *pool, const CoreError *error)
{
	if (error->code == CORE_INTERNAL)
		pool_fail();
	return pool_text(pool, error->message);
}

/* ----- by OpenSSL ----- */

KeyFact *
fact_key_read(Pool *pool, const char *given)
{
	KeyFact    *fact = pool_alloc(pool, sizeof(KeyFact));
	CoreError	error = {0};
	Key		   *key = key_from_pem(given, strlen(given), &error);
	char		fingerprint[65];
	char	   *pem;

	fact->given = pool_text(pool, given);
	fact_digest(given, fact->digest);
	if (key == NULL)
	{
		fact->reason = fact_reason(pool, &error);
		return fact;
	}
	pem = key_to_pem(key, &error);
	if (pem == NULL || !key_fingerprint(key, fingerprint))
		pool_fail();
	fact->pem = pool_text(pool, pem);
	fact->fingerprint = pool_text(pool, fingerprint);
	key_free_text(pem);
	key_free(key);
	return fact;
}

/* The intermediates: all but the first, each in its one spelling. */
static void
fact_above(Pool *pool, CertificateFact *fact)
{
	static const char end[] = "-----END CERTIFICATE-----\n";
	char	   *all = certificate_to_pem(fact->given, strlen(fact->given), NULL);
	const char **above = NULL;

	for (char *at = all; at != NULL && *at != '\0';)
	{
		char	   *found = strstr(at, end);

		if (found == NULL)
			break;
		found += strlen(end);
		if (at != all)
		{
			above = pool_grow(pool, above, (size_t) fact->nabove, sizeof(char *));
			above[fact->nabove++] = pool_copy(pool, at, (size_t) (found - at));
		}
		at = found;
	}
	fact->above = above;
	key_free_text(all);
}

CertificateFact *
fact_certificate_read(Pool *pool, const char *given)
{
	CertificateFact *fact = pool_alloc(pool, sizeof(CertificateFact));
	CertificateInfo info;
	CoreError	error = {0};

	fact->given = pool_text(pool, given);
	fact_digest(given, fact->digest);
	if (!certificate_info(given, strlen(given), &info, &error))
	{
		fact->reason = fact_reason(pool, &error);
		return fact;
	}
	fact->key = fact_key_read(pool, given);
	fact->reason = fact->key->reason;
	fact->subject = pool_text(pool, info.subject);
	memcpy(fact->fingerprint, info.fingerprint, HASH_LEN);
	fact_above(pool, fact);
	return fact;
}

/* ----- as texts: fields one after the other, each with its length, or "-" ----- */

static void
fact_put(PoolText *out, const char *field)
{
	char		length[24];

	if (field == NULL)
	{
		pool_text_char(out, '-');
		return;
	}
	(void) snprintf(length, sizeof(length), "%zu:", strlen(field));
	pool_text_puts(out, length);
	pool_text_puts(out, field);
}

/* The next field, NULL if it is none; false if the text has no such field there. */
static bool
fact_get(Pool *pool, const char **text, const char **field)
{
	char	   *rest;
	unsigned long len;

	*field = NULL;
	if (**text == '-')
	{
		(*text)++;
		return true;
	}
	if (**text < '0' || **text > '9')
		return false;
	len = strtoul(*text, &rest, 10);
	if (*rest != ':' || len > strlen(rest + 1))
		return false;
	*field = pool_copy(pool, rest + 1, len);
	*text = rest + 1 + len;
	return true;
}

static void
fact_put_key(PoolText *out, const KeyFact *fact)
{
	fact_put(out, fact->reason);
	fact_put(out, fact->pem);
	fact_put(out, fact->fingerprint);
}

char *
fact_key_text(Pool *pool, const KeyFact *fact)
{
	PoolText	out;

	pool_text_begin(&out, pool);
	fact_put_key(&out, fact);
	return out.data;
}

char *
fact_certificate_text(Pool *pool, const CertificateFact *fact)
{
	char		hex[ENCODE_HEX_SIZE(HASH_LEN)];
	PoolText	out;

	encode_hex(fact->fingerprint, HASH_LEN, hex);
	pool_text_begin(&out, pool);
	fact_put(&out, fact->reason);
	fact_put(&out, fact->subject);
	fact_put(&out, hex);
	if (fact->key != NULL)
		fact_put_key(&out, fact->key);
	for (int i = 0; i < fact->nabove; i++)
		fact_put(&out, fact->above[i]);
	return out.data;
}

static KeyFact *
fact_get_key(Pool *pool, const char *given, const char **text)
{
	KeyFact    *fact = pool_alloc(pool, sizeof(KeyFact));

	fact->given = pool_text(pool, given);
	fact_digest(given, fact->digest);
	return fact_get(pool, text, &fact->reason) && fact_get(pool, text, &fact->pem) &&
		fact_get(pool, text, &fact->fingerprint) &&
		(fact->reason != NULL || (fact->pem != NULL && fact->fingerprint != NULL)) ? fact : NULL;
}

KeyFact *
fact_key_parse(Pool *pool, const char *given, const char *text)
{
	return fact_get_key(pool, given, &text);
}

CertificateFact *
fact_certificate_parse(Pool *pool, const char *given, const char *text)
{
	CertificateFact *fact = pool_alloc(pool, sizeof(CertificateFact));
	const char **above = NULL;
	const char *hex;

	fact->given = pool_text(pool, given);
	fact_digest(given, fact->digest);
	if (!fact_get(pool, &text, &fact->reason) || !fact_get(pool, &text, &fact->subject) ||
		!fact_get(pool, &text, &hex) || hex == NULL || strlen(hex) != 2 * HASH_LEN ||
		!decode_hex(hex, 2 * HASH_LEN, fact->fingerprint))
		return NULL;
	if (*text != '\0' && (fact->key = fact_get_key(pool, given, &text)) == NULL)
		return NULL;
	while (*text != '\0')
	{
		above = pool_grow(pool, above, (size_t) fact->nabove, sizeof(char *));
		if (!fact_get(pool, &text, &above[fact->nabove]) || above[fact->nabove] == NULL)
			return NULL;
		fact->nabove++;
	}
	fact->above = above;
	return fact->reason != NULL || (fact->subject != NULL && fact->key != NULL) ? fact : NULL;
}
