/*
 * certificate_internal.h: OpenSSL's objects behind certificate.h, for the files of src/core/ that
 * deal in them.
 */
#ifndef MEDCHAIN_CORE_CERTIFICATE_INTERNAL_H
#define MEDCHAIN_CORE_CERTIFICATE_INTERNAL_H

#include <openssl/x509.h>

#include "core/certificate.h"

/*
 * Push to the stack what a PEM text, or one DER object, holds: at least one; what: for the error.
 */
extern bool certificate_read(const char *data, size_t len, const char *what, STACK_OF(X509) *stack,
							 CoreError *error);

/* PEM of what was read one by one before: as many as there are. */
extern bool certificate_read_many(const char *text, size_t len, const char *what,
								  STACK_OF(X509) *stack, CoreError *error);
extern bool certificate_read_crls(const char *data, size_t len, STACK_OF(X509_CRL) *stack,
								  CoreError *error);

/* Cut a text so that at most max bytes are left, and no half of a character. */
extern void certificate_cut(char *utf8, size_t max);

/* Why X509_verify_cert() refused, from its error code: see certificate_reason.c. */
extern void certificate_reason(int code, char *out, size_t size);

/* Why a list revokes a certificate: "keyCompromise" and so on, "unspecified" if it does not say. */
extern const char *certificate_revocation_reason(const X509_REVOKED *entry);

/* "certificate revoked", reason and date; left as it is if the list or its entry is not known. */
extern void certificate_revoked_reason(X509_CRL *crl, X509 *certificate, char *out, size_t size);

extern bool certificate_describe(X509 *certificate, CertificateInfo *info);

/*
 * X509_CRL_verify(), and for lists signed with SM2, whose digest includes the signer's user id,
 * which OpenSSL can be told for certificates only, the same by hand.
 */
extern bool certificate_crl_is_of(X509_CRL *crl, X509 *issuer);

#endif
