/*
 * certificate_path.c: certificate paths by OpenSSL's X509_STORE.
 *
 * Only the anchors given are trusted: never the machine's own store, which
 * would let any public CA admit members.
 */
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "core/certificate_internal.h"
#include "core/key_internal.h"

#define PATH_AUTH_LEVEL 2		/* SSL_CTX_set_security_level(3): 112 bits, no SHA-1 */

/* bytes: so that a reason fits into CORE_MESSAGE_LEN */
#define PATH_REASON_WORDS 100
#define PATH_REASON_SUBJECT 120

/* Everything one verification holds; freed together. */
typedef struct Path
{
	STACK_OF(X509) *certificates;	/* the end-entity certificate first */
	STACK_OF(X509) *anchors;
	STACK_OF(X509_CRL) *crls;
	CertificateCrlPolicy policy;
	X509_STORE *store;
	X509_STORE_CTX *context;
	X509_CRL   *outdated;		/* the list whose period was forgiven last, owned by crls */
	char		revocation[PATH_REASON_WORDS];	/* of the certificate that is revoked */
} Path;

bool
certificate_crl_policy_from_name(const char *name, CertificateCrlPolicy *policy)
{
	if (strcmp(name, "strict") == 0)
		*policy = CERTIFICATE_CRL_STRICT;
	else if (strcmp(name, "last_known") == 0)
		*policy = CERTIFICATE_CRL_LAST_KNOWN;
	else
		return false;
	return true;
}

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

static bool
path_read(Path *path, const char *certificates, size_t certificates_len, const char *anchors,
		  size_t anchors_len,
		  const char *crls, size_t crls_len, CoreError *error)
{
	path->certificates = sk_X509_new_null();
	path->anchors = sk_X509_new_null();
	path->crls = sk_X509_CRL_new_null();
	path->store = X509_STORE_new();
	path->context = X509_STORE_CTX_new();
	if (!path->certificates || !path->anchors || !path->crls || !path->store || !path->context)
		return error_set_openssl(error, CORE_INTERNAL, "out of memory");
	return certificate_read(certificates, certificates_len, "certificate", path->certificates,
							error) &&
		certificate_read(anchors, anchors_len, "trust anchors", path->anchors, error) &&
		(crls == NULL || certificate_read_crls(crls, crls_len, path->crls, error));
}

/* ----- algorithms: what is accepted must not depend on which ones OpenSSL has ----- */

/* Does OpenSSL 3.0 know such signatures, as every newer version does? */
static bool
path_signature_known(const X509_ALGOR *algorithm)
{
	switch (key_nid(algorithm->algorithm))
	{
		case NID_undef:
		case NID_dsa_with_SHA384:
		case NID_dsa_with_SHA512:
		case NID_dsa_with_SHA3_224:
		case NID_dsa_with_SHA3_256:
		case NID_dsa_with_SHA3_384:
		case NID_dsa_with_SHA3_512:
		case NID_ecdsa_with_SHA3_224:
		case NID_ecdsa_with_SHA3_256:
		case NID_ecdsa_with_SHA3_384:
		case NID_ecdsa_with_SHA3_512:
			/* it has names for these, and no more */
			return false;
		default:
			return true;
	}
}

static bool
path_certificate_known(const X509 *certificate)
{
	X509_ALGOR *key = NULL;

	return path_signature_known(X509_get0_tbs_sigalg(certificate)) &&
		X509_PUBKEY_get0_param(NULL, NULL, NULL, &key, X509_get_X509_PUBKEY(certificate)) == 1 &&
		key_nid(key->algorithm) != NID_undef;
}

/* ----- revocation lists: where OpenSSL's verdict is not ours ----- */

/* The certificate that signed the one at this depth, and its lists. */
static X509 *
path_issuer(X509_STORE_CTX *context, int depth)
{
	STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(context);
	int			last = sk_X509_num(chain) - 1;

	return sk_X509_value(chain, depth < last ? depth + 1 : last);
}

bool
certificate_crl_is_of(X509_CRL *crl, X509 *issuer)
{
	EVP_PKEY   *pkey = X509_get0_pubkey(issuer);
	const ASN1_BIT_STRING *signature;
	const X509_ALGOR *algorithm;
	unsigned char *signed_part = NULL;
	Key		   *key;
	int			len;
	bool		fine;

	if (crl == NULL || pkey == NULL)
		return false;
	X509_CRL_get0_signature(crl, &signature, &algorithm);
	if (!path_signature_known(algorithm))
		return false;
	if (OBJ_obj2nid(algorithm->algorithm) != NID_SM2_with_SM3)
		return X509_CRL_verify(crl, pkey) == 1;
	if (EVP_PKEY_up_ref(pkey) != 1)
		return false;
	key = key_wrap(pkey, NULL);
	len = key && key_algorithm(key) == KEY_SM2_SM3 ? i2d_re_X509_CRL_tbs(crl, &signed_part) : 0;
	fine = len > 0 && key_verify(key, KEY_SM2_SM3, signed_part, (size_t) len,
								 ASN1_STRING_get0_data(signature),
								 (size_t) ASN1_STRING_length(signature), NULL) == KEY_VALID;
	OPENSSL_free(signed_part);
	key_free(key);
	return fine;
}

/* The list that a fault is about.  OpenSSL forgets it once it has complained about its period. */
static X509_CRL *
path_current_crl(const Path *path)
{
	X509_CRL   *crl = X509_STORE_CTX_get0_current_crl(path->context);

	return crl ? crl : path->outdated;
}

/*
 * Did this issuer give us a list at all?  One that OpenSSL had no use for (a delta, an indirect
 * one) counts: it may revoke.
 */
static bool
path_issuer_is_silent(X509 *issuer, const Path *path)
{
	for (int i = 0; i < sk_X509_CRL_num(path->crls); i++)
	{
		X509_CRL   *crl = sk_X509_CRL_value(path->crls, i);

		if (X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_subject_name(issuer)) == 0 &&
			certificate_crl_is_of(crl, issuer))
			return false;
	}
	return true;
}

/* Called for each fault; true: it is none. */
static bool
path_fault_is_none(X509_STORE_CTX *context, Path *path)
{
	int			depth = X509_STORE_CTX_get_error_depth(context);
	bool		anchor = depth == sk_X509_num(X509_STORE_CTX_get0_chain(context)) - 1;

	switch (X509_STORE_CTX_get_error(context))
	{
		case X509_V_ERR_UNABLE_TO_GET_CRL:
			/* X509_V_FLAG_CRL_CHECK_ALL wants a list of every issuer, anchors' issuers too */
			return anchor || path_issuer_is_silent(path_issuer(context, depth), path);
		case X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER:
		case X509_V_ERR_DIFFERENT_CRL_SCOPE:
			return anchor;
		case X509_V_ERR_CRL_HAS_EXPIRED:
		case X509_V_ERR_CRL_NOT_YET_VALID:
			path->outdated = X509_STORE_CTX_get0_current_crl(context);
			return path->policy == CERTIFICATE_CRL_LAST_KNOWN;
		case X509_V_ERR_CRL_SIGNATURE_FAILURE:
			return certificate_crl_is_of(path_current_crl(path), path_issuer(context, depth));
		default:
			return false;
	}
}

static int
path_callback(int fine, X509_STORE_CTX *context)
{
	Path	   *path = X509_STORE_CTX_get_app_data(context);

	/* the list is known here only, and gone when X509_verify_cert() returns */
	if (!fine && X509_STORE_CTX_get_error(context) == X509_V_ERR_CERT_REVOKED)
		certificate_revoked_reason(path_current_crl(path), X509_STORE_CTX_get_current_cert(context),
								   path->revocation, sizeof(path->revocation));
	if (!fine && path_fault_is_none(context, path))
	{
		X509_STORE_CTX_set_error(context, X509_V_OK);
		fine = 1;
	}
	return fine;
}

/* ----- trust anchors that are the same CA's ----- */

static bool
path_valid_at(const X509 *certificate, time_t at)
{
	return X509_cmp_time(X509_get0_notBefore(certificate), &at) < 0 &&
		X509_cmp_time(X509_get0_notAfter(certificate), &at) > 0;
}

/* Is the other the one to take of two with the same name and key? */
static bool
path_anchor_follows(const X509 *anchor, const X509 *other, time_t at)
{
	bool		valid = path_valid_at(anchor, at);
	int			longer = ASN1_TIME_compare(X509_get0_notAfter(other),
										   X509_get0_notAfter(anchor));

	if (valid != path_valid_at(other, at))
		return !valid;
	return longer != 0 ? longer > 0 : X509_cmp(other, anchor) < 0;
}

/*
 * A CA that has renewed its certificate with the same key is there twice, and both are good for
 * what it issued.  OpenSSL takes any that is valid, by the order of the text or of a sort that need
 * not be stable, and with it the time for which the path is made out.  Here it is the one that ends
 * last, whatever the order.
 */
static bool
path_anchor_counts(const Path *path, X509 *anchor, time_t at)
{
	for (int i = 0; i < sk_X509_num(path->anchors); i++)
	{
		X509	   *other = sk_X509_value(path->anchors, i);

		if (X509_NAME_cmp(X509_get_subject_name(anchor), X509_get_subject_name(other)) == 0 &&
			X509_PUBKEY_eq(X509_get_X509_PUBKEY(anchor), X509_get_X509_PUBKEY(other)) == 1 &&
			path_certificate_known(other) && path_anchor_follows(anchor, other, at))
			return false;
	}
	return true;
}

static bool
path_prepare(Path *path, int64_t at, bool with_crls, CoreError *error)
{
	X509_VERIFY_PARAM *param = X509_STORE_get0_param(path->store);
	unsigned long flags = X509_V_FLAG_X509_STRICT | X509_V_FLAG_PARTIAL_CHAIN |
	X509_V_FLAG_CHECK_SS_SIGNATURE;

	for (int i = 0; i < sk_X509_num(path->anchors); i++)
	{
		X509	   *anchor = sk_X509_value(path->anchors, i);

		/* otherwise PARTIAL_CHAIN would let a member's own certificate vouch for itself */
		if (X509_check_ca(anchor) == 0)
			return error_set(error, CORE_MALFORMED, "trust anchor %d is not a CA certificate",
							 i + 1);
		if (path_certificate_known(anchor) && path_anchor_counts(path, anchor, (time_t) at) &&
			X509_STORE_add_cert(path->store, anchor) != 1)
			return error_set_openssl(error, CORE_INTERNAL, "could not use trust anchor %d", i + 1);
	}
	for (int i = sk_X509_num(path->certificates) - 1; i > 0; i--)
		if (!path_certificate_known(sk_X509_value(path->certificates, i)))
			X509_free(sk_X509_delete(path->certificates, i));
	for (int i = 0; i < sk_X509_CRL_num(path->crls); i++)
		if (X509_STORE_add_crl(path->store, sk_X509_CRL_value(path->crls, i)) != 1)
			return error_set_openssl(error, CORE_INTERNAL, "could not use revocation list %d",
									 i + 1);

	if (with_crls)
		flags |= X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL;
	X509_VERIFY_PARAM_set_flags(param, flags);
	X509_VERIFY_PARAM_set_time(param, (time_t) at);
	X509_VERIFY_PARAM_set_auth_level(param, PATH_AUTH_LEVEL);
	(void) X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_ANY);
	X509_VERIFY_PARAM_set_depth(param, CERTIFICATE_PATH_MAX - 2);	/* intermediates */
	if (X509_STORE_CTX_init(path->context, path->store, sk_X509_value(path->certificates, 0),
							path->certificates) != 1)
		return error_set_openssl(error, CORE_INTERNAL, "could not start certificate verification");
	(void) X509_STORE_CTX_set_app_data(path->context, path);
	X509_STORE_CTX_set_verify_cb(path->context, path_callback);
	return true;
}

/*
 * Who signs on the ledger needs a certificate that says so, if it says anything about usage (RFC
 * 5280, 4.2.1.3).
 */
static bool
path_may_sign(const Path *path)
{
	X509	   *leaf = sk_X509_value(path->certificates, 0);

	return (X509_get_extension_flags(leaf) & EXFLAG_KUSAGE) == 0 ||
		(X509_get_key_usage(leaf) & KU_DIGITAL_SIGNATURE) != 0;
}

/* X509_verify_cert(), of what every version of OpenSSL knows. */
static bool
path_accepted(const Path *path)
{
	X509	   *leaf = sk_X509_value(path->certificates, 0);

	if (path_certificate_known(leaf))
		return X509_verify_cert(path->context) == 1;
	X509_STORE_CTX_set_error(path->context, X509_V_ERR_UNSUPPORTED_SIGNATURE_ALGORITHM);
	X509_STORE_CTX_set_current_cert(path->context, leaf);
	return false;
}

/* ----- the reason, in words ----- */

static void
path_reason(const Path *path, char reason[CORE_MESSAGE_LEN])
{
	int			code = X509_STORE_CTX_get_error(path->context);
	X509	   *culprit = X509_STORE_CTX_get_current_cert(path->context);
	char		words[PATH_REASON_WORDS];
	CertificateInfo info = {0};

	if (code == X509_V_ERR_CERT_REVOKED && path->revocation[0] != '\0')
		(void) snprintf(words, sizeof(words), "%s", path->revocation);
	else
		certificate_reason(code, words, sizeof(words));
	if (culprit != NULL && certificate_describe(culprit, &info))
		certificate_cut(info.subject, PATH_REASON_SUBJECT);
	(void) snprintf(reason, CORE_MESSAGE_LEN, "%s (depth %d%s%.*s)", words,
					X509_STORE_CTX_get_error_depth(path->context),
					info.subject[0] != '\0' ? ", " : "", PATH_REASON_SUBJECT, info.subject);
}

CertificateVerdict
certificate_verify(const char *certificates, size_t certificates_len, const char *anchors,
				   size_t anchors_len,
				   const char *crls, size_t crls_len, CertificateCrlPolicy policy, int64_t at,
				   char reason[CORE_MESSAGE_LEN],
				   CoreError *error)
{
	Path		path = {.policy = policy};
	CertificateVerdict verdict = CERTIFICATE_ERROR;

	reason[0] = '\0';
	if (path_read(&path, certificates, certificates_len, anchors, anchors_len, crls, crls_len,
				  error) &&
		path_prepare(&path, at, crls != NULL, error))
	{
		verdict = CERTIFICATE_INVALID;
		if (!path_accepted(&path))
			path_reason(&path, reason);
		else if (!path_may_sign(&path))
			(void) snprintf(reason, CORE_MESSAGE_LEN,
							"key usage does not allow digital signatures");
		else
			verdict = CERTIFICATE_VALID;
	}
	path_free(&path);
	return verdict;
}

/* Is the certificate, byte for byte, an anchor? */
static bool
path_is_anchor(const Path *path, X509 *certificate)
{
	for (int i = 0; i < sk_X509_num(path->anchors); i++)
		if (X509_cmp(sk_X509_value(path->anchors, i), certificate) == 0)
			return true;
	return false;
}

int
certificate_path(const char *certificates, size_t certificates_len, const char *anchors,
				 size_t anchors_len, int64_t at,
				 CertificateInfo infos[CERTIFICATE_PATH_MAX], bool *anchored, CoreError *error)
{
	Path		path = {0};
	int			count = 0;

	if (path_read(&path, certificates, certificates_len, anchors, anchors_len, NULL, 0, error) &&
		path_prepare(&path, at, false, error))
	{
		STACK_OF(X509) *chain;

		/*
		 * what is wrong with it is certificate_verify()'s to say; the path is built before
		 * anything is judged
		 */
		(void) X509_verify_cert(path.context);
		chain = X509_STORE_CTX_get0_chain(path.context);
		*anchored = sk_X509_num(chain) > 0 &&
			path_is_anchor(&path, sk_X509_value(chain, sk_X509_num(chain) - 1));
		while (count < sk_X509_num(chain) && count < CERTIFICATE_PATH_MAX)
		{
			if (!certificate_describe(sk_X509_value(chain, count), &infos[count]))
			{
				error_set_openssl(error, CORE_MALFORMED,
								  "could not read certificate %d of the path", count + 1);
				count = 0;
				break;
			}
			count++;
		}
		if (count == 0 && sk_X509_num(chain) <= 0)
			error_set_openssl(error, CORE_INTERNAL, "could not build a certificate path");
	}
	path_free(&path);
	return count;
}

bool
certificate_anchors(const char *anchors, size_t len, int64_t at, CoreError *error)
{
	STACK_OF(X509) *stack = sk_X509_new_null();
	time_t		then = (time_t) at;
	bool		fine = stack != NULL && certificate_read(anchors, len, "trust anchors", stack,
														 error);
	bool		valid = false;

	for (int i = 0; fine && i < sk_X509_num(stack); i++)
	{
		X509	   *anchor = sk_X509_value(stack, i);

		if (X509_check_ca(anchor) == 0)
			fine = error_set(error, CORE_MALFORMED, "trust anchor %d is not a CA certificate",
							 i + 1);
		valid = valid || path_valid_at(anchor, then);
	}
	if (fine && !valid)
		fine = error_set(error, CORE_MALFORMED, "no trust anchor is valid at that time");
	sk_X509_pop_free(stack, X509_free);
	return fine;
}
