/*
 * certificate.h: X.509 certificates: the path to a trust anchor (RFC 5280
 * section 6, by OpenSSL's X509_STORE), and what we read out of a certificate.
 *
 * Certificates and revocation lists are PEM, several in one text, or one object in DER.
 */
#ifndef MEDCHAIN_CORE_CERTIFICATE_H
#define MEDCHAIN_CORE_CERTIFICATE_H

#include "core/hash.h"
#include "core/key.h"

#define CERTIFICATE_MAX (1024 * 1024)	/* bytes of any one PEM or DER argument */
#define CERTIFICATE_PATH_MAX 16 /* certificates of one path, anchor included */
#define CERTIFICATE_SUBJECT_MAX 512
#define CERTIFICATE_SERIAL_MAX 64

typedef struct CertificateInfo
{
	char		subject[CERTIFICATE_SUBJECT_MAX];	/* RFC 2253, cut to fit */
	char		issuer[CERTIFICATE_SUBJECT_MAX];
	char		serial[CERTIFICATE_SERIAL_MAX]; /* hex, upper case, as openssl prints it */
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

/* What a revocation list says outside of its own period (RFC 5280, 5.1.2.4 and 5.1.2.5). */
typedef enum CertificateCrlPolicy
{
	CERTIFICATE_CRL_STRICT,		/* nothing: what its issuer issued is not accepted until there is a
								 * newer one */
	CERTIFICATE_CRL_LAST_KNOWN	/* the same as ever: the revocations in it count, and nothing else
								 * is revoked */
} CertificateCrlPolicy;

/* "strict", "last_known" */
extern bool certificate_crl_policy_from_name(const char *name, CertificateCrlPolicy *policy);

/*
 * certificates: the end-entity certificate first, intermediates after it.
 * anchors: one or more trusted CA certificates; no other CA is trusted.
 * crls: revocation lists of any issuers, or NULL.  A certificate of the path is
 * checked against those of its issuer, if there is one; lists of other issuers have
 * no influence, and anchors are not checked.  A list must be signed by the issuer
 * itself (no indirect lists, no deltas).  at: seconds since 1970.  A
 * keyUsage extension in the end-entity certificate must allow digitalSignature.
 * reason: what is wrong, in words of our own that do not depend on OpenSSL's version, where it
 * is, and of a revocation its reason and date; empty when valid.  The verdict depends on
 * the arguments alone.
 */
extern CertificateVerdict certificate_verify(const char *certificates, size_t certificates_len,
											 const char *anchors, size_t anchors_len,
											 const char *crls, size_t crls_len,
											 CertificateCrlPolicy policy,
											 int64_t at, char reason[CORE_MESSAGE_LEN],
											 CoreError *error);

/*
 * The path that was found, whether or not it is accepted: the end-entity certificate first, and if
 * it leads to an anchor, *anchored, the anchor last.  Returns the number of certificates, 0 on
 * error.
 */
extern int	certificate_path(const char *certificates, size_t certificates_len, const char *anchors,
							 size_t anchors_len,
						   int64_t at, CertificateInfo path[CERTIFICATE_PATH_MAX], bool *anchored,
							 CoreError *error);

/*
 * The certificates, or revocation lists, in the one spelling that OpenSSL writes, with nothing
 * between them; NULL with an error.  To be released with key_free_text().
 */
extern char *certificate_to_pem(const char *data, size_t len, CoreError *error);
extern char *certificate_crls_to_pem(const char *data, size_t len, CoreError *error);

/* Facts of the first certificate. */
extern bool certificate_info(const char *data, size_t len, CertificateInfo *info, CoreError *error);

/*
 * Can these be trust anchors from that time (seconds since 1970) on?  All of them are CAs'
 * certificates, and one of them is valid then; false, with the reason in error, if not.
 */
extern bool certificate_anchors(const char *anchors, size_t len, int64_t at, CoreError *error);

#endif
