/*
 * chain_advance.h: moving a chain forward over what peers sent, and back where it has to be.
 *
 * The keeper alone calls chain_advance(), in transactions of its own.  An apply worker must not:
 * how long its transactions last, and with them their locks, is up to the peer.
 */
#ifndef MEDCHAIN_LEDGER_CHAIN_ADVANCE_H
#define MEDCHAIN_LEDGER_CHAIN_ADVANCE_H

#include "postgres.h"

#include "ledger/chain.h"
#include "ledger/chain_terms.h"
#include "ledger/cosign.h"
#include "ledger/local_node.h"

/* A chain that is moved forward, or back: what those who do it hand around. */
typedef struct ChainAdvance
{
	const LocalNode *node;
	const char *origin;
	ChainTerms	terms;
	ChainCheck	check;			/* its frontier */
	bool		own;			/* this node's: what it has lost comes back, see recovery.h */
	bool		folded;			/* the state depends on what has been accepted */
	CosignDue	due;			/* what of it is worth a cosignature */
} ChainAdvance;

/*
 * Accept held blocks of origin while the next one is there, or until so many entries have become
 * part of the ledger: as many are one transaction's work.  Needs a trusted scope in a transaction
 * that has done nothing else.  True: there may be more to do.
 */
extern bool chain_advance(const char *origin, int64 enough);

/* The reasons in medchain.quarantine of blocks that were part of the ledger once. */
#define CHAIN_TAKEN_BACK "signed with a key that was replaced"
#define CHAIN_NOT_CHOSEN "the data centre chose another block of this height"

/*
 * The data centre gave the chain a new key from a height on, and here it has blocks from there on
 * that are signed with the old one, or it chose another block of some height: take them back
 * (chain_cut.c).  Returns whether it did; the frontier is the new one then.
 */
extern bool chain_cut_superseded(ChainAdvance *chain);

/*
 * Hold again what was refused as the next block for the key we knew then, if it is signed with the
 * one we know now.
 */
extern bool chain_reconsider(const ChainAdvance *chain);

#endif
