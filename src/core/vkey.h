/*
 * vkey.h: C2SP verifier keys (signed-note.md, "Verifier keys"): a key, with its name and what it
 * signs, as one word.
 */
#ifndef MEDCHAIN_CORE_VKEY_H
#define MEDCHAIN_CORE_VKEY_H

#include "core/cosignature.h"

#define VKEY_MAX 2048			/* the longest that is written, terminated */
#define VKEY_ED25519 0x01		/* signs notes: a log's key */

typedef struct Vkey
{
	char		name[NOTE_NAME_MAX + 1];
	uint8_t		type;			/* VKEY_ED25519 or COSIGNATURE_TYPE */
	uint8_t		bytes[KEY_ED25519_BYTES];
	Key		   *key;
} Vkey;

/*
 * The verifier key of a log or, if cosigner, of a witness, which Ed25519 keys alone can be.  A
 * log's key of another kind is written as what it is: by signed-note's type 0x02 (ECDSA), or 0xff
 * and its algorithm's name.
 */
extern bool vkey_write(const Key *key, const char *name, bool cosigner, char out[VKEY_MAX],
					   CoreError *error);

/* Read one; of the types above only.  vkey->key is to be freed. */
extern bool vkey_read(const char *text, size_t len, Vkey *vkey, CoreError *error);

#endif
