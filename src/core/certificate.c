/*
 * certificate.c: certificate paths by OpenSSL's X509_STORE.
 *
 * Only the anchors given are trusted: never the machine's own store, which
 * would let any public CA admit members.
 */
#include <limits.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "core/certificate.h"
#include "core/key_internal.h"

#define CERTIFICATE_COUNT_MAX 100	/* certificates or CRLs in one argument */
#define CERTIFICATE_AUTH_LEVEL 2	/* SSL_CTX_set_security_level(3): 112 bits, no SHA-1 */

/* Everything one verification holds; freed together. */
typedef struct Path
{
	STACK_OF(X509) *certificates;	/* the end-entity certificate first */
	STACK_OF(X509) *anchors;
	STACK_OF(X509_CRL) *crls;
	X509_STORE *store;
	X509_STORE_CTX *context;
} Path;

static void
path_free(Path *path)
{
	X509_STORE_CTX_free(path->context);
	X509_STORE_free(path->store);
	sk_X509_pop_free(path->certificates, X509_free);
	sk_X509_pop_free(path->anchors, X509_free);
	sk_X509_CRL_pop_free(path->crls, X509_CRL_free);
	ERR_clear_error();
}

/*
 * A certificate signed with SM2 is signed over a digest that includes the signer's user id, which OpenSSL does not
 * assume by itself.  On one signed otherwise, an id would make the verification fail.
 */
static bool
certificate_set_sm2_id(X509 *certificate)
{
	ASN1_OCTET_STRING *id;

	if (X509_get_signature_nid(certificate) != NID_SM2_with_SM3)
		return true;
	id = ASN1_OCTET_STRING_new();
	if (id == NULL || ASN1_OCTET_STRING_set(id, (const unsigned char *) KEY_SM2_ID, (int) strlen(KEY_SM2_ID)) != 1)
	{
		ASN1_OCTET_STRING_free(id);
		return false;
	}
	X509_set0_distinguishing_id(certificate, id);
	return true;
}

/* All PEM blocks of a text that are of one type; other blocks, garbage between them, or none are an error. */
typedef bool (*CertificateTake) (const unsigned char *der, long len, void *stack);

static bool
certificate_take(const unsigned char *der, long len, void *stack)
{
	const unsigned char *end = der;
	X509	   *certificate = d2i_X509(NULL, &end, len);

	if (certificate != NULL && end == der + len && certificate_set_sm2_id(certificate) &&
		sk_X509_push((STACK_OF(X509) *) stack, certificate) > 0)
		return true;
	X509_free(certificate);
	return false;
}

static bool
certificate_take_crl(const unsigned char *der, long len, void *stack)
{
	const unsigned char *end = der;
	X509_CRL   *crl = d2i_X509_CRL(NULL, &end, len);

	if (crl != NULL && end == der + len && sk_X509_CRL_push((STACK_OF(X509_CRL) *) stack, crl) > 0)
		return true;
	X509_CRL_free(crl);
	return false;
}

static bool
certificate_read_pem(const char *text, size_t len, const char *type, const char *what,
					 CertificateTake take, void *stack, CoreError *error)
{
	BIO		   *bio = BIO_new_mem_buf(text, (int) len);
	int			count = 0;
	bool		fine = true;

	if (bio == NULL)
		return error_set_openssl(error, CORE_INTERNAL, "could not read PEM text");
	while (fine)
	{
		char	   *name = NULL;
		char	   *header = NULL;
		unsigned char *der = NULL;
		long		derlen = 0;

		if (PEM_read_bio(bio, &name, &header, &der, &derlen) != 1)
		{
			/* "no start line" after the last block is how a PEM text ends */
			bool		ended = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;

			ERR_clear_error();
			if (!ended)
				fine = error_set(error, CORE_MALFORMED, "damaged PEM block %d in %s", count + 1, what);
			else if (count == 0)
				fine = error_set(error, CORE_MALFORMED, "no PEM block \"%s\" in %s", type, what);
			break;
		}
		if (++count > CERTIFICATE_COUNT_MAX)
			fine = error_set(error, CORE_UNSUPPORTED, "more than %d PEM blocks in %s", CERTIFICATE_COUNT_MAX, what);
		else if (strcmp(name, type) != 0)
			fine = error_set(error, CORE_MALFORMED, "PEM block %d in %s is \"%.40s\" and not \"%s\"",
							 count, what, name, type);
		else if (!take(der, derlen, stack))
			fine = error_set_openssl(error, CORE_MALFORMED, "invalid PEM block %d in %s", count, what);
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_free(der);
	}
	BIO_free(bio);
	return fine;
}

/* Certificates in PEM, or one in DER (which starts with an ASN.1 SEQUENCE, and PEM never does). */
static bool
certificate_read(const char *text, size_t len, const char *what, STACK_OF(X509) *stack, CoreError *error)
{
	if (len > CERTIFICATE_MAX)
		return error_set(error, CORE_UNSUPPORTED, "%s longer than %d bytes", what, CERTIFICATE_MAX);
	if (len > 0 && (unsigned char) text[0] == 0x30)
	{
		if (!certificate_take((const unsigned char *) text, (long) len, stack))
			return error_set_openssl(error, CORE_MALFORMED, "invalid DER certificate in %s", what);
		return true;
	}
	return certificate_read_pem(text, len, PEM_STRING_X509, what, certificate_take, stack, error);
}

static bool
path_read(Path *path, const char *certificates, size_t certificates_len, const char *anchors, size_t anchors_len,
		  const char *crls, size_t crls_len, CoreError *error)
{
	path->certificates = sk_X509_new_null();
	path->anchors = sk_X509_new_null();
	path->crls = sk_X509_CRL_new_null();
	path->store = X509_STORE_new();
	path->context = X509_STORE_CTX_new();
	if (!path->certificates || !path->anchors || !path->crls || !path->store || !path->context)
		return error_set_openssl(error, CORE_INTERNAL, "out of memory");
	if (!certificate_read(certificates, certificates_len, "certificate", path->certificates, error) ||
		!certificate_read(anchors, anchors_len, "trust anchors", path->anchors, error))
		return false;
	if (crls == NULL)
		return true;
	if (crls_len > CERTIFICATE_MAX)
		return error_set(error, CORE_UNSUPPORTED, "revocation lists longer than %d bytes", CERTIFICATE_MAX);
	return certificate_read_pem(crls, crls_len, PEM_STRING_X509_CRL, "revocation lists",
								certificate_take_crl, path->crls, error);
}

static bool
path_prepare(Path *path, int64_t at, bool with_crls, CoreError *error)
{
	X509_VERIFY_PARAM *param = X509_STORE_get0_param(path->store);
	unsigned long flags = X509_V_FLAG_X509_STRICT | X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_CHECK_SS_SIGNATURE;

	for (int i = 0; i < sk_X509_num(path->anchors); i++)
	{
		X509	   *anchor = sk_X509_value(path->anchors, i);

		/* otherwise PARTIAL_CHAIN would let a member's own certificate vouch for itself */
		if (X509_check_ca(anchor) == 0)
			return error_set(error, CORE_MALFORMED, "trust anchor %d is not a CA certificate", i + 1);
		if (X509_STORE_add_cert(path->store, anchor) != 1)
			return error_set_openssl(error, CORE_INTERNAL, "could not use trust anchor %d", i + 1);
	}
	for (int i = 0; i < sk_X509_CRL_num(path->crls); i++)
		if (X509_STORE_add_crl(path->store, sk_X509_CRL_value(path->crls, i)) != 1)
			return error_set_openssl(error, CORE_INTERNAL, "could not use revocation list %d", i + 1);

	if (with_crls)
		flags |= X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL;
	X509_VERIFY_PARAM_set_flags(param, flags);
	X509_VERIFY_PARAM_set_time(param, (time_t) at);
	X509_VERIFY_PARAM_set_auth_level(param, CERTIFICATE_AUTH_LEVEL);
	if (X509_STORE_CTX_init(path->context, path->store, sk_X509_value(path->certificates, 0), path->certificates) != 1)
		return error_set_openssl(error, CORE_INTERNAL, "could not start certificate verification");
	return true;
}

/* Who signs on the ledger needs a certificate that says so, if it says anything about usage (RFC 5280, 4.2.1.3). */
static bool
path_may_sign(const Path *path)
{
	X509	   *leaf = sk_X509_value(path->certificates, 0);

	return (X509_get_extension_flags(leaf) & EXFLAG_KUSAGE) == 0 ||
		(X509_get_key_usage(leaf) & KU_DIGITAL_SIGNATURE) != 0;
}

static void
path_reason(const Path *path, char reason[CORE_MESSAGE_LEN])
{
	int			code = X509_STORE_CTX_get_error(path->context);
	int			depth = X509_STORE_CTX_get_error_depth(path->context);
	X509	   *culprit = X509_STORE_CTX_get_current_cert(path->context);
	char		subject[CERTIFICATE_SUBJECT_MAX] = "";
	BIO		   *bio = BIO_new(BIO_s_mem());

	if (bio != NULL && culprit != NULL &&
		X509_NAME_print_ex(bio, X509_get_subject_name(culprit), 0, XN_FLAG_RFC2253) >= 0)
	{
		int			len = BIO_read(bio, subject, sizeof(subject) - 1);

		subject[len > 0 ? len : 0] = '\0';
	}
	BIO_free(bio);
	(void) snprintf(reason, CORE_MESSAGE_LEN, "%s (depth %d%s%.120s)", X509_verify_cert_error_string(code), depth,
					subject[0] ? ", " : "", subject);
}

CertificateVerdict
certificate_verify(const char *certificates, size_t certificates_len, const char *anchors, size_t anchors_len,
				   const char *crls, size_t crls_len, int64_t at, char reason[CORE_MESSAGE_LEN], CoreError *error)
{
	Path		path = {0};
	CertificateVerdict verdict = CERTIFICATE_ERROR;

	reason[0] = '\0';
	if (path_read(&path, certificates, certificates_len, anchors, anchors_len, crls, crls_len, error) &&
		path_prepare(&path, at, crls != NULL, error))
	{
		verdict = CERTIFICATE_INVALID;
		if (X509_verify_cert(path.context) != 1)
			path_reason(&path, reason);
		else if (!path_may_sign(&path))
			(void) snprintf(reason, CORE_MESSAGE_LEN, "key usage does not allow digital signatures");
		else
			verdict = CERTIFICATE_VALID;
	}
	path_free(&path);
	return verdict;
}

static bool
certificate_name(const X509_NAME *name, char out[CERTIFICATE_SUBJECT_MAX])
{
	BIO		   *bio = BIO_new(BIO_s_mem());
	int			len = -1;

	if (bio != NULL && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0)
		len = BIO_read(bio, out, CERTIFICATE_SUBJECT_MAX - 1);
	BIO_free(bio);
	/* an empty name is allowed, and reads as nothing */
	out[len > 0 ? len : 0] = '\0';
	return bio != NULL;
}

static bool
certificate_time(const ASN1_TIME *time, int64_t *seconds)
{
	ASN1_TIME  *epoch = ASN1_TIME_set(NULL, 0);
	int			days;
	int			rest;
	bool		fine = epoch != NULL && ASN1_TIME_diff(&days, &rest, epoch, time) == 1;

	if (fine)
		*seconds = (int64_t) days * 86400 + rest;
	ASN1_TIME_free(epoch);
	return fine;
}

char *
certificate_to_pem(const char *pem, size_t len, CoreError *error)
{
	STACK_OF(X509) *certificates = sk_X509_new_null();
	BIO		   *bio = BIO_new(BIO_s_mem());
	char	   *written;
	char	   *result = NULL;

	if (certificates == NULL || bio == NULL)
		error_set(error, CORE_INTERNAL, "out of memory");
	else if (certificate_read(pem, len, "certificate", certificates, error))
	{
		bool		fine = true;

		for (int i = 0; fine && i < sk_X509_num(certificates); i++)
			fine = PEM_write_bio_X509(bio, sk_X509_value(certificates, i)) == 1;
		if (fine)
		{
			long		written_len = BIO_get_mem_data(bio, &written);

			result = OPENSSL_strndup(written, (size_t) written_len);
		}
		if (result == NULL)
			error_set_openssl(error, CORE_INTERNAL, "could not write certificate");
	}
	BIO_free(bio);
	sk_X509_pop_free(certificates, X509_free);
	return result;
}

void
certificate_free_text(char *text)
{
	OPENSSL_free(text);
}

bool
certificate_info(const char *pem, size_t len, CertificateInfo *info, CoreError *error)
{
	STACK_OF(X509) *certificates = sk_X509_new_null();
	bool		fine = false;

	memset(info, 0, sizeof(*info));
	if (certificates == NULL)
		return error_set(error, CORE_INTERNAL, "out of memory");
	if (certificate_read(pem, len, "certificate", certificates, error))
	{
		X509	   *first = sk_X509_value(certificates, 0);
		unsigned char *der = NULL;
		int			derlen = i2d_X509(first, &der);

		fine = derlen > 0 && hash_sha256(der, (size_t) derlen, info->fingerprint) &&
			certificate_name(X509_get_subject_name(first), info->subject) &&
			certificate_name(X509_get_issuer_name(first), info->issuer) &&
			certificate_time(X509_get0_notBefore(first), &info->not_before) &&
			certificate_time(X509_get0_notAfter(first), &info->not_after);
		OPENSSL_free(der);
		if (!fine)
			error_set_openssl(error, CORE_MALFORMED, "could not read certificate");
	}
	sk_X509_pop_free(certificates, X509_free);
	ERR_clear_error();
	return fine;
}
