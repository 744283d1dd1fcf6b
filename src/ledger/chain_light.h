/*
 * chain_light.h: blocks of which not all payloads are taken.
 *
 * The leaf hashes stand for the entries that are left out.  Which these may be the author has said,
 * signed: so many of each kind there are, and all of those that are taken have to be here.
 */
#ifndef MEDCHAIN_LEDGER_CHAIN_LIGHT_H
#define MEDCHAIN_LEDGER_CHAIN_LIGHT_H

#include "postgres.h"

#include "core/key.h"
#include "ledger/block_row.h"
#include "ledger/chain.h"
#include "ledger/held.h"
#include "rules/entry.h"

/* What a source has sent beside a block's header, and what is wanted of its entries. */
typedef struct ChainLight
{
	BlockCarried carried;
	const uint8_t *hashes;		/* one for each entry; NULL: the entries themselves are needed */
	int64		wanted;			/* entries whose payloads are taken */
	ArrayType  *kinds;			/* their kinds, beside governance */
	char		last[ENTRY_TEXT_MAX + 1];	/* kind that was asked about: most have the same */
	bool		last_taken;
} ChainLight;

/*
 * Read that of a held block whose header, behind check, is the key's, with so many entries.  light
 * says what can be made of it: without the hashes, or without a note of the author's about the
 * kinds, all entries are wanted.  hash: of the block's note text.
 */
extern void chain_light_read(const ChainCheck *check, const char *origin, const HeldBlock *held,
							 int64 entries, const uint8_t hash[HASH_LEN], const Key *key,
							 ChainLight *light);

/*
 * Is an entry of this kind taken, of a block with hashes?  What a source sends beside what was
 * asked for is left out: it must not stand in the place of something else.
 */
extern bool chain_light_takes(ChainLight *light, const char *kind);

/* How many entries of that chain have no payload here, by the active snapshot. */
extern int64 chain_light_absent(const char *origin);

/* Count payloads of that chain that are not here: as many more, or fewer. */
extern void chain_light_count(const char *origin, int64 more);

#endif
