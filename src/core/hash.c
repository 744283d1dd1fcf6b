/*
 * hash.c: SHA-256 and HMAC-SHA-256 through OpenSSL's EVP, fetched once.
 */
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <string.h>

#include "core/hash.h"

static EVP_MD *sha256 = NULL;
static EVP_MD_CTX *context = NULL;
static EVP_MAC *hmac = NULL;

/* One context serves all digests of the process: we are single-threaded, as a backend is. */
static bool
hash_begin(void)
{
	if (context == NULL)
	{
		if (sha256 == NULL)
			sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
		if (sha256 != NULL)
			context = EVP_MD_CTX_new();
		if (context == NULL)
			return false;
	}
	return EVP_DigestInit_ex2(context, sha256, NULL) == 1;
}

void
hash_prepare(void)
{
	uint8_t		ignored[HASH_LEN];

	(void) hash_sha256("", 0, ignored);
	hash_mac_free(hash_mac_new("-", 1));
}

bool
hash_sha256(const void *data, size_t len, uint8_t out[HASH_LEN])
{
	return hash_begin() &&
		EVP_DigestUpdate(context, data, len) == 1 &&
		EVP_DigestFinal_ex(context, out, NULL) == 1;
}

bool
hash_sha256_pair(const void *a, size_t alen, const void *b, size_t blen, uint8_t out[HASH_LEN])
{
	return hash_begin() &&
		EVP_DigestUpdate(context, a, alen) == 1 &&
		EVP_DigestUpdate(context, b, blen) == 1 &&
		EVP_DigestFinal_ex(context, out, NULL) == 1;
}

bool
hash_leaf(const void *data, size_t len, uint8_t out[HASH_LEN])
{
	static const uint8_t prefix = 0x00;
	uint8_t		input[1 + 4 * HASH_LEN];

	/* a set has many items, and each piece costs as much as some of the hashing */
	if (len < sizeof(input))
	{
		input[0] = prefix;
		memcpy(input + 1, data, len);
		return hash_sha256(input, len + 1, out);
	}
	return hash_begin() &&
		EVP_DigestUpdate(context, &prefix, 1) == 1 &&
		EVP_DigestUpdate(context, data, len) == 1 &&
		EVP_DigestFinal_ex(context, out, NULL) == 1;
}

bool
hash_node(const uint8_t left[HASH_LEN], const uint8_t right[HASH_LEN], uint8_t out[HASH_LEN])
{
	uint8_t		input[1 + 2 * HASH_LEN] = {0x01};

	memcpy(input + 1, left, HASH_LEN);
	memcpy(input + 1 + HASH_LEN, right, HASH_LEN);
	return hash_sha256(input, sizeof(input), out);
}

/*
 * The context keeps the key from one message to the next: a copy of it for each, or the key set up
 * anew, would cost more than the hashing.
 */
struct HashMac
{
	EVP_MAC_CTX *keyed;
	size_t		keylen;
	uint8_t		key[];
};

HashMac *
hash_mac_new(const void *key, size_t keylen)
{
	HashMac    *mac;
	OSSL_PARAM	params[2];
	char		digest[] = "SHA256";

	if (hmac == NULL && (hmac = EVP_MAC_fetch(NULL, "HMAC", NULL)) == NULL)
		return NULL;
	mac = OPENSSL_zalloc(sizeof(HashMac) + keylen);
	if (mac == NULL)
		return NULL;
	mac->keylen = keylen;
	memcpy(mac->key, key, keylen);
	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0);
	params[1] = OSSL_PARAM_construct_end();
	mac->keyed = EVP_MAC_CTX_new(hmac);
	if (mac->keyed == NULL || EVP_MAC_init(mac->keyed, key, keylen, params) != 1)
	{
		hash_mac_free(mac);
		return NULL;
	}
	return mac;
}

bool
hash_mac_pair(const HashMac *mac, const void *a, size_t alen, const void *b, size_t blen,
			  uint8_t out[HASH_LEN])
{
	size_t		outlen = 0;

	/* without a key: with the one that the context has */
	return EVP_MAC_init(mac->keyed, NULL, 0, NULL) == 1 &&
		EVP_MAC_update(mac->keyed, a, alen) == 1 &&
		(blen == 0 || EVP_MAC_update(mac->keyed, b, blen) == 1) &&
		EVP_MAC_final(mac->keyed, out, &outlen, HASH_LEN) == 1 &&
		outlen == HASH_LEN;
}

bool
hash_mac(const HashMac *mac, const void *data, size_t len, uint8_t out[HASH_LEN])
{
	return hash_mac_pair(mac, data, len, NULL, 0, out);
}

const void *
hash_mac_key(const HashMac *mac, size_t *keylen)
{
	*keylen = mac->keylen;
	return mac->key;
}

void
hash_mac_free(HashMac *mac)
{
	if (mac == NULL)
		return;
	EVP_MAC_CTX_free(mac->keyed);
	OPENSSL_clear_free(mac, sizeof(HashMac) + mac->keylen);
}

bool
hash_equal(const uint8_t a[HASH_LEN], const uint8_t b[HASH_LEN])
{
	return CRYPTO_memcmp(a, b, HASH_LEN) == 0;
}
