/*
 * certificate_reason.c: why a certificate path is not accepted, in words of our own.
 *
 * The words end up in the alliance's state, which must be the same at members with different
 * versions of OpenSSL, and X509_verify_cert_error_string() is worded anew now and then.  Codes that
 * mean nearly the same share their words, as the choice between them changes as well.
 */
#include <stdio.h>
#include <time.h>

#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "core/certificate_internal.h"

static const char *const reason_no_anchor = "no path to a trust anchor";
static const char *const reason_extension = "extension is malformed or not supported";
static const char *const reason_name = "name or name constraint is not supported";
static const char *const reason_constraint = "name constraint is violated";
static const char *const reason_list = "CRL is malformed or not supported";

/* What can come of the checks that certificate_path.c asks for: no host names, policies or OCSP. */
static const char *
reason_words(int code)
{
	switch (code)
	{
		case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
		case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
		case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
		case X509_V_ERR_CERT_UNTRUSTED:
		case X509_V_ERR_SUBJECT_ISSUER_MISMATCH:
		case X509_V_ERR_AKID_SKID_MISMATCH:
		case X509_V_ERR_AKID_ISSUER_SERIAL_MISMATCH:
		case X509_V_ERR_PATH_LOOP:
			return reason_no_anchor;
		case X509_V_ERR_CERT_CHAIN_TOO_LONG:
			return "path is too long";
		case X509_V_ERR_UNABLE_TO_DECRYPT_CERT_SIGNATURE:
		case X509_V_ERR_CERT_SIGNATURE_FAILURE:
			return "certificate signature failure";
		case X509_V_ERR_UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY:
		case X509_V_ERR_NO_ISSUER_PUBLIC_KEY:
			return "issuer's public key is unusable";
		case X509_V_ERR_CERT_NOT_YET_VALID:
			return "certificate is not yet valid";
		case X509_V_ERR_CERT_HAS_EXPIRED:
			return "certificate has expired";
		case X509_V_ERR_ERROR_IN_CERT_NOT_BEFORE_FIELD:
		case X509_V_ERR_ERROR_IN_CERT_NOT_AFTER_FIELD:
			return "certificate's period is malformed";
		case X509_V_ERR_CERT_REVOKED:
			return "certificate revoked";
		case X509_V_ERR_CERT_REJECTED:
			return "certificate is rejected";

			/* what a CA may do */
		case X509_V_ERR_INVALID_CA:
		case X509_V_ERR_INVALID_NON_CA:
		case X509_V_ERR_INVALID_PURPOSE:
			return "certificate is not a CA's";
		case X509_V_ERR_PATH_LENGTH_EXCEEDED:
			return "path is longer than a CA's certificate allows";
		case X509_V_ERR_KEYUSAGE_NO_CERTSIGN:
			return "key usage does not allow signing certificates";
		case X509_V_ERR_CA_CERT_MISSING_KEY_USAGE:
			return "CA certificate without key usage";
		case X509_V_ERR_CA_BCONS_NOT_CRITICAL:
			return "CA certificate whose basic constraints are not critical";
		case X509_V_ERR_PATHLEN_INVALID_FOR_NON_CA:
		case X509_V_ERR_PATHLEN_WITHOUT_KU_KEY_CERT_SIGN:
			return "path length in a certificate that signs no others";
		case X509_V_ERR_KU_KEY_CERT_SIGN_INVALID_FOR_NON_CA:
			return "key usage of a CA in a certificate that is none";
		case X509_V_ERR_PROXY_CERTIFICATES_NOT_ALLOWED:
		case X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED:
		case X509_V_ERR_PROXY_SUBJECT_NAME_VIOLATION:
			return "proxy certificate";

			/* what a certificate must have */
		case X509_V_ERR_ISSUER_NAME_EMPTY:
			return "issuer's name is empty";
		case X509_V_ERR_SUBJECT_NAME_EMPTY:
			return "subject's name is empty";
		case X509_V_ERR_EMPTY_SUBJECT_ALT_NAME:
			return "subject alternative name is empty";
		case X509_V_ERR_EMPTY_SUBJECT_SAN_NOT_CRITICAL:
			return "empty subject, and the subject alternative name is not critical";
		case X509_V_ERR_MISSING_AUTHORITY_KEY_IDENTIFIER:
			return "authority key identifier is missing";
		case X509_V_ERR_MISSING_SUBJECT_KEY_IDENTIFIER:
			return "subject key identifier is missing";
		case X509_V_ERR_AUTHORITY_KEY_IDENTIFIER_CRITICAL:
			return "authority key identifier is critical";
		case X509_V_ERR_SUBJECT_KEY_IDENTIFIER_CRITICAL:
			return "subject key identifier is critical";
		case X509_V_ERR_EXTENSIONS_REQUIRE_VERSION_3:
			return "extensions in a certificate that is not of version 3";
		case X509_V_ERR_UNHANDLED_CRITICAL_EXTENSION:
		case X509_V_ERR_INVALID_EXTENSION:
		case X509_V_ERR_INVALID_POLICY_EXTENSION:
		case X509_V_ERR_UNSUPPORTED_EXTENSION_FEATURE:
			return reason_extension;
		case X509_V_ERR_PERMITTED_VIOLATION:
		case X509_V_ERR_EXCLUDED_VIOLATION:
			return reason_constraint;
		case X509_V_ERR_SUBTREE_MINMAX:
		case X509_V_ERR_UNSUPPORTED_CONSTRAINT_TYPE:
		case X509_V_ERR_UNSUPPORTED_CONSTRAINT_SYNTAX:
		case X509_V_ERR_UNSUPPORTED_NAME_SYNTAX:
			return reason_name;

			/* keys and algorithms */
		case X509_V_ERR_EE_KEY_TOO_SMALL:
			return "key is too weak";
		case X509_V_ERR_CA_KEY_TOO_SMALL:
			return "CA's key is too weak";
		case X509_V_ERR_CA_MD_TOO_WEAK:
			return "CA's signature is by a hash that is too weak";
		case X509_V_ERR_EC_KEY_EXPLICIT_PARAMS:
			return "elliptic curve key without a named curve";
		case X509_V_ERR_UNSUPPORTED_SIGNATURE_ALGORITHM:
		case X509_V_ERR_SIGNATURE_ALGORITHM_MISMATCH:
		case X509_V_ERR_SIGNATURE_ALGORITHM_INCONSISTENCY:
			return "signature algorithm is not supported, or not the one of its issuer's key";

			/* revocation lists */
		case X509_V_ERR_UNABLE_TO_GET_CRL:
		case X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER:
		case X509_V_ERR_DIFFERENT_CRL_SCOPE:
		case X509_V_ERR_CRL_PATH_VALIDATION_ERROR:
			return "no CRL of the issuer that can be used";
		case X509_V_ERR_UNABLE_TO_DECRYPT_CRL_SIGNATURE:
		case X509_V_ERR_CRL_SIGNATURE_FAILURE:
			return "CRL signature failure";
		case X509_V_ERR_CRL_NOT_YET_VALID:
			return "CRL is not yet valid";
		case X509_V_ERR_CRL_HAS_EXPIRED:
			return "CRL has expired";
		case X509_V_ERR_KEYUSAGE_NO_CRL_SIGN:
			return "key usage does not allow signing CRLs";
		case X509_V_ERR_ERROR_IN_CRL_LAST_UPDATE_FIELD:
		case X509_V_ERR_ERROR_IN_CRL_NEXT_UPDATE_FIELD:
		case X509_V_ERR_UNHANDLED_CRITICAL_CRL_EXTENSION:
			return reason_list;
		default:
			return NULL;
	}
}

void
certificate_reason(int code, char *out, size_t size)
{
	const char *words = reason_words(code);

	if (words != NULL)
		(void) snprintf(out, size, "%s", words);
	else
		(void) snprintf(out, size, "certificate is not acceptable to OpenSSL (error %d)", code);
}

/* RFC 5280, 5.3.1: the names of its ASN.1. */
const char *
certificate_revocation_reason(const X509_REVOKED *entry)
{
	static const char *const names[] = {
		"unspecified", "keyCompromise", "cACompromise", "affiliationChanged", "superseded",
		"cessationOfOperation", "certificateHold", "unspecified", "removeFromCRL",
		"privilegeWithdrawn", "aACompromise"
	};
	ASN1_ENUMERATED *stated = X509_REVOKED_get_ext_d2i(entry, NID_crl_reason, NULL, NULL);
	long		code = stated ? ASN1_ENUMERATED_get(stated) : 0;

	ASN1_ENUMERATED_free(stated);
	return code >= 0 && code < (long) (sizeof(names) / sizeof(names[0])) ? names[code] : names[0];
}

/* "certificate revoked: keyCompromise, since 2026-01-31 12:00:00Z": what its list says. */
void
certificate_revoked_reason(X509_CRL *crl, X509 *certificate, char *out, size_t size)
{
	X509_REVOKED *entry = NULL;
	struct tm	since;
	char		date[32] = "";

	if (crl != NULL && certificate != NULL &&
		X509_CRL_get0_by_cert(crl, &entry, certificate) != 0 && entry != NULL)
	{
		if (ASN1_TIME_to_tm(X509_REVOKED_get0_revocationDate(entry), &since) == 1)
			(void) strftime(date, sizeof(date), ", since %Y-%m-%d %H:%M:%SZ", &since);
		(void) snprintf(out, size, "certificate revoked: %s%s",
						certificate_revocation_reason(entry), date);
	}
}
