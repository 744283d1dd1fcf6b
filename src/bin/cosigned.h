/*
 * cosigned.h: which blocks of an export so many members have cosigned.
 */
#ifndef MEDCHAIN_BIN_COSIGNED_H
#define MEDCHAIN_BIN_COSIGNED_H

#include "report.h"
#include "signers.h"

typedef struct Cosigned Cosigned;

/* NULL where the options ask for no cosignatures. */
extern Cosigned *cosigned_new(const Options *options, const char *alliance);
extern void cosigned_free(Cosigned *cosigned);

/* A block that is verified, with its cosignatures. */
extern void cosigned_block(Cosigned *cosigned, const char *origin, uint64_t height,
						   const char *note, size_t len);

/*
 * All chains (of the result, by their names) have come: has each a block that enough have cosigned?
 * By the policy's keys or, without one, by those that follow from the export.  False, with the
 * chain where there is none.
 */
extern bool cosigned_end(Cosigned *cosigned, const Signers *signers, json_t *chains,
						 const char **culprit, CoreError *error);

#endif
