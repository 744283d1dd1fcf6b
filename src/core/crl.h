/*
 * crl.h: certificate revocation lists (RFC 5280, section 5): what they say,
 * whatever the time is now.
 */
#ifndef MEDCHAIN_CORE_CRL_H
#define MEDCHAIN_CORE_CRL_H

#include "core/certificate.h"

typedef struct CrlInfo
{
	char		issuer[CERTIFICATE_SUBJECT_MAX];	/* RFC 2253, cut to fit */
	int64_t		this_update;	/* seconds since 1970 */
	bool		has_next_update;
	int64_t		next_update;
	int			certificates;	/* how many it revokes */
} CrlInfo;

/*
 * Facts of one list in PEM.  issuers: certificates in PEM, one of which must be a CA, allowed to
 * sign lists, whose key has signed this one; NULL: the signature is not looked at.  False, with an
 * error, otherwise.
 */
extern bool crl_info(const char *crl, size_t crl_len, const char *issuers, size_t issuers_len,
					 CrlInfo *info,
					 CoreError *error);

typedef struct CrlRevocation
{
	bool		revoked;
	int64_t		since;			/* seconds since 1970 */
	const char *reason;			/* "keyCompromise" and so on; "unspecified" if the list says
								 * nothing */
} CrlRevocation;

/*
 * Does the list revoke the first of these certificates, or an intermediate on its path to the
 * anchors?  It counts for a certificate only if signed with the key that signed the certificate.
 * Of several, the earliest.
 */
extern bool crl_find(const char *crl, size_t crl_len, const char *certificates,
					 size_t certificates_len,
					 const char *anchors, size_t anchors_len, CrlRevocation *revocation,
					 CoreError *error);

#endif
