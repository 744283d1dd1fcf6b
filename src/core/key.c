/*
 * key.c: what a key is, and its names: algorithm, fingerprint, note key id, PEM.
 *
 * Loading is in key_load.c, signing and verifying in key_sign.c.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "core/encode.h"
#include "core/hash.h"
#include "core/key_internal.h"

static const struct
{
	KeyAlgorithm algorithm;
	const char *name;
}			names[] = {
	{KEY_ED25519, "ed25519"},
	{KEY_ECDSA_P256_SHA256, "ecdsa-p256-sha256"},
	{KEY_SM2_SM3, "sm2-sm3"},
	{KEY_RSA_PKCS1_SHA256, "rsa-pkcs1-sha256"},
	{KEY_RSA_PSS_SHA256, "rsa-pss-sha256"},
};

#define NNAMES (sizeof(names) / sizeof(names[0]))

bool
key_algorithm_from_name(const char *name, KeyAlgorithm *algorithm)
{
	for (size_t i = 0; i < NNAMES; i++)
		if (strcmp(names[i].name, name) == 0)
		{
			*algorithm = names[i].algorithm;
			return true;
		}
	return false;
}

const char *
key_algorithm_name(KeyAlgorithm algorithm)
{
	for (size_t i = 0; i < NNAMES; i++)
		if (names[i].algorithm == algorithm)
			return names[i].name;
	return "default";
}

void
key_free(Key *key)
{
	if (key == NULL)
		return;
	EVP_MD_CTX_free(key->started);
	EVP_PKEY_free(key->pkey);	/* wipes a private key */
	OPENSSL_free(key);
}

KeyAlgorithm
key_algorithm(const Key *key)
{
	return key->algorithm;
}

bool
key_same(const Key *a, const Key *b)
{
	return EVP_PKEY_eq(a->pkey, b->pkey) == 1;
}

char *
key_to_pem(const Key *key, CoreError *error)
{
	BIO		   *bio = BIO_new(BIO_s_mem());
	char	   *data;
	long		len;
	char	   *result = NULL;

	if (bio == NULL || PEM_write_bio_PUBKEY(bio, key->pkey) != 1)
		error_set_openssl(error, CORE_INTERNAL, "could not write public key");
	else
	{
		len = BIO_get_mem_data(bio, &data);
		result = OPENSSL_strndup(data, (size_t) len);
		if (result == NULL)
			error_set(error, CORE_INTERNAL, "out of memory");
	}
	BIO_free(bio);
	return result;
}

void
key_free_text(char *text)
{
	OPENSSL_free(text);
}

bool
key_fingerprint(const Key *key, char out[65])
{
	unsigned char *der = NULL;
	int			len = i2d_PUBKEY(key->pkey, &der);
	uint8_t		digest[HASH_LEN];
	bool		fine = len > 0 && hash_sha256(der, (size_t) len, digest);

	OPENSSL_free(der);
	if (fine)
		encode_hex(digest, HASH_LEN, out);
	else
		ERR_clear_error();
	return fine;
}

/* SHA-256(name || newline || type || rest), cut to four bytes. */
static bool
key_id_hash(const char *name, uint8_t type, const char *type_name, const uint8_t *rest,
			size_t restlen,
			uint8_t out[4])
{
	size_t		namelen = strlen(name);
	size_t		typelen = strlen(type_name);
	uint8_t    *buffer = OPENSSL_malloc(namelen + 2 + typelen + restlen);
	uint8_t    *end = buffer;
	uint8_t		digest[HASH_LEN];
	bool		fine;

	if (buffer == NULL)
		return false;
	memcpy(end, name, namelen);
	end += namelen;
	*end++ = '\n';
	*end++ = type;
	memcpy(end, type_name, typelen);
	end += typelen;
	memcpy(end, rest, restlen);
	end += restlen;
	fine = hash_sha256(buffer, (size_t) (end - buffer), digest);
	OPENSSL_free(buffer);
	if (fine)
		memcpy(out, digest, 4);
	return fine;
}

bool
key_ed25519(const Key *key, uint8_t bytes[KEY_ED25519_BYTES])
{
	size_t		len = KEY_ED25519_BYTES;

	return key->algorithm == KEY_ED25519 &&
		EVP_PKEY_get_raw_public_key(key->pkey, bytes, &len) == 1;
}

size_t
key_to_der(const Key *key, uint8_t *out, size_t size)
{
	int			len = i2d_PUBKEY(key->pkey, NULL);

	if (len > 0 && (size_t) len <= size)
		return i2d_PUBKEY(key->pkey, &out) == len ? (size_t) len : 0;
	ERR_clear_error();
	return 0;
}

bool
key_note_id_of(const Key *key, const char *name, uint8_t type, uint8_t out[4])
{
	uint8_t		raw[KEY_ED25519_BYTES];

	return key_ed25519(key, raw) && key_id_hash(name, type, "", raw, sizeof(raw), out);
}

bool
key_note_id(const Key *key, const char *name, uint8_t out[4])
{
	unsigned char *der = NULL;
	uint8_t		digest[HASH_LEN];
	int			len;
	bool		fine;

	if (key->algorithm == KEY_ED25519)
		return key_note_id_of(key, name, 0x01, out);

	len = i2d_PUBKEY(key->pkey, &der);
	if (len <= 0)
	{
		ERR_clear_error();
		return false;
	}
	if (key->algorithm == KEY_ECDSA_P256_SHA256)
	{
		/*
		 * signed-note.md: "ECDSA ... the key ID is the first four bytes of the SHA-256 hash of the
		 * SPKI"
		 */
		fine = hash_sha256(der, (size_t) len, digest);
		if (fine)
			memcpy(out, digest, 4);
	}
	else

		/*
		 * type 0xff is for algorithms the specification does not assign; a name keeps ours apart
		 * from others'
		 */
		fine = key_id_hash(name, 0xff, key_algorithm_name(key->algorithm), der, (size_t) len, out);
	OPENSSL_free(der);
	return fine;
}
