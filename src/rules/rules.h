/*
 * rules.h: from entries to state: who may say what, and what follows from it.
 *
 * Chains arrive in any order relative to each other, and every node has to derive the same state,
 * so the state is a function of the set of claims: whenever something becomes known, whatever
 * depends on it is judged again.  Members are judged as a whole each time, in memory (member.h);
 * protocols, of which there may be millions, one by one through the store, by what depends on what.
 *
 * Nothing here fails because of what an entry says.
 */
#ifndef MEDCHAIN_RULES_RULES_H
#define MEDCHAIN_RULES_RULES_H

#include "rules/statement.h"

typedef struct Rules Rules;

/*
 * node: whose roles are bound (bind_role), or NULL.  facts: shared with others, or NULL: of its
 * own, kept in the store if that keeps any.
 */
extern Rules *rules_new(const char *alliance, const char *data_center, const char *node,
						Facts *facts, const RulesStore *store, void *store_state);
extern void rules_free(Rules *rules);

/* Take up what the store has: claims about members, judged, whose rows are there. */
extern void rules_load(Rules *rules);

/*
 * The same step by step: a claim about members, with its entry's text, that the store has, judged
 * and with its rows, and of each chain in its order; and then, that these were all.  For who has
 * taken up the others before, what a store has got since from others who write to it.
 */
extern void rules_known(Rules *rules, const Claim *claim, const char *payload, size_t len);
extern void rules_known_all(Rules *rules);

/* The policies that the store has: they are known without members, too. */
extern void rules_known_policies(Rules *rules);

/*
 * The claim of an entry, in the order of its chain, to be settled later; false if the state does
 * not depend on it.  height and sealed are of its block.  No entry is taken again unless it was
 * forgotten.
 */
extern bool rules_take(Rules *rules, const char *payload, size_t len, const char *origin,
					   int64_t seq, int64_t height, int64_t sealed);

/* The same of a claim that was read before; said: if it is about members. */
extern void rules_take_claim(Rules *rules, const Claim *claim, Statement *said);

/* The same for one that is not about members, as claim_read_envelope() has read it. */
extern void rules_take_read(Rules *rules, const Claim *claim, SignedText *envelope);

/*
 * Derive the state that depends on the claims of a chain in this range; origin NULL: on all that
 * there are.
 */
extern void rules_settle(Rules *rules, const char *origin, int64_t first, int64_t last);

/* The state without the claims of that chain from this one on. */
extern void rules_forget(Rules *rules, const char *origin, int64_t first);

/* What follows for a name (member.h), as it was settled; NULL: nothing is known of it. */
extern const struct Party *rules_party(const Rules *rules, const char *name);

/* May this member have sealed a block then that begins with that entry? */
extern bool rules_may_seal(const Rules *rules, const char *origin, int64_t first, int64_t sealed);

/* The store has other claims about examinees and protocols now, and had them from the beginning. */
extern void rules_store_changed(Rules *rules);

/* Do trust anchors that the data centre has set accept the certificate in it, at its time? */
extern bool rules_renewed_accept(Rules *rules, const CertificateFact *certificate, int64_t at);

#endif
