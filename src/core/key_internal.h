/*
 * key_internal.h: the inside of a Key, for the files of src/core/ that make and use one.
 */
#ifndef MEDCHAIN_CORE_KEY_INTERNAL_H
#define MEDCHAIN_CORE_KEY_INTERNAL_H

#include <openssl/evp.h>
#include <openssl/objects.h>

#include "core/key.h"

#define KEY_SM2_ID "1234567812345678"	/* GB/T 32918.2, the user id when none was agreed on */

struct Key
{
	EVP_PKEY   *pkey;
	KeyAlgorithm algorithm;		/* the default one */
	EVP_MD_CTX *started;		/* a verification by it, empty before the first one */
};

/*
 * What an object identifier means to OpenSSL 3.0, the oldest that we work with: NID_undef for what
 * only newer ones know, or openssl.cnf.  What is accepted on the ledger, and the words for it, must
 * not depend on that.
 */
extern int	key_nid(const ASN1_OBJECT * object);

/* Its short name there, or its numbers. */
#define KEY_OBJECT_MAX 80
extern const char *key_object_name(const ASN1_OBJECT * object, char numbers[KEY_OBJECT_MAX]);

/* Take over pkey (freed on failure); NULL unless it is of a kind and size we take. */
extern Key *key_wrap(EVP_PKEY *pkey, CoreError *error);

/* Is this a public key under which a signature proves something?  For keys that others gave us. */
extern bool key_check_public(const Key *key, CoreError *error);

/*
 * Does OpenSSL start a verification with this key and our parameters?  May leave its error queue
 * filled.
 */
extern bool key_can_verify(const Key *key);

#endif
