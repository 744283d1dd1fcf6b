/*
 * authorised.h: which accesses and changes in an export were covered by a protocol.
 */
#ifndef MEDCHAIN_BIN_AUTHORISED_H
#define MEDCHAIN_BIN_AUTHORISED_H

#include <stdio.h>

#include "rules/oversight.h"

typedef struct Authorised
{
	Pool	   *pool;
	FILE	   *spool;			/* entries, until all claims are known */
	bool		failed;			/* it could not be written, or read */
	uint64_t	asked;			/* accesses and changes that had to be covered */
	uint64_t	sets;			/* accesses to several examinees' records whose sets are not all
								 * here */
	OversightCase *cases;		/* that were not covered */
	size_t		ncases;
} Authorised;

extern void authorised_begin(Authorised *authorised);

/* An entry of a verified chain, in its order; only those that it depends on are kept. */
extern void authorised_entry(Authorised *authorised, const char *kind, const char *origin,
							 int64_t seq, const char *text, size_t len);

/* A leaf of the set of subjects of the entry that came last; in_part: others are not here. */
extern void authorised_leaf(Authorised *authorised, const uint8_t leaf[OVERSIGHT_LEAF],
							bool in_part);

/* All claims are settled in these rules: judge what was kept, up to that time. */
extern void authorised_end(Authorised *authorised, Rules *rules, int64_t until);

extern void authorised_free(Authorised *authorised);

#endif
