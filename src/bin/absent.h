/*
 * absent.h: entries of an export whose payloads are not in it, as they were not where it was made.
 *
 * Their leaf hashes stand for them in the tree.  What the state depends on may not be among them:
 * the author has said, signed, how many entries of each kind its block has.
 */
#ifndef MEDCHAIN_BIN_ABSENT_H
#define MEDCHAIN_BIN_ABSENT_H

#include "core/chain_check.h"
#include "input.h"

typedef struct Absent
{
	uint8_t    *leaves;			/* of the entries of the block that is to come; NULL: all of them
								 * are here */
	uint64_t	first;
	uint64_t	count;
	char	   *kinds;
	char	   *kinds_note;
	int64_t		governance;		/* entries of that block that the state depends on, and are here */
	uint64_t	missing;		/* entries that are not, of the chain */
} Absent;

/* The line before the entries of such a block; expected: its first entry. */
extern bool absent_line(Absent *absent, json_t *line, uint64_t expected, CoreError *error);

/* An entry of this kind is here. */
extern void absent_entry(Absent *absent, const char *kind);

/* Grow the tree by what is not, up to entry until; false: it is not said to be missing. */
extern bool absent_fill(Absent *absent, ChainCheck *check, uint64_t until);

/* The block is verified: is all here that has to be?  Whatever was said is forgotten. */
extern bool absent_block(Absent *absent, const ChainCheck *check, const Key *key,
						 CoreError *error);

extern void absent_free(Absent *absent);

#endif
