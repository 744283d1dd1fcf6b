/*
 * proof.h: RFC 6962 inclusion and consistency proofs: checking them (RFC 9162
 * sections 2.1.3.2 and 2.1.4.2), and making them from stored subtrees.
 */
#ifndef MEDCHAIN_CORE_PROOF_H
#define MEDCHAIN_CORE_PROOF_H

#include "core/hash.h"

typedef enum ProofResult
{
	PROOF_VALID,
	PROOF_INVALID,				/* well-formed, and does not prove it */
	PROOF_FAILED				/* OpenSSL failed */
} ProofResult;

/*
 * hashes: nhashes * HASH_LEN bytes.  index >= size and a wrong number of hashes are PROOF_INVALID.
 */
extern ProofResult proof_check_inclusion(const uint8_t leaf_hash[HASH_LEN], uint64_t index,
										 uint64_t size,
										 const uint8_t *hashes, int nhashes,
										 const uint8_t root[HASH_LEN]);

/* size1 > size2 is PROOF_INVALID; size1 == size2 and size1 == 0 take an empty proof only. */
extern ProofResult proof_check_consistency(uint64_t size1, uint64_t size2, const uint8_t *hashes,
										   int nhashes,
										   const uint8_t root1[HASH_LEN],
										   const uint8_t root2[HASH_LEN]);

/* More hashes than a proof in a tree below 2^63 leaves can have. */
#define PROOF_MAX_HASHES 64

/*
 * The root of the perfect subtree over the 2^level leaves from index * 2^level on.  Asked for
 * subtrees of the tree at hand only.  False if it cannot be had, and then the proof cannot be made.
 */
typedef bool (*ProofNode) (void *source, int level, uint64_t index, uint8_t hash[HASH_LEN]);

/*
 * Root of the first size leaves; what the tree has grown to since does not matter.  Like the
 * functions below false if node is, or if OpenSSL fails.
 */
extern bool proof_make_root(ProofNode node, void *source, uint64_t size, uint8_t root[HASH_LEN]);

/*
 * PATH(index, D[size]) of RFC 6962 section 2.1.1, from the leaf up.  False also if index >= size.
 */
extern bool proof_make_inclusion(ProofNode node, void *source, uint64_t index, uint64_t size,
								 uint8_t hashes[PROOF_MAX_HASHES][HASH_LEN], int *nhashes);

/*
 * PROOF(size1, D[size2]) of RFC 6962 section 2.1.2; empty for size1 == 0 and size1 == size2, as the
 * checks above have it.  False also if size1 > size2.
 */
extern bool proof_make_consistency(ProofNode node, void *source, uint64_t size1, uint64_t size2,
								   uint8_t hashes[PROOF_MAX_HASHES][HASH_LEN], int *nhashes);

#endif
