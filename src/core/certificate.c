/*
 * certificate.c: certificates and revocation lists from PEM or DER, and what is in them.  Paths are
 * in certificate_path.c.
 */
#include <limits.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "core/certificate_internal.h"
#include "core/key_internal.h"

#define CERTIFICATE_COUNT_MAX 100	/* certificates or CRLs in one argument */

/*
 * A certificate signed with SM2 is signed over a digest that includes the signer's user id, which
 * OpenSSL does not assume by itself.  On one signed otherwise, an id would make the verification
 * fail.
 */
static bool
certificate_set_sm2_id(X509 *certificate)
{
	ASN1_OCTET_STRING *id;

	if (X509_get_signature_nid(certificate) != NID_SM2_with_SM3)
		return true;
	id = ASN1_OCTET_STRING_new();
	if (id == NULL || ASN1_OCTET_STRING_set(id, (const unsigned char *) KEY_SM2_ID,
											(int) strlen(KEY_SM2_ID)) != 1)
	{
		ASN1_OCTET_STRING_free(id);
		return false;
	}
	X509_set0_distinguishing_id(certificate, id);
	return true;
}

/* What is done with each object: pushed to a stack, if it is whole. */
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

/*
 * All PEM blocks of a text, max at most, which must be of one type.  Text before, between and
 * behind them is a comment, as usual.
 */
static bool
certificate_read_pem(const char *text, size_t len, const char *type, const char *what, int max,
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
				fine = error_set(error, CORE_MALFORMED, "damaged PEM block %d in %s", count + 1,
								 what);
			else if (count == 0)
				fine = error_set(error, CORE_MALFORMED, "no PEM block \"%s\" in %s", type, what);
			break;
		}
		if (++count > max)
			fine = error_set(error, CORE_UNSUPPORTED, "more than %d PEM blocks in %s", max, what);
		else if (strcmp(name, type) != 0)
			fine = error_set(error, CORE_MALFORMED,
							 "PEM block %d in %s is \"%.40s\" and not \"%s\"",
							 count, what, name, type);
		else if (!take(der, derlen, stack))
			fine = error_set_openssl(error, CORE_MALFORMED, "invalid PEM block %d in %s", count,
									 what);
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_free(der);
	}
	BIO_free(bio);
	return fine;
}

/* Objects in PEM, or one in DER (which starts with an ASN.1 SEQUENCE, and PEM never does). */
static bool
certificate_read_any(const char *data, size_t len, const char *type, const char *what,
					 CertificateTake take, void *stack,
					 CoreError *error)
{
	if (len > CERTIFICATE_MAX)
		return error_set(error, CORE_UNSUPPORTED, "%s longer than %d bytes", what, CERTIFICATE_MAX);
	if (len == 0 || (unsigned char) data[0] != 0x30)
		return certificate_read_pem(data, len, type, what, CERTIFICATE_COUNT_MAX, take, stack,
									error);
	if (!take((const unsigned char *) data, (long) len, stack))
		return error_set_openssl(error, CORE_MALFORMED, "invalid DER in %s", what);
	return true;
}

bool
certificate_read(const char *data, size_t len, const char *what, STACK_OF(X509) *stack,
				 CoreError *error)
{
	return certificate_read_any(data, len, PEM_STRING_X509, what, certificate_take, stack, error);
}

bool
certificate_read_many(const char *text, size_t len, const char *what, STACK_OF(X509) *stack,
					  CoreError *error)
{
	return len <= INT_MAX ? certificate_read_pem(text, len, PEM_STRING_X509, what, INT_MAX,
												 certificate_take, stack, error) :
		error_set(error, CORE_UNSUPPORTED, "%s longer than %d bytes", what, INT_MAX);
}

bool
certificate_read_crls(const char *data, size_t len, STACK_OF(X509_CRL) *stack, CoreError *error)
{
	return certificate_read_any(data, len, PEM_STRING_X509_CRL, "revocation lists",
								certificate_take_crl, stack, error);
}

void
certificate_cut(char *utf8, size_t max)
{
	size_t		len = strlen(utf8);

	if (len <= max)
		return;
	/* not in the middle of a character: back to a byte that begins one */
	while (max > 0 && ((unsigned char) utf8[max] & 0xc0) == 0x80)
		max--;
	utf8[max] = '\0';
}

/*
 * One attribute, as X509_NAME_print_ex() does with XN_FLAG_RFC2253, but the short names are those
 * of OpenSSL 3.0, the oldest that we work with, whatever newer ones and openssl.cnf know: names
 * end up in the alliance's state.
 */
static bool
certificate_attribute(BIO *bio, const X509_NAME_ENTRY * entry)
{
	const		ASN1_OBJECT *type = X509_NAME_ENTRY_get_object(entry);
	unsigned long flags = ASN1_STRFLGS_RFC2253 & ~ASN1_STRFLGS_ESC_MSB;
	char		numbers[KEY_OBJECT_MAX];

	if (key_nid(type) == NID_undef)
		flags |= ASN1_STRFLGS_DUMP_ALL;
	return BIO_printf(bio, "%s=", key_object_name(type, numbers)) > 0 &&
		ASN1_STRING_print_ex(bio, X509_NAME_ENTRY_get_data(entry), flags) >= 0;
}

static bool
certificate_name(const X509_NAME *name, char out[CERTIFICATE_SUBJECT_MAX])
{
	BIO		   *bio = BIO_new(BIO_s_mem());
	char		text[CERTIFICATE_SUBJECT_MAX + 1] = "";
	int			set = -1;
	int			len = -1;
	bool		fine = bio != NULL;

	/* RFC 4514: from the last to the first */
	for (int i = X509_NAME_entry_count(name) - 1; fine && i >= 0; i--)
	{
		const		X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, i);

		if (set >= 0)
			fine = BIO_puts(bio, X509_NAME_ENTRY_set(entry) == set ? "+" : ",") > 0;
		set = X509_NAME_ENTRY_set(entry);
		fine = fine && certificate_attribute(bio, entry);
	}
	if (fine)
		len = BIO_read(bio, text, CERTIFICATE_SUBJECT_MAX);
	/* an empty name is allowed, and reads as nothing */
	text[len > 0 ? len : 0] = '\0';
	certificate_cut(text, CERTIFICATE_SUBJECT_MAX - 1);
	memcpy(out, text, CERTIFICATE_SUBJECT_MAX);
	BIO_free(bio);
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

/*
 * Hexadecimal digits, an even number of them; a serial number has at most 20 bytes (RFC 5280,
 * 4.1.2.2).
 */
static bool
certificate_serial(const X509 *certificate, char out[CERTIFICATE_SERIAL_MAX])
{
	BIGNUM	   *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), NULL);
	char	   *hex = number ? BN_bn2hex(number) : NULL;
	bool		fine = hex != NULL;

	if (fine)
		(void) snprintf(out, CERTIFICATE_SERIAL_MAX, "%s", hex);
	OPENSSL_free(hex);
	BN_free(number);
	return fine;
}

bool
certificate_describe(X509 *certificate, CertificateInfo *info)
{
	unsigned char *der = NULL;
	int			derlen = i2d_X509(certificate, &der);
	bool		fine;

	memset(info, 0, sizeof(*info));
	fine = derlen > 0 && hash_sha256(der, (size_t) derlen, info->fingerprint) &&
		certificate_name(X509_get_subject_name(certificate), info->subject) &&
		certificate_name(X509_get_issuer_name(certificate), info->issuer) &&
		certificate_serial(certificate, info->serial) &&
		certificate_time(X509_get0_notBefore(certificate), &info->not_before) &&
		certificate_time(X509_get0_notAfter(certificate), &info->not_after);
	OPENSSL_free(der);
	return fine;
}

bool
certificate_info(const char *data, size_t len, CertificateInfo *info, CoreError *error)
{
	STACK_OF(X509) *certificates = sk_X509_new_null();
	bool		fine;

	if (certificates == NULL)
		return error_set(error, CORE_INTERNAL, "out of memory");
	fine = certificate_read(data, len, "certificate", certificates, error);
	if (fine && !certificate_describe(sk_X509_value(certificates, 0), info))
		fine = error_set_openssl(error, CORE_MALFORMED, "could not read certificate");
	sk_X509_pop_free(certificates, X509_free);
	ERR_clear_error();
	return fine;
}

/* What a BIO in memory holds, terminated; to be released with key_free_text(). */
static char *
certificate_text(BIO *bio)
{
	char	   *data;
	long		len = BIO_get_mem_data(bio, &data);

	return OPENSSL_strndup(data, (size_t) len);
}

char *
certificate_to_pem(const char *data, size_t len, CoreError *error)
{
	STACK_OF(X509) *certificates = sk_X509_new_null();
	BIO		   *bio = BIO_new(BIO_s_mem());
	char	   *written = NULL;

	if (certificates == NULL || bio == NULL)
		error_set(error, CORE_INTERNAL, "out of memory");
	else if (certificate_read(data, len, "certificate", certificates, error))
	{
		bool		fine = true;

		for (int i = 0; fine && i < sk_X509_num(certificates); i++)
			fine = PEM_write_bio_X509(bio, sk_X509_value(certificates, i)) == 1;
		written = fine ? certificate_text(bio) : NULL;
		if (written == NULL)
			error_set_openssl(error, CORE_INTERNAL, "could not write certificate");
	}
	BIO_free(bio);
	sk_X509_pop_free(certificates, X509_free);
	ERR_clear_error();
	return written;
}

char *
certificate_crls_to_pem(const char *data, size_t len, CoreError *error)
{
	STACK_OF(X509_CRL) *crls = sk_X509_CRL_new_null();
	BIO		   *bio = BIO_new(BIO_s_mem());
	char	   *written = NULL;

	if (crls == NULL || bio == NULL)
		error_set(error, CORE_INTERNAL, "out of memory");
	else if (certificate_read_crls(data, len, crls, error))
	{
		bool		fine = true;

		for (int i = 0; fine && i < sk_X509_CRL_num(crls); i++)
			fine = PEM_write_bio_X509_CRL(bio, sk_X509_CRL_value(crls, i)) == 1;
		written = fine ? certificate_text(bio) : NULL;
		if (written == NULL)
			error_set_openssl(error, CORE_INTERNAL, "could not write revocation list");
	}
	BIO_free(bio);
	sk_X509_CRL_pop_free(crls, X509_CRL_free);
	ERR_clear_error();
	return written;
}
