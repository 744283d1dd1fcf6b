/*
 * verify_carried.h: does a block carry what its entries, and its author, say?
 */
#ifndef MEDCHAIN_VERIFY_VERIFY_CARRIED_H
#define MEDCHAIN_VERIFY_VERIFY_CARRIED_H

#include "postgres.h"

#include "core/chain_check.h"
#include "core/key.h"
#include "ledger/block_leaves.h"

typedef struct CarriedBlock
{
	const ChainCheck *check;	/* stands at the block */
	bool		own;			/* of this node's chain */
	const uint8_t *leaves;		/* as many as it has entries; NULL: it carries another number */
	const char *kinds;			/* or NULL */
	const char *kinds_note;		/* or NULL */
	const BlockLeaves *found;	/* of its entries that are here */
	int64		absent;			/* entries that are not */
	const Key  *key;			/* of its author; NULL: not needed, or not known */
} CarriedBlock;

/* The column that does not fit, NULL if all of them do. */
extern const char *verify_carried(const CarriedBlock *block);

#endif
