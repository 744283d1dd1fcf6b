/*
 * chain_advance.h: moving a chain forward over what peers sent, and back where it has to be.
 *
 * The keeper alone calls chain_advance(), in transactions of its own.  How long an apply worker's
 * last, and with them their locks, is up to the peer: but for what is left of them when the peer
 * has said that they are to be committed.
 */
#ifndef MEDCHAIN_LEDGER_CHAIN_ADVANCE_H
#define MEDCHAIN_LEDGER_CHAIN_ADVANCE_H

#include "postgres.h"

#include "ledger/chain_move.h"

/*
 * Accept held blocks of origin while the next one is there, or until so many entries have become
 * part of the ledger: as many are one transaction's work.  Needs a trusted scope in a transaction
 * that has done nothing else.  True: there may be more to do.
 */
extern bool chain_advance(const char *origin, int64 enough);

/*
 * The same over entries that the current transaction has brought, and the blocks that it has: as
 * long as they are the next ones, nothing is wrong with them and the state does not depend on them.
 * Everything else is the keeper's, and so is telling others of what was accepted.  Returns how many
 * of these entries are part of the ledger now; ERROR if somebody else is at work on this chain.  In
 * a trusted scope, in a subtransaction, where nothing but the commit is to come.
 */
extern int64 chain_take(const HeldRun *run);

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
