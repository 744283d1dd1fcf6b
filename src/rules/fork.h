/*
 * fork.h: entries of kind fork: two blocks of one height of a chain, both signed by its author.
 *
 * What such an entry says proves itself, so it does not matter who says it, or where.
 */
#ifndef MEDCHAIN_RULES_FORK_H
#define MEDCHAIN_RULES_FORK_H

#include "core/note.h"
#include "rules/facts.h"

typedef struct ForkNote
{
	const char *text;
	size_t		len;
	NoteBlock	block;
	uint8_t		hash[HASH_LEN];
	const KeyFact *asked;		/* whether this key signed it was asked last, and */
	bool		is_signed;		/* what came out */
} ForkNote;

typedef struct ForkProof
{
	const char *fault;			/* why this is no proof, whoever's keys are what; NULL: it may be */
	ForkNote	notes[2];		/* by their hashes */
	ForkNote	before;			/* the block before one of them; of height 0, there is none */
	int64_t		height;
	int64_t		from_seq;		/* the first entry of the chain that is behind "before" */
	bool		decides;		/* it says which of the two counts: */
	bool		chosen;			/* ... and there is one that it may mean */
	int			counts;
} ForkProof;

/* What the body of such an entry says, in the pool of the facts. */
extern ForkProof *fork_read(Facts *facts, JsonSlice body);

/* Has that key signed the block? */
extern bool fork_note_signed(Facts *facts, ForkNote *note, const KeyFact *key);

#endif
