/* Certificate paths: what is accepted, and the reasons for what is not. */
#include <string.h>
#include <time.h>

#include <openssl/objects.h>
#include <openssl/x509.h>

#include "core/certificate.h"
#include "fixture.h"
#include "tap.h"

static char reason[CORE_MESSAGE_LEN];
static char *anchors;
static size_t anchors_len;

static CertificateVerdict
verify(const char *file, int64_t at)
{
	CoreError	error = {0};
	size_t		len;
	char	   *pem = fixture_read(file, &len);
	CertificateVerdict verdict = certificate_verify(pem, len, anchors, anchors_len, NULL, 0,
													CERTIFICATE_CRL_STRICT, at, reason, &error);

	if (verdict == CERTIFICATE_ERROR)
		printf("# %s\n", error.message);
	return verdict;
}

static void
refused(const char *file, int64_t at, const char *words, const char *name)
{
	CertificateVerdict verdict = verify(file, at);

	if (!ok(verdict == CERTIFICATE_INVALID && strstr(reason, words) != NULL, name))
		printf("# verdict %d, reason: %s\n", verdict, reason);
}

static char malformed_message[CORE_MESSAGE_LEN];
static char malformed_library[CORE_LIBRARY_LEN];

static void
malformed(const char *text, size_t len, const char *words, const char *name)
{
	CoreError	error = {0};
	CertificateVerdict verdict = certificate_verify(text, len, anchors, anchors_len, NULL, 0,
													CERTIFICATE_CRL_STRICT, 0, reason, &error);

	if (!ok(verdict == CERTIFICATE_ERROR && strstr(error.message, words) != NULL, name))
		printf("# verdict %d, error: %s\n", verdict, error.message);
	strcpy(malformed_message, error.message);
	strcpy(malformed_library, error.library);
}

/*
 * A name with an attribute that this OpenSSL knows and 3.0 does not (openssl.cnf can add such ones,
 * too): it must read the same with either.
 */
static void
name_of_new_attribute(void)
{
	EVP_PKEY   *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	X509	   *certificate = X509_new();
	X509_NAME  *name = X509_NAME_new();
	ASN1_OBJECT *attribute;
	CertificateInfo info;
	CoreError	error = {0};
	unsigned char *der = NULL;
	int			len;

	(void) OBJ_create("1.3.6.1.4.1.55555.7", "newName", "new name");
	attribute = OBJ_txt2obj("1.3.6.1.4.1.55555.7", 1);
	X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC, (const unsigned char *) "x", 1, -1, 0);
	X509_NAME_add_entry_by_OBJ(name, attribute, MBSTRING_ASC, (const unsigned char *) "y", 1, -1,
							   0);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *) "a,b", 3, -1, 0);
	X509_NAME_add_entry_by_txt(name, "OU", MBSTRING_ASC, (const unsigned char *) "z", 1, -1, -1);
	X509_set_subject_name(certificate, name);
	X509_set_pubkey(certificate, key);
	X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
	X509_gmtime_adj(X509_getm_notAfter(certificate), 60);
	X509_sign(certificate, key, NULL);
	len = i2d_X509(certificate, &der);
	ok(len > 0 && certificate_info((const char *) der, (size_t) len, &info, &error),
	   "a name with an attribute of its own is read");
	is_string(info.subject, "CN=a\\,b+OU=z,1.3.6.1.4.1.55555.7=#0C0179,O=x",
			  "which is written as an OID and in DER");
	OPENSSL_free(der);
	ASN1_OBJECT_free(attribute);
	X509_NAME_free(name);
	X509_free(certificate);
	EVP_PKEY_free(key);
}

/*
 * A CA, and what it issued with a signature (ecdsa-with-SHA3-256) that OpenSSL 3.0 does not know
 * and newer versions do; both until 2040.
 */
static const char newer_ca[] =
"-----BEGIN CERTIFICATE-----\n"
"MIIBrTCCATOgAwIBAgIUALPC86SEaQY7QbZfDLPw+WtpBVcwCgYIKoZIzj0EAwIw\n"
"FjEUMBIGA1UEAwwLY2EtZWMtUC0zODQwHhcNMjAwMTAxMDAwMDAwWhcNNDAwMTAx\n"
"MDAwMDAwWjAWMRQwEgYDVQQDDAtjYS1lYy1QLTM4NDB2MBAGByqGSM49AgEGBSuB\n"
"BAAiA2IABHDsW8nqsTbyl6pHItsyA27vNcu282ubEq6+bL4uz3jR4pvVrvbgxzq7\n"
"m8xAKgbVobMRpXG+dkTyrPo26msuWZwT6nz7gwf4PRVG7V/h/JiNsjW6TTbcJlA7\n"
"tBrpgKa8vaNCMEAwDwYDVR0TAQH/BAUwAwEB/zAOBgNVHQ8BAf8EBAMCAQYwHQYD\n"
"VR0OBBYEFCp1AVmjsLWH6M7aoNC+GDQHPB++MAoGCCqGSM49BAMCA2gAMGUCMQCU\n"
"mEGPm3N6DsGiFIQtBnfGUWZHLkLiHnI1+FtqszxzDoC52SPK64LQHmgciZrkpcsC\n"
"MDWBel5qLxnmHYOCHXHIETPase0aYayrwBR4/70+mnbkGevTdGvHbPHYtvDhqNQW\n"
"AA==\n"
"-----END CERTIFICATE-----\n";
static const char newer_leaf[] =
"-----BEGIN CERTIFICATE-----\n"
"MIIBejCB/6ADAgECAhRNYeWbI7cod2RDpHd1MD8g5DTU9TALBglghkgBZQMEAwow\n"
"FjEUMBIGA1UEAwwLY2EtZWMtUC0zODQwHhcNMjAwMTAxMDAwMDAwWhcNNDAwMTAx\n"
"MDAwMDAwWjAPMQ0wCwYDVQQDDARsZWFmMCowBQYDK2VwAyEAkDseq8kBfbYdcWh3\n"
"s6j39/6neK6WqpibwdLWzVlRlnKjYDBeMAwGA1UdEwEB/wQCMAAwDgYDVR0PAQH/\n"
"BAQDAgeAMB0GA1UdDgQWBBQXIvn2EG5TR2SeTIIoy96UrtNjzjAfBgNVHSMEGDAW\n"
"gBQqdQFZo7C1h+jO2qDQvhg0BzwfvjALBglghkgBZQMEAwoDaQAwZgIxAIxxjEJa\n"
"oQgggGV+nv4vDv0plGBWwdFRjPPzw/sQSvC4q6CV3cYKkDC2z0v6WrlGHwIxAIjZ\n"
"LKGg44j2C+Y1ohTn6mg2ULwsoyF1Vv+23y7R9vZ1xTzP038lHmdJnoonroXU8Q==\n"
"-----END CERTIFICATE-----\n";

/* What newer versions of OpenSSL can verify is refused by all alike. */
static void
newer_signature(void)
{
	CoreError	error = {0};

	is_number(certificate_verify(newer_leaf, strlen(newer_leaf), newer_ca, strlen(newer_ca), NULL,
								 0, CERTIFICATE_CRL_STRICT, 1800000000, reason, &error),
			  CERTIFICATE_INVALID, "a signature that not every OpenSSL knows is refused");
	is_string(reason, "signature algorithm is not supported, or not the one of its issuer's key "
			  "(depth 0, CN=leaf)", "in words that are the same everywhere");
}

/* When the path of a member's certificate ends, by these trust anchors. */
static int64_t
anchor_ends(const char *first, const char *second, int64_t at)
{
	CoreError	error = {0};
	CertificateInfo path[CERTIFICATE_PATH_MAX];
	size_t		len;
	size_t		ignored;
	char	   *pem = fixture_read("pki/member.crt", &len);
	char		both[8192];
	bool		anchored;
	int			count;

	snprintf(both, sizeof(both), "%s\n%s", fixture_read(first, &ignored),
			 fixture_read(second, &ignored));
	count = certificate_path(pem, len, both, strlen(both), at, path, &anchored, &error);
	return count == 2 && anchored ? path[1].not_after : 0;
}

/* A CA that has renewed its certificate with the same key. */
static void
same_key(int64_t now)
{
	CertificateInfo info;
	CoreError	error = {0};
	int64_t		then = now + 40 * 86400;

	fixture_run("openssl x509 -in pki/ca.crt -signkey pki/ca.key -days 30 -out soon.crt");
	ok(certificate_info(anchors, anchors_len, &info, &error), "the one that ends last is read");
	is_number(anchor_ends("pki/ca.crt", "soon.crt", now), info.not_after, "and counts");
	is_number(anchor_ends("soon.crt", "pki/ca.crt", now), info.not_after, "in whatever order");
	is_number(anchor_ends("soon.crt", "pki/ca.crt", then), info.not_after, "and later");
	fixture_run("openssl x509 -in pki/ca.crt -signkey pki/ca.key -days 20 -out sooner.crt");
	ok(anchor_ends("soon.crt", "sooner.crt", now) == anchor_ends("sooner.crt", "soon.crt", now) &&
	   anchor_ends("soon.crt", "sooner.crt", now) > now + 25 * 86400, "of two that end soon, too");
}

int
main(void)
{
	char		root[512];
	char		command[1024];
	int64_t		now = time(NULL) + 60;	/* what is made below is valid from then on at the latest */
	CertificateInfo info;
	CoreError	error = {0};
	char	   *pem;
	size_t		len;
	char	   *big = calloc(1, CERTIFICATE_MAX + 2);

	/* the PKI of the other test suites */
	if (getcwd(root, sizeof(root)) == NULL)
		abort();
	snprintf(command, sizeof(command), "sh '%s/%s' pki member", root,
			 access("../pki/make-pki", R_OK) == 0 ? "../pki/make-pki" : "test/pki/make-pki");
	fixture_run(command);
	anchors = fixture_read("pki/ca.crt", &anchors_len);

	is_number(verify("pki/member.crt", now), CERTIFICATE_VALID, "a member's certificate is valid");
	is_string(reason, "", "and there is no reason");
	is_number(verify("pki/chained.crt", now), CERTIFICATE_VALID, "one with an intermediate is");
	is_number(verify("pki/ec.crt", now), CERTIFICATE_VALID, "one with a P-256 key is");
	if (!is_number(verify("pki/sm2.crt", now), CERTIFICATE_VALID, "one with an SM2 key is"))
		printf("# %s\n", reason);
	refused("pki/expired.crt", now, "expired", "an expired one is refused");
	refused("pki/future.crt", now, "not yet valid", "one that is not valid yet is refused");
	is_string(reason, "certificate is not yet valid (depth 0, CN=future,O=Medchain test)",
			  "in our words, not in those of one version of OpenSSL");
	refused("pki/member.crt", now + (int64_t) 60 * 365 * 86400, "expired",
			"validity is judged at the time given");
	refused("pki/nosign.crt", now, "key usage does not allow digital signatures",
			"one that is not for signatures is refused");
	ok(verify("pki/rogue.crt", now) == CERTIFICATE_INVALID &&
	   reason[0] != '\0', "one of another CA of the same name is refused");

	refused("pki/below.crt", now, "path is longer than a CA's certificate allows (depth 2",
			"one below an authority that must have none below it is refused");
	refused("pki/issued.crt", now, "(depth 1, CN=ec", "one that a member issued is refused");
	is_number(verify("pki/within.crt", now), CERTIFICATE_VALID,
			  "one with the name that its authority is for is");
	refused("pki/outside.crt", now, "name constraint is violated (depth 0",
			"one with another name is refused");

	/* a member's certificate is no trust anchor, not even for itself */
	pem = fixture_read("pki/member.crt", &len);
	is_number(certificate_verify(pem, len, pem, len, NULL, 0, CERTIFICATE_CRL_STRICT, now, reason,
					 &error), CERTIFICATE_ERROR, "an end-entity certificate cannot be an anchor");
	ok(strstr(error.message, "not a CA certificate") != NULL, "and that is what the error says");

	fixture_run("openssl x509 -in pki/member.crt -outform DER -out member.der");
	is_number(verify("member.der", now), CERTIFICATE_VALID, "DER is read too");

	malformed("", 0, "no PEM block", "nothing is an error");
	malformed("0garbage", 8, "", "what OpenSSL says about garbage");
	is_string(malformed_message, "invalid DER in certificate", "is not in the message");
	ok(malformed_library[0] != '\0', "but beside it");
	malformed("garbage", 7, "no PEM block", "garbage is an error");
	malformed("0garbage", 8, "invalid DER", "garbage that starts like DER is an error");
	malformed("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", 59,
			  "invalid PEM block 1", "a block of garbage is an error");
	malformed("-----BEGIN CERTIFICATE-----\nA", 29, "damaged PEM block", "a cut block is an error");
	malformed(big, CERTIFICATE_MAX + 1, "longer than", "more than a megabyte is an error");
	pem = fixture_read("pki/member.key", &len);
	malformed(pem, len, "and not \"CERTIFICATE\"", "a key is no certificate");

	/* deep nesting, in DER as long as allowed: an error, and soon */
	memset(big, 0x30, CERTIFICATE_MAX);
	for (int i = 1; i < CERTIFICATE_MAX; i += 2)
		big[i] = (char) 0x80;
	malformed(big, CERTIFICATE_MAX, "invalid DER", "deeply nested DER is an error");
	free(big);

	pem = fixture_read("pki/member.crt", &len);
	ok(certificate_info(pem, len, &info, &error), "facts are read");
	ok(strstr(info.subject, "CN=member") != NULL, "the subject");
	ok(info.not_before <= now && info.not_after > now + 365 * 86400, "the period");
	name_of_new_attribute();
	newer_signature();
	same_key(now);
	return done_testing();
}
