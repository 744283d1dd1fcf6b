/*
 * key_internal.h: the inside of a Key, for the files of src/core/ that make and use one.
 */
#ifndef MEDCHAIN_CORE_KEY_INTERNAL_H
#define MEDCHAIN_CORE_KEY_INTERNAL_H

#include <openssl/evp.h>

#include "core/key.h"

#define KEY_SM2_ID "1234567812345678"	/* GB/T 32918.2, the user id when none was agreed on */

struct Key
{
	EVP_PKEY   *pkey;
	KeyAlgorithm algorithm;		/* the default one */
};

/* Take over pkey (freed on failure); NULL unless it is of a kind and size we take. */
extern Key *key_wrap(EVP_PKEY *pkey, CoreError *error);

#endif
