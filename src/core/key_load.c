/*
 * key_load.c: public keys from PEM, and which kinds of keys are taken.  Private keys are in
 * key_private.c.
 */
#include <string.h>
#include <strings.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "core/key_internal.h"

#define KEY_PEM_MAX (1024 * 1024)
#define KEY_RSA_MIN_BITS 2048
#define KEY_RSA_MAX_BITS 8192

/*
 * The algorithm of an EC key by its curve; explicit parameters are refused, as they can imitate a
 * named curve.
 */
static bool
key_ec_algorithm(EVP_PKEY *pkey, KeyAlgorithm *algorithm, CoreError *error)
{
	char		group[64] = "";
	int			explicit_parameters = 0;

	if (EVP_PKEY_get_int_param(pkey, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS,
							   &explicit_parameters) == 1 &&
		explicit_parameters != 0)
		return error_set(error, CORE_UNSUPPORTED, "elliptic curve key with explicit parameters");
	if (EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL) != 1)
		return error_set_openssl(error, CORE_UNSUPPORTED,
								 "elliptic curve key without a named curve");
	if (strcmp(group, "prime256v1") == 0 || strcmp(group, "P-256") == 0)
		*algorithm = KEY_ECDSA_P256_SHA256;
	else if (strcasecmp(group, "SM2") == 0)
		*algorithm = KEY_SM2_SM3;
	else
		return error_set(error, CORE_UNSUPPORTED, "elliptic curve %s is not supported", group);
	return true;
}

static bool
key_classify(EVP_PKEY *pkey, KeyAlgorithm *algorithm, CoreError *error)
{
	const char *type;

	if (EVP_PKEY_is_a(pkey, "ED25519"))
		*algorithm = KEY_ED25519;
	else if (EVP_PKEY_is_a(pkey, "EC") || EVP_PKEY_is_a(pkey, "SM2"))
		return key_ec_algorithm(pkey, algorithm, error);
	else if (EVP_PKEY_is_a(pkey, "RSA") || EVP_PKEY_is_a(pkey, "RSA-PSS"))
	{
		int			bits = EVP_PKEY_get_bits(pkey);

		if (bits < KEY_RSA_MIN_BITS || bits > KEY_RSA_MAX_BITS)
			return error_set(error, CORE_UNSUPPORTED,
							 "RSA key of %d bits; from %d to %d are supported",
							 bits, KEY_RSA_MIN_BITS, KEY_RSA_MAX_BITS);
		*algorithm = EVP_PKEY_is_a(pkey, "RSA") ? KEY_RSA_PKCS1_SHA256 : KEY_RSA_PSS_SHA256;
	}
	else
	{
		type = EVP_PKEY_get0_type_name(pkey);
		return error_set(error, CORE_UNSUPPORTED, "keys of type %s are not supported", type ? type :
						 "unknown");
	}
	return true;
}

Key *
key_wrap(EVP_PKEY *pkey, CoreError *error)
{
	KeyAlgorithm algorithm = KEY_DEFAULT;
	Key		   *key = NULL;

	if (key_classify(pkey, &algorithm, error))
	{
		key = OPENSSL_zalloc(sizeof(Key));
		if (key != NULL)
			key->started = EVP_MD_CTX_new();
		if (key == NULL || key->started == NULL)
		{
			OPENSSL_free(key);
			key = NULL;
			error_set(error, CORE_INTERNAL, "out of memory");
		}
	}
	if (key == NULL)
	{
		EVP_PKEY_free(pkey);
		return NULL;
	}
	key->pkey = pkey;
	key->algorithm = algorithm;
	return key;
}

/* The public key in the first block of a PEM text. */
static EVP_PKEY *
key_decode_block(const char *name, const unsigned char *data, long len, CoreError *error)
{
	const unsigned char *end = data;
	EVP_PKEY   *pkey = NULL;
	const char *what = "public key";

	if (strcmp(name, PEM_STRING_PUBLIC) == 0)
		pkey = d2i_PUBKEY(NULL, &end, len);
	else if (strcmp(name, PEM_STRING_X509) == 0 || strcmp(name, PEM_STRING_X509_OLD) == 0)
	{
		X509	   *certificate = d2i_X509(NULL, &end, len);

		what = "certificate";
		if (certificate != NULL)
			pkey = X509_get_pubkey(certificate);
		X509_free(certificate);
	}
	else
	{
		error_set(error, CORE_MALFORMED,
				  "PEM block \"%.40s\" is neither a public key nor a certificate", name);
		return NULL;
	}
	if (pkey == NULL)
		error_set_openssl(error, CORE_MALFORMED, "invalid %s", what);
	else if (end != data + len)
	{
		EVP_PKEY_free(pkey);
		pkey = NULL;
		error_set(error, CORE_MALFORMED, "%s is followed by other bytes", what);
	}
	return pkey;
}

/*
 * A point of an elliptic curve can be written in three ways: one key must not pass for three when
 * it is compared as text.
 */
static bool
key_respell(Key *key, CoreError *error)
{
	if (key->algorithm != KEY_ECDSA_P256_SHA256 && key->algorithm != KEY_SM2_SM3)
		return true;
	return EVP_PKEY_set_utf8_string_param(key->pkey, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT,
										OSSL_PKEY_EC_POINT_CONVERSION_FORMAT_UNCOMPRESSED) == 1 ||
		error_set_openssl(error, CORE_INTERNAL, "could not read elliptic curve key");
}

Key *
key_from_pem(const char *pem, size_t len, CoreError *error)
{
	BIO		   *bio;
	char	   *name = NULL;
	char	   *header = NULL;
	unsigned char *data = NULL;
	long		datalen = 0;
	EVP_PKEY   *pkey = NULL;
	Key		   *key = NULL;

	if (len > KEY_PEM_MAX)
	{
		error_set(error, CORE_UNSUPPORTED, "PEM text is longer than %d bytes", KEY_PEM_MAX);
		return NULL;
	}
	bio = BIO_new_mem_buf(pem, (int) len);
	if (bio == NULL)
	{
		error_set_openssl(error, CORE_INTERNAL, "could not read PEM text");
		return NULL;
	}
	if (PEM_read_bio(bio, &name, &header, &data, &datalen) != 1)
	{
		ERR_clear_error();
		error_set(error, CORE_MALFORMED, "not a public key or certificate in PEM format");
	}
	else
		pkey = key_decode_block(name, data, datalen, error);
	OPENSSL_free(name);
	OPENSSL_free(header);
	OPENSSL_free(data);
	BIO_free(bio);
	if (pkey != NULL)
		key = key_wrap(pkey, error);
	if (key != NULL && (!key_check_public(key, error) || !key_respell(key, error)))
	{
		key_free(key);
		key = NULL;
	}
	return key;
}
