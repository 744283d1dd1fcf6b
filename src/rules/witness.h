/*
 * witness.h: what an entry of kind witness says: so far its author has verified another chain.
 */
#ifndef MEDCHAIN_RULES_WITNESS_H
#define MEDCHAIN_RULES_WITNESS_H

#include "core/cosignature.h"
#include "rules/entry.h"

typedef struct Witness
{
	char		author[ENTRY_NAME_MAX + 1]; /* on whose chain it stands */
	char		chain[ENTRY_NAME_MAX + 1];
	int64_t		entries;
	int64_t		height;
	uint8_t		hash[HASH_LEN]; /* of the text of that block's note */
	char		cosignature[COSIGNATURE_LINE_MAX];	/* a signature line without its newline; empty:
													 * there is none */
} Witness;

/*
 * Read the payload of an entry of that kind.  False if it does not say what it should, or is about
 * its author's own chain, which proves nothing.
 */
extern bool witness_read(const char *payload, size_t len, Witness *witness);

/* Is this (witness->cosignature) a signature line?  Its parts. */
extern bool witness_signature(const Witness *witness, NoteSignature *signature);

#endif
