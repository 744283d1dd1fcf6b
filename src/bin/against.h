/*
 * against.h: another export, of whoever else has the same chains: do both have the same blocks?
 */
#ifndef MEDCHAIN_BIN_AGAINST_H
#define MEDCHAIN_BIN_AGAINST_H

#include "report.h"
#include "signers.h"

typedef struct Against Against;

/* The blocks in that file; NULL, with an error, if it is no export. */
extern Against *against_load(const char *path, CoreError *error);
extern void against_free(Against *against);

/* A verified block.  against may be NULL: there is none. */
extern void against_block(Against *against, const NoteBlock *block, const uint8_t head[HASH_LEN],
						  const char *note, size_t len);

/*
 * All chains have come.  False, with an error: a block there is another one; and if it has the
 * signature of the chain, both are added to forks.
 */
extern bool against_end(Against *against, const Signers *signers, json_t *forks,
						CoreError *error);

#endif
