/*
 * cosigned.h: cosignatures of the blocks of an export: none is false, and are there as many as are
 * asked for?
 */
#ifndef MEDCHAIN_BIN_COSIGNED_H
#define MEDCHAIN_BIN_COSIGNED_H

#include "report.h"
#include "signers.h"

typedef struct Cosigned Cosigned;

extern Cosigned *cosigned_new(const Options *options, const char *alliance);
extern void cosigned_free(Cosigned *cosigned);

/* A block that is verified, with its cosignatures. */
extern void cosigned_block(Cosigned *cosigned, const char *origin, uint64_t height,
						   const char *note, size_t len);

/*
 * All chains (of the result, by their names) have come: are all cosignatures true, by the keys that
 * follow from the export; and, if it is asked for, has each chain a block that enough have
 * cosigned, by the policy's keys or those?  False, with the chain where not.
 */
extern bool cosigned_end(Cosigned *cosigned, const Signers *signers, json_t *chains,
						 const char **culprit, CoreError *error);

#endif
