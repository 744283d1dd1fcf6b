/*
 * rules_internal.h: what the files of the rules share.
 */
#ifndef MEDCHAIN_RULES_RULES_INTERNAL_H
#define MEDCHAIN_RULES_RULES_INTERNAL_H

#include "rules/ask.h"
#include "rules/entry.h"
#include "rules/standing.h"

/* A policy that has effect, newest first in the list. */
typedef struct Policy
{
	const char *name;
	const char *value;
	JsonSlice	last;			/* where each chain stood */
	struct Policy *next;
} Policy;

typedef struct SignedBefore SignedBefore;

/*
 * Where the protocol is that has an id which others would have as well.  A hint: what the store
 * says of that place counts.
 */
#define OWNER_SLOTS 64

typedef struct Owner
{
	uint64_t	about;			/* hash of the id; 0: empty */
	char		origin[ENTRY_NAME_MAX + 1];
	int64_t		seq;
} Owner;

struct Rules
{
	Pool	   *pool;
	Pool	   *policy_pool;
	Pool	   *scratch;		/* of one step */
	Pool	   *visit_pool;
	Map		   *visited;		/* what this settling has looked at already */
	struct Changed *changed;	/* protocols whose rows are to be written, in visit_pool */
	char	   *alliance;
	char	   *data_center;
	char	   *node;			/* whose roles are bound; NULL: nobody's */
	Facts	   *facts;
	bool		own_facts;
	const RulesStore *store;
	void	   *store_state;
	Members    *members;
	bool		members_new;	/* there are claims about them that are not judged yet */
	Policy	   *policies;
	SignedBefore *signed_before;
	Owner		owners[OWNER_SLOTS];
	const SignedText *asked;	/* the envelope of a claim that is asked for: see ask.h */
};

/* Write what has changed for members since they were judged before; write: tell the store. */
extern void member_changes(Rules *rules, bool write);

/* Each claim that is asked for, in the store's order; visit's for the call. */
typedef void (*RulesVisit) (Rules *rules, const Claim *claim, void *state);

extern void rules_each(Rules *rules, const ClaimQuery *query, RulesVisit visit, void *state);

/* Has this settling looked at that already?  It has now. */
extern bool rules_visited(Rules *rules, const void *what, size_t len);

/* ----- claims that are judged one by one ----- */

/* Tell the store what a claim is worth, if that is new; did it gain or lose its effect? */
extern bool rules_judge(Rules *rules, const Claim *claim, const char *reason);

/* The author of a claim; NULL: nothing is known of that name. */
extern Party *rules_author(const Rules *rules, const Claim *claim);

/* In the scratch pool, or for ever. */
extern const char *rules_author_reason(Rules *rules, Pool *pool, const Claim *claim);
extern const char *rules_signed(Rules *rules, Pool *pool, const Claim *claim, const KeyFact *key);

extern JsonSlice rules_field(const Claim *claim, const char *name);

/* Is a field, as SQL's ->> has it, this text? */
extern bool rules_field_is(Pool *pool, const Claim *claim, const char *name, const char *text);
extern bool rules_subject_named(Pool *pool, const Claim *claim);

/* The earlier one by time, then by author and place: below zero if that is a. */
extern int	rules_order(const Claim *a, const Claim *b);

/* ----- examinees ----- */

#define POLICY_SIGNATURE "examinee_signature"
#define POLICY_BREAK_GLASS "break_glass_max"

extern const char *policy_reason(Rules *rules, Pool *pool, const Claim *claim);
extern void policy_load(Rules *rules);
extern const char *policy_at(const Rules *rules, Pool *pool, const char *name, const char *origin,
							 int64_t seq);

/* Judge all claims about the keys of an examinee, and derive these. */
extern void examinee_settle(Rules *rules, const uint8_t subject[HASH_LEN]);

/* One of no examinee. */
extern void examinee_settle_nobody(Rules *rules, const Claim *claim);
extern const char *examinee_signed_reason(Rules *rules, Pool *pool, const Claim *claim);
extern ExamineeSigned examinee_signed(Rules *rules, Pool *pool, const Claim *claim);
extern bool examinee_signed_before(Rules *rules, Pool *pool, const Claim *claim);

/* Is there an earlier entry of its chain about the same examinee, with the same terms, by him? */
typedef bool (*SignedBeforeBy) (Rules *rules, Pool *pool, const Claim *other, void *state);

extern bool signed_before(Rules *rules, Pool *pool, const Claim *claim, SignedBeforeBy by_examinee,
						  void *state);
extern SignedBefore *signed_before_new(Pool *pool);
extern void signed_before_free(SignedBefore *before);

/* A chain is taken back; NULL: any. */
extern void signed_before_forget(SignedBefore *before, const char *origin);

/* ----- protocols ----- */

extern const char *protocol_terms_reason(JsonSlice terms);
extern const char *revocation_reason(Rules *rules, Pool *pool, const Claim *claim);
extern const char *note_reason(Rules *rules, Pool *pool, const Claim *claim);

/* The protocol with that id that has effect, but for what it says. */
extern bool protocol_base(Rules *rules, Pool *pool, const char *about, Claim *base);
extern void protocol_rows(Rules *rules, const char *about);

/* Judge what is said of one protocol again: by that claim, and what depends on it. */
extern void protocol_settle_claim(Rules *rules, const Claim *claim);

/* Write the rows of the protocol about which a revocation was judged: once, when all are. */
extern void rules_rows_later(Rules *rules, const char *about);
extern void protocol_settle(Rules *rules, const char *about);

/*
 * If this is a protocol whose id an earlier one has, and had, only it is judged; false if there is
 * more to do.
 */
extern bool protocol_settle_late(Rules *rules, const Claim *claim);

/* An author has the first effective protocol for a subject, or has none any more. */
extern void protocol_settle_rights(Rules *rules, const char *origin,
								   const uint8_t subject[HASH_LEN]);

/* ----- break-glass ----- */

/* A number of seconds, as the policy has it; false: it is none. */
extern bool break_glass_seconds(const char *text, int64_t *seconds);
extern const char *break_glass_reason(Rules *rules, Pool *pool, const Claim *claim,
									  Period *period);

/* The break-glass that a justification is of. */
extern bool break_glass_of(Rules *rules, Pool *pool, const Claim *justification, Claim *glass);

/* Judge one claim again, and what depends on it; and all about an examinee. */
extern void break_glass_settle_claim(Rules *rules, const Claim *claim);
extern void break_glass_settle(Rules *rules, const uint8_t subject[HASH_LEN]);

/* ----- addresses ----- */

extern const char *address_reason(Rules *rules, Pool *pool, const Claim *claim);

/* ----- roles ----- */

extern void role_settle(Rules *rules, const char *origin, int64_t first, int64_t last);
extern void role_forget(Rules *rules, int64_t first);

#endif
