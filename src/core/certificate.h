/*
 * certificate.h: X.509 certificates: the path to a trust anchor (RFC 5280
 * section 6, by OpenSSL's X509_STORE), and what we read out of a certificate.
 */
#ifndef MEDCHAIN_CORE_CERTIFICATE_H
#define MEDCHAIN_CORE_CERTIFICATE_H

#include "core/hash.h"
#include "core/key.h"

#define CERTIFICATE_MAX (1024 * 1024)	/* bytes of any one PEM or DER argument */
#define CERTIFICATE_SUBJECT_MAX 512

typedef struct CertificateInfo
{
	char		subject[CERTIFICATE_SUBJECT_MAX];	/* RFC 2253, cut to fit */
	char		issuer[CERTIFICATE_SUBJECT_MAX];
	int64_t		not_before;		/* seconds since 1970 */
	int64_t		not_after;
	uint8_t		fingerprint[HASH_LEN];	/* SHA-256 of the DER certificate */
} CertificateInfo;

typedef enum CertificateVerdict
{
	CERTIFICATE_VALID,
	CERTIFICATE_INVALID,		/* well-formed, not acceptable: see reason */
	CERTIFICATE_ERROR			/* unusable input: see the error */
} CertificateVerdict;

/*
 * certificates: PEM, the end-entity certificate first, intermediates after it.
 * anchors: PEM, one or more trusted CA certificates.  crls: PEM, or NULL; when
 * given, the end-entity certificate and its intermediates are checked against
 * them.  at: seconds since 1970.  A keyUsage extension in the end-entity
 * certificate must allow digitalSignature.  reason: OpenSSL's words for what is
 * wrong (X509_verify_cert_error_string), empty when valid.
 */
extern CertificateVerdict certificate_verify(const char *certificates, size_t certificates_len,
											 const char *anchors, size_t anchors_len,
											 const char *crls, size_t crls_len,
											 int64_t at, char reason[CORE_MESSAGE_LEN], CoreError *error);

/*
 * The certificates of a PEM text in the one spelling that OpenSSL writes, with nothing between them; NULL with an error.
 * To be released with certificate_free_text().
 */
extern char *certificate_to_pem(const char *pem, size_t len, CoreError *error);
extern void certificate_free_text(char *text);

/* Facts of the first certificate of a PEM text. */
extern bool certificate_info(const char *pem, size_t len, CertificateInfo *info, CoreError *error);

#endif
