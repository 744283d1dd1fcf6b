/*
 * crl.c: reading revocation lists.
 *
 * A list is taken at its word for the certificates of the CA that signed it, from
 * the date of revocation on and for ever: nextUpdate tells when a newer list should
 * be there, and whether it is depends on who asks when, which must not decide
 * about anything on the ledger.
 */
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "core/certificate_internal.h"
#include "core/crl.h"
#include "core/key_internal.h"

static X509_CRL *
crl_read(const char *text, size_t len, CoreError *error)
{
	BIO		   *bio = len <= CERTIFICATE_MAX ? BIO_new_mem_buf(text, (int) len) : NULL;
	X509_CRL   *crl = bio ? PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL) : NULL;
	X509_CRL   *second = crl ? PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL) : NULL;

	BIO_free(bio);
	ERR_clear_error();
	if (len > CERTIFICATE_MAX)
		error_set(error, CORE_UNSUPPORTED, "revocation list longer than %d bytes", CERTIFICATE_MAX);
	else if (crl == NULL)
		error_set(error, CORE_MALFORMED, "no valid PEM block \"X509 CRL\"");
	else if (second != NULL)
	{
		error_set(error, CORE_MALFORMED, "more than one revocation list");
		X509_CRL_free(crl);
		crl = NULL;
	}
	else if (X509_CRL_get_ext_by_NID(crl, NID_delta_crl, -1) >= 0)
	{
		error_set(error, CORE_UNSUPPORTED, "delta revocation lists are not supported");
		X509_CRL_free(crl);
		crl = NULL;
	}
	X509_CRL_free(second);
	return crl;
}

/* Is that certificate's key the one that signed the list, as a CA that may? */
static bool
crl_signed_by(X509_CRL *crl, X509 *issuer)
{
	bool		may = (X509_check_ca(issuer) != 0 &&
					   ((X509_get_extension_flags(issuer) & EXFLAG_KUSAGE) == 0 ||
						(X509_get_key_usage(issuer) & KU_CRL_SIGN) != 0));
	bool		fine = may && X509_NAME_cmp(X509_CRL_get_issuer(crl),
											X509_get_subject_name(issuer)) == 0 &&
	certificate_crl_is_of(crl, issuer);

	ERR_clear_error();
	return fine;
}

static X509 *
crl_issuer_of(X509 *certificate, STACK_OF(X509) *candidates)
{
	for (int i = 0; i < sk_X509_num(candidates); i++)
	{
		X509	   *candidate = sk_X509_value(candidates, i);

		if (X509_NAME_cmp(X509_get_issuer_name(certificate), X509_get_subject_name(candidate)) ==
			0 &&
			X509_verify(certificate, X509_get0_pubkey(candidate)) == 1)
			return candidate;
	}
	ERR_clear_error();
	return NULL;
}

static bool
crl_time(const ASN1_TIME *time, int64_t *seconds)
{
	ASN1_TIME  *epoch = ASN1_TIME_set(NULL, 0);
	int			days;
	int			rest;
	bool		fine = (epoch != NULL && time != NULL &&
						ASN1_TIME_diff(&days, &rest, epoch, time) == 1);

	if (fine)
		*seconds = (int64_t) days * 86400 + rest;
	ASN1_TIME_free(epoch);
	return fine;
}

bool
crl_info(const char *crl_text, size_t crl_len, const char *issuers, size_t issuers_len,
		 CrlInfo *info, CoreError *error)
{
	X509_CRL   *crl = crl_read(crl_text, crl_len, error);
	STACK_OF(X509) *candidates = sk_X509_new_null();
	BIO		   *bio = BIO_new(BIO_s_mem());
	bool		fine = crl != NULL && candidates != NULL;

	memset(info, 0, sizeof(*info));
	if (fine && issuers != NULL)
	{
		bool		found = false;

		fine = certificate_read_many(issuers, issuers_len, "certificates", candidates, error);
		for (int i = 0; fine && i < sk_X509_num(candidates) && !found; i++)
			found = crl_signed_by(crl, sk_X509_value(candidates, i));
		fine = fine &&
			(found || error_set(error, CORE_MALFORMED,
		   "the revocation list is not signed by a CA of the alliance that may sign such lists"));
	}
	if (fine)
	{
		STACK_OF(X509_REVOKED) *revoked = X509_CRL_get_REVOKED(crl);
		int			len = -1;

		if (bio != NULL && X509_NAME_print_ex(bio, X509_CRL_get_issuer(crl), 0,
											  XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0)
			len = BIO_read(bio, info->issuer, CERTIFICATE_SUBJECT_MAX - 1);
		info->issuer[len > 0 ? len : 0] = '\0';
		info->certificates = revoked ? sk_X509_REVOKED_num(revoked) : 0;
		info->has_next_update = X509_CRL_get0_nextUpdate(crl) != NULL;
		if (!crl_time(X509_CRL_get0_lastUpdate(crl), &info->this_update) ||
		  (info->has_next_update && !crl_time(X509_CRL_get0_nextUpdate(crl), &info->next_update)))
			fine = error_set(error, CORE_MALFORMED, "the revocation list has no valid time");
		for (int i = 0; fine && i < info->certificates; i++)
		{
			int64_t		since;

			fine = crl_time(X509_REVOKED_get0_revocationDate(sk_X509_REVOKED_value(revoked, i)),
							&since) ||
				error_set(error, CORE_MALFORMED, "revocation %d of the list has no valid time",
						  i + 1);
		}
	}
	BIO_free(bio);
	sk_X509_pop_free(candidates, X509_free);
	X509_CRL_free(crl);
	ERR_clear_error();
	return fine;
}

/* What the list, known to be its issuer's, says about one certificate; keeps the earliest. */
static bool
crl_look_up(X509_CRL *crl, X509 *certificate, CrlRevocation *revocation, CoreError *error)
{
	X509_REVOKED *entry = NULL;
	int64_t		since;

	/* 2: removeFromCRL, which is only for delta lists */
	if (X509_CRL_get0_by_cert(crl, &entry, certificate) != 1)
		return true;
	if (!crl_time(X509_REVOKED_get0_revocationDate(entry), &since))
		return error_set(error, CORE_MALFORMED, "the revocation list has no valid time");
	if (!revocation->revoked || since < revocation->since)
	{
		revocation->revoked = true;
		revocation->since = since;
		revocation->reason = certificate_revocation_reason(entry);
	}
	return true;
}

bool
crl_find(const char *crl_text, size_t crl_len, const char *certificates, size_t certificates_len,
		 const char *anchors, size_t anchors_len, CrlRevocation *revocation, CoreError *error)
{
	X509_CRL   *crl = crl_read(crl_text, crl_len, error);
	STACK_OF(X509) *path = sk_X509_new_null();
	STACK_OF(X509) *roots = sk_X509_new_null();
	X509	   *certificate;
	bool		fine;

	/* as for their verification: what passed there must not fail here */
	fine = crl != NULL && path != NULL && roots != NULL &&
		certificate_read(certificates, certificates_len, "certificate", path, error) &&
		certificate_read_many(anchors, anchors_len, "trust anchors", roots, error);
	certificate = fine ? sk_X509_value(path, 0) : NULL;
	memset(revocation, 0, sizeof(*revocation));
	/* up the path; the number of steps is bounded, as an intermediate may have signed itself */
	for (int step = 0; fine && certificate != NULL && step <= sk_X509_num(path); step++)
	{
		X509	   *root = crl_issuer_of(certificate, roots);
		X509	   *issuer = root ? root : crl_issuer_of(certificate, path);

		if (issuer != NULL && crl_signed_by(crl, issuer))
			fine = crl_look_up(crl, certificate, revocation, error);
		certificate = root ? NULL : issuer;
	}
	sk_X509_pop_free(roots, X509_free);
	sk_X509_pop_free(path, X509_free);
	X509_CRL_free(crl);
	ERR_clear_error();
	return fine;
}
