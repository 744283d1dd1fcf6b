/* Any bytes as a certificate, as trust anchors and as revocation lists. */
#include "core/certificate.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *) data;
	char		reason[CORE_MESSAGE_LEN];
	CoreError	error = {0};
	CertificateInfo info;

	if (certificate_verify(text, size, text, size, text, size, 1800000000, reason, &error) == CERTIFICATE_ERROR)
		MUST(error.message[0] != '\0');
	if (certificate_verify(text, size, text, size, NULL, 0, 1800000000, reason, &error) == CERTIFICATE_INVALID)
		MUST(reason[0] != '\0');
	(void) certificate_info(text, size, &info, &error);
	return 0;
}
