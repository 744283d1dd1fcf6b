/* Any bytes as a certificate, as trust anchors and as revocation lists. */
#include "core/certificate.h"
#include "core/crl.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *) data;
	char		reason[CORE_MESSAGE_LEN];
	CoreError	error = {0};
	CertificateInfo info;
	CrlInfo		list;
	CrlRevocation revocation;

	if (certificate_verify(text, size, text, size, text, size, CERTIFICATE_CRL_STRICT, 1800000000,
						   reason, &error) == CERTIFICATE_ERROR)
		MUST(error.message[0] != '\0');
	if (certificate_verify(text, size, text, size, NULL, 0, CERTIFICATE_CRL_STRICT, 1800000000,
						   reason, &error) == CERTIFICATE_INVALID)
		MUST(reason[0] != '\0');
	(void) certificate_info(text, size, &info, &error);
	(void) crl_info(text, size, text, size, &list, &error);
	(void) crl_find(text, size, text, size, text, size, &revocation, &error);
	free(certificate_to_pem(text, size, &error));
	free(certificate_crls_to_pem(text, size, &error));
	return 0;
}
