/*
 * key_sign.c: signatures and their verification.
 */
#include <string.h>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "core/key_internal.h"

#define KEY_ED25519_SIGNATURE 64

/* Does this key do that algorithm?  An rsaEncryption key does both RSA schemes. */
static bool
key_does(const Key *key, KeyAlgorithm *algorithm)
{
	if (*algorithm == KEY_DEFAULT)
		*algorithm = key->algorithm;
	return *algorithm == key->algorithm ||
		(key->algorithm == KEY_RSA_PKCS1_SHA256 && *algorithm == KEY_RSA_PSS_SHA256);
}

/*
 * The digest to go with the algorithm, fetched once; *md is NULL for Ed25519, which hashes by
 * itself.
 */
static bool
key_digest(KeyAlgorithm algorithm, const EVP_MD **md)
{
	static EVP_MD *sha256 = NULL;
	static EVP_MD *sm3 = NULL;

	*md = NULL;
	switch (algorithm)
	{
		case KEY_ED25519:
			return true;
		case KEY_SM2_SM3:
			if (sm3 == NULL)
				sm3 = EVP_MD_fetch(NULL, "SM3", NULL);
			*md = sm3;
			break;
		default:
			if (sha256 == NULL)
				sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
			*md = sha256;
			break;
	}
	return *md != NULL;
}

static bool
key_parameters(EVP_PKEY_CTX *context, KeyAlgorithm algorithm)
{
	switch (algorithm)
	{
		case KEY_RSA_PKCS1_SHA256:
			return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) > 0;
		case KEY_RSA_PSS_SHA256:

			/*
			 * the salt is as long as the digest, and MGF1 with the same, as in TLS 1.3 and JWA:
			 * one signature, one meaning
			 */
			return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) > 0 &&
				EVP_PKEY_CTX_set_rsa_mgf1_md_name(context, "SHA256", NULL) > 0 &&
				EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) > 0;
		case KEY_SM2_SM3:
			return EVP_PKEY_CTX_set1_id(context, KEY_SM2_ID, strlen(KEY_SM2_ID)) > 0;
		default:
			return true;
	}
}

bool
key_sign(const Key *key, const void *message, size_t len, uint8_t *sig, size_t *siglen,
		 CoreError *error)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	EVP_PKEY_CTX *parameters = NULL;
	const EVP_MD *md;
	bool		fine;

	*siglen = KEY_SIGNATURE_MAX;
	fine = context != NULL && key_digest(key->algorithm, &md) &&
		EVP_DigestSignInit(context, &parameters, md, NULL, key->pkey) == 1 &&
		key_parameters(parameters, key->algorithm) &&
		EVP_DigestSign(context, sig, siglen, message, len) == 1;
	EVP_MD_CTX_free(context);
	return fine ? true : error_set_openssl(error, CORE_INTERNAL, "could not sign with %s key",
										   key_algorithm_name(key->algorithm));
}

/*
 * ECDSA and SM2 signatures are DER, and DER has one encoding per value; OpenSSL's
 * decoder is more generous, which would make signatures malleable.
 */
static bool
key_signature_is_der(const uint8_t *sig, size_t siglen)
{
	const unsigned char *end = sig;
	unsigned char *again = NULL;
	ECDSA_SIG  *decoded;
	int			len;
	bool		same;

	if (siglen > KEY_SIGNATURE_MAX)
		return false;
	decoded = d2i_ECDSA_SIG(NULL, &end, (long) siglen);
	if (decoded == NULL)
		return false;
	len = i2d_ECDSA_SIG(decoded, &again);
	same = len > 0 && (size_t) len == siglen && memcmp(again, sig, siglen) == 0;
	OPENSSL_free(again);
	ECDSA_SIG_free(decoded);
	return same;
}

static bool
key_signature_well_formed(const Key *key, KeyAlgorithm algorithm, const uint8_t *sig, size_t siglen)
{
	switch (algorithm)
	{
		case KEY_ED25519:
			return siglen == KEY_ED25519_SIGNATURE;
		case KEY_ECDSA_P256_SHA256:
		case KEY_SM2_SM3:
			return key_signature_is_der(sig, siglen);
		default:
			return siglen == (size_t) EVP_PKEY_get_size(key->pkey);
	}
}

static bool
key_verify_start(const Key *key, KeyAlgorithm algorithm, EVP_MD_CTX *context)
{
	EVP_PKEY_CTX *parameters = NULL;
	const EVP_MD *md;

	return context != NULL && key_digest(algorithm, &md) &&
		EVP_DigestVerifyInit(context, &parameters, md, NULL, key->pkey) == 1 &&
		key_parameters(parameters, algorithm);
}

/*
 * The same: to look for OpenSSL's implementation again for each signature of a key would cost more
 * than all but the arithmetic.
 */
static bool
key_verify_begin(const Key *key, KeyAlgorithm algorithm, EVP_MD_CTX *context)
{
	if (context == NULL || algorithm != key->algorithm)
		return key_verify_start(key, algorithm, context);
	if (EVP_MD_CTX_get_pkey_ctx(key->started) == NULL &&
		!key_verify_start(key, algorithm, key->started))
	{
		EVP_MD_CTX_reset(key->started);
		return false;
	}
	return EVP_MD_CTX_copy_ex(context, key->started) == 1 ||
		(EVP_MD_CTX_reset(context) == 1 && key_verify_start(key, algorithm, context));
}

bool
key_can_verify(const Key *key)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool		fine = key_verify_start(key, key->algorithm, context);

	EVP_MD_CTX_free(context);
	return fine;
}

KeyVerdict
key_verify(const Key *key, KeyAlgorithm algorithm, const void *message, size_t len,
		   const uint8_t *sig, size_t siglen, CoreError *error)
{
	EVP_MD_CTX *context;
	KeyVerdict	verdict = KEY_ERROR;

	if (!key_does(key, &algorithm))
	{
		error_set(error, CORE_UNSUPPORTED, "algorithm %s does not go with a key for %s",
				  key_algorithm_name(algorithm), key_algorithm_name(key->algorithm));
		return KEY_ERROR;
	}
	if (!key_signature_well_formed(key, algorithm, sig, siglen))
	{
		ERR_clear_error();
		return KEY_INVALID;
	}
	context = EVP_MD_CTX_new();
	if (!key_verify_begin(key, algorithm, context))
		error_set_openssl(error, CORE_INTERNAL, "could not verify with %s key",
						  key_algorithm_name(algorithm));
	else
	{
		/* a negative result is a malformed signature, not a failure of OpenSSL */
		verdict = EVP_DigestVerify(context, sig, siglen, message, len) == 1 ? KEY_VALID :
			KEY_INVALID;
		ERR_clear_error();
	}
	EVP_MD_CTX_free(context);
	return verdict;
}
