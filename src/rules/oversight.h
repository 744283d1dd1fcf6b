/*
 * oversight.h: was an access to records, or a change of them, covered where it stands on the
 * ledger?
 *
 * Everybody asks the same of each chain, over the same claims: whoever holds records has nobody in
 * there without a protocol, or everybody sees it.  (doc/ledger.md, "Who sees what was covered")
 */
#ifndef MEDCHAIN_RULES_OVERSIGHT_H
#define MEDCHAIN_RULES_OVERSIGHT_H

#include "rules/rules.h"

/* A leaf of a set of subjects: a pseudonym, a uuid, and 8 bytes, the highest first. */
#define OVERSIGHT_LEAF (HASH_LEN + ENTRY_ID_LEN + 8)

/*
 * What a leaf says that it was decided on: a protocol and its version, or (-1) a break-glass entry;
 * false: nothing.
 */
extern bool oversight_leaf_source(const uint8_t leaf[OVERSIGHT_LEAF], char id[CLAIM_UUID_SIZE],
								  int64_t *version);

typedef struct Oversight Oversight;

/* What is asked about; texts are there until the next entry is read. */
typedef struct OversightCase
{
	const char *origin;
	int64_t		seq;
	char		id[CLAIM_UUID_SIZE];
	const char *kind;
	int64_t		time;
	const char *actor;
	const char *operation;
	const char *relation;
	bool		has_subject;
	uint8_t		subject[HASH_LEN];
	bool		by_set;			/* it is about several: ask for each leaf of their set */
	const char *reason;			/* why it was not covered; NULL: it was, or by_set */
} OversightCase;

/* Over claims that are settled. */
extern Oversight *oversight_new(Rules *rules);
extern void oversight_free(Oversight *oversight);

/* Does it depend on entries of this kind? */
extern bool oversight_wants(const char *kind);

/*
 * The next such entry of a chain, in its order; chains come one after the other.  False: nothing is
 * to be asked about it.
 */
extern bool oversight_entry(Oversight *oversight, const char *payload, size_t len,
							const char *origin, int64_t seq, OversightCase *found);

/* The same of one subject of the set of the entry that came last; false: it is no leaf of one. */
extern bool oversight_leaf(Oversight *oversight, const uint8_t *leaf, size_t len,
						   OversightCase *found);

#endif
