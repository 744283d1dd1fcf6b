/*
 * tlog_proof.h: the text of a C2SP tlog-proof (c2sp.org/tlog-proof): where an entry is in a log,
 * its inclusion proof, and the checkpoint with its cosignatures.
 */
#ifndef MEDCHAIN_CORE_TLOG_PROOF_H
#define MEDCHAIN_CORE_TLOG_PROOF_H

#include "core/note.h"
#include "core/proof.h"

#define TLOG_PROOF_HEADER "c2sp.org/tlog-proof@v1\n"
#define TLOG_PROOF_MAX (1024 * 1024)	/* bytes; what is longer is malformed */

typedef struct TlogProof
{
	uint64_t	index;
	uint8_t		hashes[PROOF_MAX_HASHES][HASH_LEN];
	int			nhashes;
	const char *checkpoint;		/* within the text */
	size_t		checkpoint_len;
} TlogProof;

extern bool tlog_proof_read(const char *text, size_t len, TlogProof *proof, CoreError *error);

#endif
