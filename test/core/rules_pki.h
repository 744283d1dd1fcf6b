/*
 * rules_pki.h: keys, certificates, revocation lists and signatures for the test of the rules, made
 * in memory, always the same ones.
 */
#ifndef MEDCHAIN_TEST_RULES_PKI_H
#define MEDCHAIN_TEST_RULES_PKI_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "core/encode.h"
#include "core/envelope.h"
#include "core/note.h"

static inline void
pki_must(bool fine, const char *what)
{
	if (fine)
		return;
	printf("Bail out! %s\n", what);
	fflush(stdout);
	exit(1);
}

/* The Ed25519 key with that number. */
static inline EVP_PKEY *
pki_key(int number)
{
	uint8_t		secret[32];
	EVP_PKEY   *key;

	memset(secret, number, sizeof(secret));
	secret[0] = (uint8_t) (number >> 8);
	key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, secret, sizeof(secret));
	pki_must(key != NULL, "no key");
	return key;
}

static inline char *
pki_text(BIO *bio)
{
	char	   *data;
	long		len = BIO_get_mem_data(bio, &data);
	char	   *text = strndup(data, (size_t) len);

	BIO_free(bio);
	pki_must(text != NULL, "no memory");
	return text;
}

static inline char *
pki_public(EVP_PKEY *key)
{
	BIO		   *bio = BIO_new(BIO_s_mem());

	pki_must(PEM_write_bio_PUBKEY(bio, key) == 1, "no public key");
	return pki_text(bio);
}

static inline void
pki_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX	context;
	X509_EXTENSION *extension;

	X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
	pki_must(extension != NULL && X509_add_ext(certificate, extension, -1) == 1, "no extension");
	X509_EXTENSION_free(extension);
}

/* issuer NULL: a CA of its own. */
static inline X509 *
pki_certificate(const char *name, long serial, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key,
				bool ca, const char *from, const char *to)
{
	X509	   *certificate = X509_new();
	X509_NAME  *subject = X509_NAME_new();

	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *) name, -1, -1,
							   0);
	X509_set_version(certificate, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial);
	X509_set_subject_name(certificate, subject);
	X509_set_issuer_name(certificate, issuer ? X509_get_subject_name(issuer) : subject);
	ASN1_TIME_set_string_X509(X509_getm_notBefore(certificate), from);
	ASN1_TIME_set_string_X509(X509_getm_notAfter(certificate), to);
	X509_set_pubkey(certificate, key);
	pki_extension(certificate, certificate, NID_subject_key_identifier, "hash");
	pki_extension(certificate, issuer ? issuer : certificate, NID_authority_key_identifier,
				  "keyid:always");
	if (ca)
		pki_extension(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE");
	pki_extension(certificate, certificate, NID_key_usage, ca ? "critical,keyCertSign,cRLSign" :
				  "critical,digitalSignature");
	pki_must(X509_sign(certificate, issuer_key, NULL) > 0, "certificate is not signed");
	X509_NAME_free(subject);
	return certificate;
}

static inline char *
pki_pem(X509 *certificate)
{
	BIO		   *bio = BIO_new(BIO_s_mem());

	pki_must(PEM_write_bio_X509(bio, certificate) == 1, "no PEM");
	return pki_text(bio);
}

/* A list that revokes those serial numbers from a time on. */
static inline char *
pki_crl(X509 *issuer, EVP_PKEY *key, const long *serials, int count, const char *since)
{
	X509_CRL   *crl = X509_CRL_new();
	ASN1_TIME  *time = ASN1_TIME_new();
	BIO		   *bio = BIO_new(BIO_s_mem());

	X509_CRL_set_version(crl, 1);
	X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer));
	ASN1_TIME_set_string_X509(time, "20260101000000Z");
	X509_CRL_set1_lastUpdate(crl, time);
	ASN1_TIME_set_string_X509(time, "20490101000000Z");
	X509_CRL_set1_nextUpdate(crl, time);
	ASN1_TIME_set_string_X509(time, since);
	for (int i = 0; i < count; i++)
	{
		X509_REVOKED *entry = X509_REVOKED_new();
		ASN1_INTEGER *serial = ASN1_INTEGER_new();

		ASN1_INTEGER_set(serial, serials[i]);
		X509_REVOKED_set_serialNumber(entry, serial);
		X509_REVOKED_set_revocationDate(entry, time);
		X509_CRL_add0_revoked(crl, entry);
		ASN1_INTEGER_free(serial);
	}
	X509_CRL_sort(crl);
	pki_must(X509_CRL_sign(crl, key, NULL) > 0 && PEM_write_bio_X509_CRL(bio, crl) == 1,
			 "no revocation list");
	X509_CRL_free(crl);
	ASN1_TIME_free(time);
	return pki_text(bio);
}

/* base64 of a DSSE signature */
static inline void
pki_sign(EVP_PKEY *key, const char *type, const char *payload, char out[ENCODE_BASE64_SIZE(64)])
{
	size_t		size = envelope_pae_size(type, strlen(payload));
	uint8_t    *pae = malloc(size);
	uint8_t		signature[64];
	size_t		len = sizeof(signature);
	EVP_MD_CTX *context = EVP_MD_CTX_new();

	envelope_pae(type, payload, strlen(payload), pae);
	pki_must(EVP_DigestSignInit(context, NULL, NULL, NULL, key) == 1 &&
			 EVP_DigestSign(context, signature, &len, pae, size) == 1, "no signature");
	encode_base64(signature, len, out);
	EVP_MD_CTX_free(context);
	free(pae);
}

/* A block header, signed: out has NOTE_SIGNED_MAX bytes. */
static inline void
pki_note(EVP_PKEY *key, const char *public_key, const NoteBlock *block, char *out)
{
	char		text[NOTE_TEXT_MAX];
	size_t		len = note_format_block(block, text);
	uint8_t		bytes[NOTE_KEY_ID_LEN + 64];
	size_t		signature = 64;
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	Key		   *named = key_from_pem(public_key, strlen(public_key), NULL);

	pki_must(len > 0 && named != NULL && key_note_id(named, block->name, bytes) &&
			 EVP_DigestSignInit(context, NULL, NULL, NULL, key) == 1 &&
			 EVP_DigestSign(context, bytes + NOTE_KEY_ID_LEN, &signature, (uint8_t *) text,
							len) == 1, "no signature");
	memcpy(out, text, len);
	out[len++] = '\n';
	len += note_signature_write(block->name, bytes, sizeof(bytes), out + len,
								NOTE_SIGNED_MAX - len - 1);
	out[len] = '\0';
	key_free(named);
	EVP_MD_CTX_free(context);
}

#endif
