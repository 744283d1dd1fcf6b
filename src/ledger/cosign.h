/*
 * cosign.h: this member as a witness of the others' chains.
 */
#ifndef MEDCHAIN_LEDGER_COSIGN_H
#define MEDCHAIN_LEDGER_COSIGN_H

#include "postgres.h"

#include "core/key.h"
#include "node/shared.h"

/* What there is to cosign of a chain: see the table medchain.witness_due. */
typedef struct CosignDue
{
	int64		height;			/* -1: nothing */
	TimestampTz closes;
	int64		earlier;		/* -1: nothing */
} CosignDue;

#define COSIGN_NOTHING {.height = -1, .earlier = -1}

/* A block that was sealed then, with something new in it; and all of them.  In a trusted scope. */
extern void cosign_note_block(CosignDue *due, int64 height, TimestampTz sealed);
extern void cosign_due(const char *origin, const CosignDue *due);

/*
 * Cosign the heads of chains that are due, if it is time, and append what was cosigned.  For the
 * sealer, which has the key.  Milliseconds until the next time.
 */
extern long cosign_round(SharedDatabase *slot, const Key *key);

#endif
