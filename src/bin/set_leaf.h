/*
 * set_leaf.h: one leaf of the set of examinees whose records an access has read, and its proof.
 *
 * (doc/ledger.md, "Accesses")
 */
#ifndef MEDCHAIN_BIN_SET_LEAF_H
#define MEDCHAIN_BIN_SET_LEAF_H

#include "input.h"
#include "rules/json_slice.h"
#include "rules/oversight.h"

typedef struct SetLeaf
{
	uint8_t		bytes[OVERSIGHT_LEAF];
	size_t		len;			/* HASH_LEN or OVERSIGHT_LEAF */
	uint64_t	index;
	uint8_t		hashes[INPUT_HASHES_MAX][HASH_LEN];
	int			nhashes;
} SetLeaf;

/* From fields "leaf", "index" and "hashes" of an object; false, with an error, if it is none. */
extern bool set_leaf_read(json_t *object, SetLeaf *leaf, CoreError *error);

/* How many leaves there are and their root, by the body of an access; false: it has no set. */
extern bool set_leaf_said(Pool *pool, JsonSlice body, uint64_t *number, uint8_t root[HASH_LEN]);

/* Is it one of so many under that root? */
extern bool set_leaf_is_in(const SetLeaf *leaf, uint64_t number, const uint8_t root[HASH_LEN]);

#endif
