/*
 * proof.h: checking RFC 6962 inclusion and consistency proofs (RFC 9162
 * sections 2.1.3.2 and 2.1.4.2).
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

/* hashes: nhashes * HASH_LEN bytes.  index >= size and a wrong number of hashes are PROOF_INVALID. */
extern ProofResult proof_check_inclusion(const uint8_t leaf_hash[HASH_LEN], uint64_t index, uint64_t size,
										 const uint8_t *hashes, int nhashes, const uint8_t root[HASH_LEN]);

/* size1 > size2 is PROOF_INVALID; size1 == size2 and size1 == 0 take an empty proof only. */
extern ProofResult proof_check_consistency(uint64_t size1, uint64_t size2, const uint8_t *hashes, int nhashes,
										   const uint8_t root1[HASH_LEN], const uint8_t root2[HASH_LEN]);

#endif
