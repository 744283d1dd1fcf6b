/*
 * key_load.c: public keys from PEM, private keys from a file or an OSSL_STORE URI.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/store.h>
#include <openssl/ui.h>
#include <openssl/x509.h>

#include "core/key_internal.h"

#define KEY_PEM_MAX (1024 * 1024)
#define KEY_RSA_MIN_BITS 2048
#define KEY_RSA_MAX_BITS 8192

/* The algorithm of an EC key by its curve; explicit parameters are refused, as they can imitate a named curve. */
static bool
key_ec_algorithm(EVP_PKEY *pkey, KeyAlgorithm *algorithm, CoreError *error)
{
	char		group[64] = "";
	int			explicit_parameters = 0;

	if (EVP_PKEY_get_int_param(pkey, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &explicit_parameters) == 1 &&
		explicit_parameters != 0)
		return error_set(error, CORE_UNSUPPORTED, "elliptic curve key with explicit parameters");
	if (EVP_PKEY_get_group_name(pkey, group, sizeof(group), NULL) != 1)
		return error_set_openssl(error, CORE_UNSUPPORTED, "elliptic curve key without a named curve");
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
			return error_set(error, CORE_UNSUPPORTED, "RSA key of %d bits; from %d to %d are supported",
							 bits, KEY_RSA_MIN_BITS, KEY_RSA_MAX_BITS);
		*algorithm = EVP_PKEY_is_a(pkey, "RSA") ? KEY_RSA_PKCS1_SHA256 : KEY_RSA_PSS_SHA256;
	}
	else
	{
		type = EVP_PKEY_get0_type_name(pkey);
		return error_set(error, CORE_UNSUPPORTED, "keys of type %s are not supported", type ? type : "unknown");
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
		key = OPENSSL_malloc(sizeof(Key));
		if (key == NULL)
			error_set(error, CORE_INTERNAL, "out of memory");
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
		error_set(error, CORE_MALFORMED, "PEM block \"%.40s\" is neither a public key nor a certificate", name);
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
	if (key != NULL && !key_check_public(key, error))
	{
		key_free(key);
		key = NULL;
	}
	return key;
}

/*
 * Open a private key file if nobody else can read it: be-secure-common.c,
 * check_ssl_key_file_permissions().  What was checked is what is read, so by descriptor.
 */
static int
key_open_file(const char *path, CoreError *error)
{
	struct stat st;
	int			fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
	{
		error_set(error, CORE_ACCESS, "could not open private key file \"%s\": %s", path, strerror(errno));
		return -1;
	}
	if (fstat(fd, &st) != 0)
		error_set(error, CORE_ACCESS, "could not stat private key file \"%s\": %s", path, strerror(errno));
	else if (!S_ISREG(st.st_mode))
		error_set(error, CORE_ACCESS, "private key file \"%s\" is not a regular file", path);
	else if (st.st_uid != geteuid() && st.st_uid != 0)
		error_set(error, CORE_ACCESS, "private key file \"%s\" must be owned by the database user or root", path);
	else if ((st.st_uid == geteuid() && (st.st_mode & (S_IRWXG | S_IRWXO)) != 0) ||
			 (st.st_uid != geteuid() && (st.st_mode & (S_IWGRP | S_IXGRP | S_IRWXO)) != 0))
		error_set(error, CORE_ACCESS,
				  "private key file \"%s\" has group or world access; it must have permissions u=rw (0600) or less if owned by the database user, or u=rw,g=r (0640) or less if owned by root",
				  path);
	else
		return fd;
	close(fd);
	return -1;
}

/* A server has nobody to ask: an encrypted key is an error, and the fact is noted. */
static int
key_no_passphrase(char *buffer, int size, int rwflag, void *asked)
{
	(void) buffer;
	(void) size;
	(void) rwflag;
	*(bool *) asked = true;
	return -1;
}

/* "file:/p", "file:///p" and "file://localhost/p" are files, and so is whatever has no scheme; NULL for other URIs. */
static const char *
key_file_of_uri(const char *uri)
{
	size_t		scheme = strspn(uri, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");

	if (strncasecmp(uri, "file:", 5) == 0)
	{
		uri += 5;
		if (strncmp(uri, "//localhost/", 12) == 0)
			return uri + 11;
		if (strncmp(uri, "///", 3) == 0)
			return uri + 2;
		return uri;
	}
	return scheme > 0 && uri[scheme] == ':' ? NULL : uri;
}

/* The first private key the store holds. */
static EVP_PKEY *
key_from_store(OSSL_STORE_CTX *store)
{
	EVP_PKEY   *pkey = NULL;

	(void) OSSL_STORE_expect(store, OSSL_STORE_INFO_PKEY);
	while (pkey == NULL && !OSSL_STORE_eof(store))
	{
		OSSL_STORE_INFO *info = OSSL_STORE_load(store);

		if (info == NULL)
			break;				/* an object that can't be read hides those behind it */
		if (OSSL_STORE_INFO_get_type(info) == OSSL_STORE_INFO_PKEY)
			pkey = OSSL_STORE_INFO_get1_PKEY(info);
		OSSL_STORE_INFO_free(info);
	}
	return pkey;
}

/* A public key alone, or a token that does not let us sign, is noticed here and not at the first block. */
static bool
key_can_sign(const Key *key, CoreError *error)
{
	static const char probe[] = "medchain";
	uint8_t		sig[KEY_SIGNATURE_MAX];
	size_t		siglen;

	return key_sign(key, probe, sizeof(probe), sig, &siglen, error) &&
		key_verify(key, KEY_DEFAULT, probe, sizeof(probe), sig, siglen, error) == KEY_VALID;
}

Key *
key_load_private(const char *uri, CoreError *error)
{
	const char *path = key_file_of_uri(uri);
	BIO		   *bio = NULL;
	OSSL_STORE_CTX *store = NULL;
	UI_METHOD  *no_prompt;
	bool		asked = false;
	EVP_PKEY   *pkey = NULL;
	Key		   *key = NULL;

	if (path != NULL)
	{
		int			fd = key_open_file(path, error);

		if (fd < 0)
			return NULL;
		bio = BIO_new_fd(fd, BIO_CLOSE);
		if (bio == NULL)
		{
			close(fd);
			error_set_openssl(error, CORE_INTERNAL, "could not read private key");
			return NULL;
		}
	}
	no_prompt = UI_UTIL_wrap_read_pem_callback(key_no_passphrase, 0);
	if (no_prompt != NULL)
	{
		if (bio != NULL)
			store = OSSL_STORE_attach(bio, "file", NULL, NULL, no_prompt, &asked, NULL, NULL, NULL);
		else
			store = OSSL_STORE_open(uri, no_prompt, &asked, NULL, NULL);
	}
	if (store != NULL)
		pkey = key_from_store(store);
	if (pkey == NULL && asked)
	{
		ERR_clear_error();
		error_set(error, CORE_ACCESS, "private key \"%s\" is encrypted with a passphrase", uri);
	}
	else if (pkey == NULL)
		error_set_openssl(error, CORE_ACCESS, "no private key in \"%s\"", uri);
	OSSL_STORE_close(store);
	UI_destroy_method(no_prompt);
	BIO_free(bio);

	if (pkey != NULL)
		key = key_wrap(pkey, error);
	if (key != NULL && !key_can_sign(key, error))
	{
		key_free(key);
		key = NULL;
		error_set(error, CORE_ACCESS, "the key in \"%s\" cannot sign: it is not a private key, or does not allow it", uri);
	}
	return key;
}
