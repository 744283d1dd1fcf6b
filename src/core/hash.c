/*
 * hash.c: SHA-256 and HMAC-SHA-256 through OpenSSL's EVP, fetched once.
 */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#include "core/hash.h"

#define LEAF_FEW 128			/* bytes */

static EVP_MD *sha256 = NULL;
static EVP_MD_CTX *context = NULL;

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
	uint8_t		input[LEAF_FEW] = {0x00};

	/* to hand over what is as short as this takes longer than to copy it */
	if (len < LEAF_FEW)
	{
		memcpy(input + 1, data, len);
		return hash_sha256(input, 1 + len, out);
	}
	return hash_begin() &&
		EVP_DigestUpdate(context, input, 1) == 1 &&
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
 * RFC 2104: two digests, each begun with a block made of the key.  Those beginnings are kept:
 * OpenSSL's own HMAC takes as many copies of them, and half as long again for all around that.
 */
struct HashMac
{
	EVP_MD_CTX *inner;
	EVP_MD_CTX *outer;
};

#define MAC_BLOCK 64			/* of SHA-256 */

/* A digest that has begun with the key, padded. */
static EVP_MD_CTX *
mac_begin(const uint8_t key[MAC_BLOCK], uint8_t pad)
{
	EVP_MD_CTX *begun = EVP_MD_CTX_new();
	uint8_t		block[MAC_BLOCK];
	bool		good;

	for (int i = 0; i < MAC_BLOCK; i++)
		block[i] = key[i] ^ pad;
	good = begun != NULL && EVP_DigestInit_ex2(begun, sha256, NULL) == 1 &&
		EVP_DigestUpdate(begun, block, MAC_BLOCK) == 1;
	OPENSSL_cleanse(block, sizeof(block));
	if (good)
		return begun;
	EVP_MD_CTX_free(begun);
	return NULL;
}

HashMac *
hash_mac_new(const void *key, size_t keylen)
{
	HashMac    *mac;
	uint8_t		block[MAC_BLOCK] = {0};

	if (!hash_begin() || (mac = OPENSSL_zalloc(sizeof(HashMac))) == NULL)
		return NULL;
	if (keylen <= MAC_BLOCK)
		memcpy(block, key, keylen);
	else if (!hash_sha256(key, keylen, block))
	{
		hash_mac_free(mac);
		return NULL;
	}
	mac->inner = mac_begin(block, 0x36);
	mac->outer = mac_begin(block, 0x5c);
	OPENSSL_cleanse(block, sizeof(block));
	if (mac->inner != NULL && mac->outer != NULL)
		return mac;
	hash_mac_free(mac);
	return NULL;
}

bool
hash_mac_pair(const HashMac *mac, const void *a, size_t alen, const void *b, size_t blen,
			  uint8_t out[HASH_LEN])
{
	uint8_t		digest[HASH_LEN];

	return EVP_MD_CTX_copy_ex(context, mac->inner) == 1 &&
		EVP_DigestUpdate(context, a, alen) == 1 &&
		(blen == 0 || EVP_DigestUpdate(context, b, blen) == 1) &&
		EVP_DigestFinal_ex(context, digest, NULL) == 1 &&
		EVP_MD_CTX_copy_ex(context, mac->outer) == 1 &&
		EVP_DigestUpdate(context, digest, HASH_LEN) == 1 &&
		EVP_DigestFinal_ex(context, out, NULL) == 1;
}

bool
hash_mac(const HashMac *mac, const void *data, size_t len, uint8_t out[HASH_LEN])
{
	return hash_mac_pair(mac, data, len, NULL, 0, out);
}

void
hash_mac_free(HashMac *mac)
{
	if (mac == NULL)
		return;
	EVP_MD_CTX_free(mac->inner);
	EVP_MD_CTX_free(mac->outer);
	OPENSSL_free(mac);
}

bool
hash_equal(const uint8_t a[HASH_LEN], const uint8_t b[HASH_LEN])
{
	return CRYPTO_memcmp(a, b, HASH_LEN) == 0;
}
