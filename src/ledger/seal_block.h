/*
 * seal_block.h: signing the block that closes over some entries, and writing it.
 */
#ifndef MEDCHAIN_LEDGER_SEAL_BLOCK_H
#define MEDCHAIN_LEDGER_SEAL_BLOCK_H

#include "postgres.h"

#include "core/chain_check.h"
#include "ledger/block_leaves.h"
#include "ledger/block_row.h"
#include "ledger/local_node.h"

/*
 * The block over the leaves that check has been given since the last one, which leaves are; they
 * are none afterwards, and check stands at the block.  key: private, of this node's ledger.  ERROR
 * if it cannot be signed.
 */
extern void seal_block(const LocalNode *node, ChainCheck *check, BlockLeaves *leaves,
					   const Key *key);

#endif
