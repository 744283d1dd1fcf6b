/*
 * facts_internal.h: what facts.c and facts_signed.c share.
 */
#ifndef MEDCHAIN_RULES_FACTS_INTERNAL_H
#define MEDCHAIN_RULES_FACTS_INTERNAL_H

#include "rules/facts.h"

#define FACTS_ONCE 512			/* keys of the many that are remembered */

/* One key of the many: reading it costs more than checking a signature with it. */
typedef struct OnceSlot
{
	Pool	   *pool;			/* NULL: empty */
	KeyFact    *fact;
} OnceSlot;

struct Facts
{
	Pool	   *pool;			/* what stays */
	Pool	   *scratch;		/* what does not */
	const RulesStore *store;
	void	   *store_state;
	Map		   *texts;
	Map		   *keys;
	Map		   *certificates;
	Map		   *paths;			/* by the pointers to what they are about, as the next two */
	Map		   *anchors;
	Map		   *crls;
	Map		   *revocations;
	struct SignedSlot *signatures;	/* facts_signed.c; NULL: none yet */
	OnceSlot	once[FACTS_ONCE];
};

/* A question of this kind about what has these digests, as the store keeps it. */
extern void facts_question(const char *what, const uint8_t *const *digests, size_t count,
						   int64_t number, uint8_t question[HASH_LEN]);

/* The answer that is kept, in the scratch pool; NULL: there is none.  And keeping one. */
extern char *facts_ask_store(Facts *facts, const uint8_t question[HASH_LEN]);
extern void facts_tell_store(Facts *facts, const uint8_t question[HASH_LEN], const char *answer);

#endif
