/*
 * chain.h: the verified frontier of each chain.
 *
 * medchain.entry and medchain.block hold verified content only.  What a peer
 * sends waits in medchain.held_entry and medchain.held_block until it is
 * complete, linked and signed; then chain_advance() moves it over, in order, and
 * has it folded into the state.  What is provably wrong goes to
 * medchain.quarantine.  medchain.chain has one row per origin: height, size,
 * head and the compact range to continue from.
 */
#ifndef MEDCHAIN_LEDGER_CHAIN_H
#define MEDCHAIN_LEDGER_CHAIN_H

#include "postgres.h"

#include "core/chain_check.h"
#include "ledger/local_node.h"

/* The name of a chain in its notes, of at most NOTE_NAME_MAX bytes and a zero byte. */
extern void chain_name(const LocalNode *node, const char *origin, char *name);

/* The state of a chain before its first block. */
extern void chain_start(const LocalNode *node, const char *origin, ChainCheck *check);

typedef enum ChainLoad
{
	CHAIN_LOCK,					/* the newest version, locked: to move it forward */
	CHAIN_LOCK_NOWAIT,			/* the same, or an ERROR if somebody else has locked it */
	CHAIN_SNAPSHOT				/* as the active snapshot sees it */
} ChainLoad;

/*
 * The frontier of a chain, or the state before its first block; false if the row of medchain.chain
 * makes no sense.
 */
extern bool chain_read(const LocalNode *node, const char *origin, ChainLoad mode,
					   ChainCheck *check);

/* The same, with an ERROR instead. */
extern void chain_load(const LocalNode *node, const char *origin, ChainLoad mode,
					   ChainCheck *check);
extern void chain_store(const LocalNode *node, const char *origin, const ChainCheck *check);

#endif
