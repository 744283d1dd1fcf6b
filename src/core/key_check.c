/*
 * key_check.c: public keys under which a signature means nothing.
 *
 * OpenSSL reads them without complaint.  Under a point of small order anybody
 * makes signatures that verify for every message; under RSA with exponent 1 the
 * signature is the padded digest itself; and bytes that are no point of the
 * curve verify nothing at all.  All of them are bad keys, to be told when the
 * key is read and not at the first signature.
 */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "core/key_internal.h"

#define KEY_ED25519_LEN 32
#define KEY_RSA_EXPONENT_BITS 64	/* OpenSSL verifies nothing with longer ones once the modulus
									 * has more than 3072 bits */

/* RFC 8032, 5.1: p = 2^255 - 19, and d of -x^2 + y^2 = 1 + d x^2 y^2 */
static const char ed25519_p[] = "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed";
static const char ed25519_d[] = "52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3";

typedef enum PointKind
{
	POINT_GOOD,
	POINT_NONE,					/* not of the curve, or not the one spelling of it */
	POINT_SMALL,				/* of order 1, 2, 4 or 8 */
	POINT_FAILED				/* out of memory */
} PointKind;

/*
 * Decoding as in RFC 8032, 5.1.3: x^2 = (y^2 - 1) / (d y^2 + 1) must be a square.  The points of
 * small order are those with y = 0 (order 4), y^2 = 1 (1 and 2), and, as doubling them gives y = 0,
 * with x^2 = -y^2 (8), which the curve's equation turns into d y^4 + 2 y^2 - 1 = 0.
 */
static PointKind
key_ed25519_point(const uint8_t encoded[KEY_ED25519_LEN], BN_CTX *context)
{
	uint8_t		bytes[KEY_ED25519_LEN];
	BIGNUM	   *p = BN_CTX_get(context);
	BIGNUM	   *d = BN_CTX_get(context);
	BIGNUM	   *y = BN_CTX_get(context);
	BIGNUM	   *yy = BN_CTX_get(context);
	BIGNUM	   *u = BN_CTX_get(context);
	BIGNUM	   *v = BN_CTX_get(context);
	BIGNUM	   *w = BN_CTX_get(context);
	int			residue;

	for (int i = 0; i < KEY_ED25519_LEN; i++)
		bytes[i] = encoded[i];
	bytes[KEY_ED25519_LEN - 1] &= 0x7f; /* the sign of x, which both have or neither */
	if (w == NULL || BN_hex2bn(&p, ed25519_p) == 0 || BN_hex2bn(&d, ed25519_d) == 0 ||
		BN_lebin2bn(bytes, KEY_ED25519_LEN, y) == NULL)
		return POINT_FAILED;
	if (BN_cmp(y, p) >= 0)
		return POINT_NONE;
	if (!BN_mod_sqr(yy, y, p, context) ||
		!BN_mod_sub(u, yy, BN_value_one(), p, context) ||
		!BN_mod_mul(v, d, yy, p, context) ||
		!BN_mod_add(v, v, BN_value_one(), p, context) ||
		!BN_mod_mul(w, u, v, p, context))
		return POINT_FAILED;
	residue = BN_kronecker(w, p, context);
	if (residue < -1)
		return POINT_FAILED;
	if (residue == -1)
		return POINT_NONE;
	/* w = d y^4 + 2 y^2 - 1 = y^2 (d y^2 + 1) + (y^2 - 1) */
	if (!BN_mod_mul(w, yy, v, p, context) || !BN_mod_add(w, w, u, p, context))
		return POINT_FAILED;
	return BN_is_zero(y) || BN_is_zero(u) || BN_is_zero(w) ? POINT_SMALL : POINT_GOOD;
}

static bool
key_check_ed25519(const Key *key, CoreError *error)
{
	uint8_t		encoded[KEY_ED25519_LEN];
	size_t		len = sizeof(encoded);
	BN_CTX	   *context = BN_CTX_new();
	PointKind	kind = POINT_FAILED;

	if (context != NULL && EVP_PKEY_get_raw_public_key(key->pkey, encoded, &len) == 1 &&
		len == sizeof(encoded))
	{
		BN_CTX_start(context);
		kind = key_ed25519_point(encoded, context);
		BN_CTX_end(context);
	}
	BN_CTX_free(context);
	switch (kind)
	{
		case POINT_GOOD:
			return true;
		case POINT_NONE:
			return error_set(error, CORE_MALFORMED,
							 "Ed25519 key is not the encoding of a point of the curve");
		case POINT_SMALL:
			return error_set(error, CORE_MALFORMED, "Ed25519 key is a point of small order");
		default:
			return error_set_openssl(error, CORE_INTERNAL, "could not check Ed25519 key");
	}
}

static bool
key_check_rsa(const Key *key, CoreError *error)
{
	BIGNUM	   *n = NULL;
	BIGNUM	   *e = NULL;
	bool		fine;

	fine = EVP_PKEY_get_bn_param(key->pkey, OSSL_PKEY_PARAM_RSA_N, &n) == 1 &&
		EVP_PKEY_get_bn_param(key->pkey, OSSL_PKEY_PARAM_RSA_E, &e) == 1;
	if (!fine)
		error_set_openssl(error, CORE_INTERNAL, "could not check RSA key");
	else if (!BN_is_odd(n))
		fine = error_set(error, CORE_MALFORMED, "RSA key has an even modulus");
	else if (!BN_is_odd(e) || BN_is_one(e))
		fine = error_set(error, CORE_MALFORMED, "RSA key has an exponent that is even or 1");
	else if (BN_num_bits(e) > KEY_RSA_EXPONENT_BITS)
		fine = error_set(error, CORE_UNSUPPORTED,
						 "RSA key has an exponent of %d bits; up to %d are supported",
						 BN_num_bits(e), KEY_RSA_EXPONENT_BITS);
	BN_free(n);
	BN_free(e);
	return fine;
}

static bool
key_check_ec(const Key *key, CoreError *error)
{
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key->pkey, NULL);
	bool		fine = context != NULL && EVP_PKEY_public_check(context) == 1;

	EVP_PKEY_CTX_free(context);
	return fine ? true : error_set_openssl(error, CORE_MALFORMED,
										   "elliptic curve key is not a point of its curve");
}

bool
key_check_public(const Key *key, CoreError *error)
{
	bool		fine;

	switch (key->algorithm)
	{
		case KEY_ED25519:
			fine = key_check_ed25519(key, error);
			break;
		case KEY_RSA_PKCS1_SHA256:
		case KEY_RSA_PSS_SHA256:
			fine = key_check_rsa(key, error);
			break;
		default:
			fine = key_check_ec(key, error);
			break;
	}
	/* an RSASSA-PSS key can be bound to another digest, or to a longer salt, than we verify with */
	if (fine && !key_can_verify(key))
		fine = error_set_openssl(error, CORE_UNSUPPORTED, "key does not allow %s signatures",
								 key_algorithm_name(key->algorithm));
	ERR_clear_error();
	return fine;
}
