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
#define KEY_NID_LAST 1247		/* the last that OpenSSL 3.0 has a name for:
								 * NID_id_ct_signedChecklist */

int
key_nid(const ASN1_OBJECT * object)
{
	int			nid = OBJ_obj2nid(object);

	return nid <= KEY_NID_LAST ? nid : NID_undef;
}

const char *
key_object_name(const ASN1_OBJECT * object, char numbers[KEY_OBJECT_MAX])
{
	int			nid = key_nid(object);

	if (nid != NID_undef)
		return OBJ_nid2sn(nid);
	(void) OBJ_obj2txt(numbers, KEY_OBJECT_MAX, object, 1);
	return numbers;
}

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

Key *
key_from_ed25519(const uint8_t bytes[KEY_ED25519_BYTES], CoreError *error)
{
	EVP_PKEY   *pkey = EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, bytes,
													  KEY_ED25519_BYTES);
	Key		   *key = NULL;

	if (pkey == NULL)
		error_set_openssl(error, CORE_INTERNAL, "could not read an Ed25519 key");
	else
		key = key_wrap(pkey, error);
	if (key != NULL && !key_check_public(key, error))
	{
		key_free(key);
		key = NULL;
	}
	return key;
}

/* The same of an elliptic curve. */
static bool
key_curve_taken(int type, const void *curve, CoreError *error)
{
	char		numbers[KEY_OBJECT_MAX];
	int			nid;

	if (type == V_ASN1_SEQUENCE)
		return error_set(error, CORE_UNSUPPORTED, "elliptic curve key with explicit parameters");
	if (type != V_ASN1_OBJECT)
		return error_set(error, CORE_UNSUPPORTED, "elliptic curve key without a named curve");
	nid = key_nid(curve);
	return nid == NID_X9_62_prime256v1 || nid == NID_sm2 ? true :
		error_set(error, CORE_UNSUPPORTED, "elliptic curve %s is not supported",
				  key_object_name(curve, numbers));
}

/*
 * Is it of a kind that we take?  By what its text says, before OpenSSL is asked to make sense of
 * it: which other kinds it knows depends on its version, and on who built it.
 */
static bool
key_kind_taken(const X509_PUBKEY * spki, CoreError *error)
{
	X509_ALGOR *algorithm;
	const		ASN1_OBJECT *kind;
	int			type;
	const void *parameter;
	char		numbers[KEY_OBJECT_MAX];

	if (X509_PUBKEY_get0_param(NULL, NULL, NULL, &algorithm, spki) != 1)
		return error_set_openssl(error, CORE_INTERNAL, "could not read a public key");
	X509_ALGOR_get0(&kind, &type, &parameter, algorithm);
	switch (key_nid(kind))
	{
		case NID_ED25519:
		case NID_rsaEncryption:
		case NID_rsassaPss:
		case NID_sm2:
			return true;
		case NID_X9_62_id_ecPublicKey:
			return key_curve_taken(type, parameter, error);
		default:
			return error_set(error, CORE_UNSUPPORTED, "keys of type %s are not supported",
							 key_object_name(kind, numbers));
	}
}

/* The public key in the first block of a PEM text. */
static EVP_PKEY *
key_decode_block(const char *name, const unsigned char *data, long len, CoreError *error)
{
	const unsigned char *end = data;
	EVP_PKEY   *pkey = NULL;
	X509_PUBKEY *spki = NULL;
	X509	   *certificate = NULL;
	const char *what = "public key";
	bool		taken;

	if (strcmp(name, PEM_STRING_PUBLIC) == 0)
		spki = d2i_X509_PUBKEY(NULL, &end, len);
	else if (strcmp(name, PEM_STRING_X509) == 0 || strcmp(name, PEM_STRING_X509_OLD) == 0)
	{
		what = "certificate";
		certificate = d2i_X509(NULL, &end, len);
	}
	else
	{
		error_set(error, CORE_MALFORMED,
				  "PEM block \"%.40s\" is neither a public key nor a certificate", name);
		return NULL;
	}
	taken = (spki == NULL && certificate == NULL) ||
		key_kind_taken(spki != NULL ? spki : X509_get_X509_PUBKEY(certificate), error);
	if (taken)
		pkey = spki != NULL ? X509_PUBKEY_get(spki) :
			certificate != NULL ? X509_get_pubkey(certificate) : NULL;
	X509_PUBKEY_free(spki);
	X509_free(certificate);
	if (!taken)
		ERR_clear_error();
	else if (pkey == NULL)
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
