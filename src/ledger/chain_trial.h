/*
 * chain_trial.h: one held block against the frontier of its chain.
 */
#ifndef MEDCHAIN_LEDGER_CHAIN_TRIAL_H
#define MEDCHAIN_LEDGER_CHAIN_TRIAL_H

#include "postgres.h"

#include "core/note.h"
#include "datatype/timestamp.h"
#include "ledger/block_leaves.h"
#include "ledger/block_row.h"
#include "ledger/chain_light.h"
#include "ledger/chain_move.h"
#include "ledger/entry_writer.h"
#include "ledger/held.h"
#include "ledger/tile.h"

typedef enum ChainTrial
{
	TRIAL_ACCEPTED,
	TRIAL_WAITS,				/* nothing is wrong with it, but the author's certificate is
								 * missing */
	TRIAL_INCOMPLETE,			/* there is nothing to say yet */
	TRIAL_EARLY,				/* it was sealed in the future */
	TRIAL_REFUSED				/* provably wrong */
} ChainTrial;

/* A held block that may be the next one, and what its trial has found. */
typedef struct ChainCandidate
{
	const HeldBlock *held;
	NoteBlock	block;
	const Key  *key;			/* that has signed it */
	ChainLight	light;			/* what came beside its header */
	ChainCheck	after;			/* the frontier behind it */
	TileBatch	tiles;
	BlockLeaves leaves;			/* of the entries that are here */
	MemoryContext context;		/* of these */
	int64		newest;			/* id of the newest of its held entries */
	int64		first;			/* of its entries */
	int64		present;		/* of them, with their payload */
	struct KeptEntry *kept;		/* these; NULL: they are too large to be kept at hand */
	EntryWriter *writer;		/* ... and are read once more, for this */
	bool		governance;		/* some of its entries are */
	bool		news;			/* ... and some are more than what others have witnessed */
	const char *reason;			/* why it is refused, and what there is to say of that, or NULL */
	const char *detail;
} ChainCandidate;

/*
 * Try candidate->held, with all its entries, as the next block of that chain: everything that
 * chain_check.h asks for, and what only a node can know.  Nothing is written, but that entries of a
 * light copy that stand in the place of others are dropped.  In a trusted scope; what is palloc'd
 * for the candidate is in the current context.
 */
extern ChainTrial chain_try(const ChainAdvance *chain, ChainCandidate *candidate);

/* The entries of a block that is accepted become rows: as they were kept, or read once more. */
extern void chain_insert_entries(const ChainAdvance *chain, ChainCandidate *candidate);

/* What is kept beside its header: of entries that are all here, what they give themselves. */
extern const BlockCarried *chain_carried(ChainCandidate *candidate);

/* When its author says that he has sealed it. */
extern TimestampTz chain_sealed_time(const NoteBlock *block);

#endif
