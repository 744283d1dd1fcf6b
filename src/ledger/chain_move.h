/*
 * chain_move.h: a chain that is being moved, as those who do it hand it around.
 */
#ifndef MEDCHAIN_LEDGER_CHAIN_MOVE_H
#define MEDCHAIN_LEDGER_CHAIN_MOVE_H

#include "postgres.h"

#include "ledger/chain.h"
#include "ledger/chain_terms.h"
#include "ledger/cosign.h"
#include "ledger/held.h"
#include "ledger/local_node.h"

/* Forward, or back. */
typedef struct ChainAdvance
{
	const LocalNode *node;
	const char *origin;
	ChainTerms	terms;
	ChainCheck	check;			/* its frontier */
	bool		own;			/* this node's: what it has lost comes back, see recovery.h */
	bool		folded;			/* the state depends on what has been accepted */
	CosignDue	due;			/* what of it is worth a cosignature */
	const HeldRun *run;			/* entries come from there, and not from what is held; or NULL */
} ChainAdvance;

#endif
