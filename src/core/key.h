/*
 * key.h: signature keys: loading, signing, verifying.
 *
 * Ed25519 (RFC 8032), ECDSA P-256 with SHA-256 (DER signatures), RSA with
 * SHA-256 (PKCS#1 v1.5 and PSS, RFC 8017), SM2 with SM3 (GB/T 32918, with the
 * default user id "1234567812345678"), all through OpenSSL's EVP.
 */
#ifndef MEDCHAIN_CORE_KEY_H
#define MEDCHAIN_CORE_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

#define KEY_SIGNATURE_MAX 1024	/* the longest signature of any key taken: RSA-8192 */

typedef enum KeyAlgorithm
{
	KEY_DEFAULT,				/* what the key is for */
	KEY_ED25519,
	KEY_ECDSA_P256_SHA256,
	KEY_SM2_SM3,
	KEY_RSA_PKCS1_SHA256,
	KEY_RSA_PSS_SHA256
} KeyAlgorithm;

typedef enum KeyVerdict
{
	KEY_VALID,
	KEY_INVALID,				/* bad signature, malformed ones included */
	KEY_ERROR					/* algorithm not for this key, or OpenSSL failed: see the error */
} KeyVerdict;

typedef struct Key Key;

/* "ed25519", "ecdsa-p256-sha256", "sm2-sm3", "rsa-pkcs1-sha256", "rsa-pss-sha256" */
extern bool key_algorithm_from_name(const char *name, KeyAlgorithm *algorithm);
extern const char *key_algorithm_name(KeyAlgorithm algorithm);

/*
 * A public key from PEM: a SubjectPublicKeyInfo, or the key of the first X.509 certificate.  Keys
 * under which a signature proves nothing (a point of small order, one not of the curve, RSA
 * exponent 1) are errors.
 */
extern Key *key_from_pem(const char *pem, size_t len, CoreError *error);

/*
 * Called for a passphrase or PIN: at most size bytes into buffer; returns their number, or -1 if
 * there is none.
 */
typedef int (*KeyPassphrase) (char *buffer, int size, void *arg);

/*
 * A private key from an OSSL_STORE URI or a plain file name.  A file must be
 * owned by us or root and not be readable by group or others (root's may be
 * readable by group), by the rules PostgreSQL has for ssl_key_file.  ask: for an
 * encrypted key or a token that wants a PIN; NULL if nobody can be asked.  A URI must not
 * contain a PIN itself, and errors show no more of it than its path.
 */
extern Key *key_load_private(const char *uri, KeyPassphrase ask, void *arg, CoreError *error);

/* Is what that names a file that we may use, by the same rules, or no file at all? */
extern bool key_private_is_readable(const char *uri, CoreError *error);

/*
 * Before a process loads a private key: from then on nothing of its memory goes into a core dump,
 * and on Linux no other process of the same user can attach to it or read its memory (prctl(2),
 * PR_SET_DUMPABLE).
 */
extern bool key_protect_process(CoreError *error);
extern void key_free(Key *key);

extern KeyAlgorithm key_algorithm(const Key *key);
extern bool key_same(const Key *a, const Key *b);	/* the same public key */

/* SubjectPublicKeyInfo in PEM; to be released with key_free_text(). */
extern char *key_to_pem(const Key *key, CoreError *error);
extern void key_free_text(char *text);

/* Lower-case hex SHA-256 of the DER SubjectPublicKeyInfo, terminated: 65 bytes.  DSSE keyid. */
extern bool key_fingerprint(const Key *key, char out[65]);

/* The C2SP signed-note key id of this key under that key name: signed-note.md, "Signatures". */
extern bool key_note_id(const Key *key, const char *name, uint8_t out[4]);

/* The same for another use of an Ed25519 key, by its type; false if it is no such key. */
extern bool key_note_id_of(const Key *key, const char *name, uint8_t type, uint8_t out[4]);

/* What keys are in the standards' own forms: the 32 bytes of Ed25519's, DER of others'. */
#define KEY_ED25519_BYTES 32
extern Key *key_from_ed25519(const uint8_t bytes[KEY_ED25519_BYTES], CoreError *error);
extern bool key_ed25519(const Key *key, uint8_t bytes[KEY_ED25519_BYTES]);

/* SubjectPublicKeyInfo; its length, 0 if it cannot be had, or is longer than size. */
extern size_t key_to_der(const Key *key, uint8_t *out, size_t size);

/*
 * sig: KEY_SIGNATURE_MAX bytes.  One signature has one encoding: ECDSA and SM2 are strict DER
 * (X.690), Ed25519 is 64 bytes with S < L, RSA as long as the modulus and less than it.  (For
 * ECDSA, r and n - s is another signature of the same message, as the standards have it.)  PKCS #1
 * v1.5 takes the DigestInfo with its NULL only; PSS a salt of 32 bytes.
 */
extern bool key_sign(const Key *key, const void *message, size_t len, uint8_t *sig, size_t *siglen,
					 CoreError *error);
extern KeyVerdict key_verify(const Key *key, KeyAlgorithm algorithm, const void *message,
							 size_t len,
							 const uint8_t *sig, size_t siglen, CoreError *error);

#endif
