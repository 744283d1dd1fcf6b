/*
 * member.h: members as the rules hold them: the claims about each name, and what follows from them.
 *
 * Members are judged as a whole, in one pass over all claims about them (member_settle()), in
 * layers, so that nothing is judged before what it depends on: the data centre's keys; its
 * contracts; what else it says about members, which excludes parts of their chains;
 * countersignatures; ledgers, configured and with their changes of key.  It is plain logic over
 * facts, in memory, and its result is a function of the set of claims.
 */
#ifndef MEDCHAIN_RULES_MEMBER_H
#define MEDCHAIN_RULES_MEMBER_H

#include "rules/statement.h"

typedef struct Party Party;

/* A claim about members, and what it is worth now. */
typedef struct MemberClaim
{
	Statement  *said;
	Party	   *by;				/* on whose chain it is */
	Party	   *about;
	bool		effective;
	const char *reason;			/* why it has no effect */
	const char *told;			/* what the store knows: a reason, or NULL; empty: nothing */
	bool		in_order;		/* renewal of trust anchors: but for when it was said */
	bool		constant;		/* whatever else is known, it is judged like that */
	size_t		certified;		/* where its certificate was put last, from 1 on */
	const void *asked;			/* KeyRow.until, when the keys up to there were asked, */
	const char *answered;		/* and why none of them has signed it */
} MemberClaim;

typedef struct MemberClaims
{
	MemberClaim **items;
	size_t		count;
} MemberClaims;

/* A contract, and what became of it. */
typedef struct ContractRow
{
	MemberClaim *offer;
	MemberClaim *accepted;
	MemberClaim *ended;
	int64_t		ended_seq;		/* on the member's chain */
} ContractRow;

typedef struct CertificateRow
{
	const CertificateFact *certificate;
	Period		period;			/* that it, and every CA above it, is made out for */
	Period		valid;			/* the same, to where it was revoked */
	bool		in_force;		/* not offered only: */
	int64_t		from_seq;		/* from this entry of the member's chain on */
	const RevocationFact *revocation;	/* NULL: not revoked */
	MemberClaim *cause;
} CertificateRow;

/* A part of a chain that has no effect. */
typedef struct ExclusionRow
{
	MemberClaim *cause;			/* of the data centre's chain */
	int64_t		from_seq;
	bool		has_to;
	int64_t		to_seq;
	Period		during;			/* from from_seq on, entries of this time have no effect either */
	const char *reason;
} ExclusionRow;

/* A proof that the member has signed two blocks of one height. */
typedef struct ForkRow
{
	MemberClaim *claim;
	bool		excludes;		/* its chain, from the first of them on */
	const MemberClaim *decision;	/* which one counts; NULL: that is not said */
} ForkRow;

typedef struct KeyRow
{
	int64_t		from_height;
	const KeyFact *key;
	MemberClaim *cause;			/* a change of key; NULL: the first */
	const void *until;			/* stands for all keys up to here, one after the other */
} KeyRow;

typedef struct MemberRow
{
	bool		there;
	bool		end_node;
	bool		center;
	MemberClaim *contract;		/* or genesis */
	const CertificateFact *certificate;
	Period		valid;
	bool		accepted;
	const KeyFact *ledger_key;
	const Party *configured_by;
	MemberClaim *suspended;
	const RevocationFact *revoked;
	MemberClaim *ended;
	MemberClaim *expelled;
	const char *departure;
	bool		takes_part;
} MemberRow;

/* What follows for one name. */
typedef struct Standing
{
	MemberRow	member;
	size_t		ncontracts;		/* in the order in which they were offered */
	ContractRow *contracts;
	size_t		ncertificates;
	CertificateRow *certificates;
	size_t		nexclusions;	/* by their causes */
	ExclusionRow *exclusions;
	size_t		nforks;
	ForkRow    *forks;
	size_t		nkeys;			/* by height */
	KeyRow	   *keys;
} Standing;

struct Party
{
	const char *name;
	bool		center;			/* the data centre */

	/* claims, those of one chain in its order */
	MemberClaims offers;		/* the data centre's contracts with it */
	MemberClaims discipline;	/* its suspend, reinstate, expel */
	MemberClaims lost;			/* its changes of this member's key */
	MemberClaims rekeys;		/* by itself */
	MemberClaims acceptances;	/* by itself */
	MemberClaims configures;	/* by itself, of whoever's ledger */
	MemberClaims endings;		/* of its contracts, by whomever */
	MemberClaims forks;			/* of its chain, by whomever */

	/* while it is judged: what the data centre's chain has said up to there */
	MemberClaim *contracted;	/* the first contract */
	MemberClaim *expelled;
	MemberClaim *disciplined;	/* the newest suspend or reinstate */
	MemberClaim *forked;		/* the first fork on which nobody has decided */

	Standing   *now;
	Standing   *before;
	int64_t		changed_from;	/* entries of its chain from here on may be judged otherwise;
								 * INT64_MAX: none */
};

typedef struct Members
{
	const char *alliance;
	const char *data_center;
	Facts	   *facts;
	Pool	   *pool;			/* claims and names */
	Pool	   *work[2];		/* what follows: now, and before */
	int			current;
	Map		   *parties;
	Party	  **all;
	size_t		nparties;
	Party	   *center;
	MemberClaims claims;		/* all */
	MemberClaims center_claims; /* the data centre's contract, suspend, reinstate, expel */
	MemberClaims center_lost;	/* its changes of others' keys */
	MemberClaims crls;			/* its */
	MemberClaims endings;
	MemberClaims configures;
	MemberClaims acceptances;
	MemberClaims rekeys;		/* by the members themselves */
	MemberClaims forks;
	Map		   *decisions;		/* on forks, by member and height: MemberClaim */
	MemberClaim *genesis;
	Map		   *offers;			/* by id: MemberClaims of contracts */
	Map		   *sequences;		/* of keys, by the one before and the last key: KeyRow.until */
	const char *anchors;		/* trust anchors, of genesis; NULL: it is not here */
	MemberClaims renewals;		/* of them, by the data centre */
	size_t		nrenewed;		/* so many of these are judged, while that is done */
	const char *issuers;		/* those of genesis and of all renewals: who may sign lists */
} Members;

extern Members *members_new(const char *alliance, const char *data_center, Facts *facts);
extern void members_free(Members *members);

/* NULL: nothing is known of that name. */
extern Party *members_party(const Members *members, const char *name);

/* The same, made if need be. */
extern Party *member_party_at(Members *members, const char *name);
extern MemberClaim *members_add(Members *members, Statement *said);

/* Claims of a chain from this one on are gone. */
extern void members_remove(Members *members, const char *origin, int64_t first);

/* Judge everything anew; what was before stays at hand until the next time. */
extern void members_settle(Members *members);

/* ----- the layers, for members_settle() ----- */

extern void member_settle_center(Members *members);
extern void member_settle_exclusions(Members *members);
extern bool member_settle_forks(Members *members);	/* true: there are members to be excluded */
extern const char *member_fork_reason(Members *members, MemberClaim *claim);
extern void member_fork_rows(Members *members);
extern void member_settle_contracts(Members *members);
extern void member_contract_rows(Members *members);
extern void member_settle_ledgers(Members *members);
extern void member_settle_present(Members *members);

/* ----- what they share ----- */

extern Standing *member_standing_new(Members *members);
extern void member_judge(MemberClaim *claim, const char *reason);
extern void member_list_add(Members *members, MemberClaims *list, MemberClaim *claim);

/* A certificate that a member has; one by the same cause is left as it is. */
extern void member_certificate(Members *members, Party *party, MemberClaim *cause,
							   const int64_t *from_seq);

/* Is a certificate made out to the name in one of its contracts, before that entry (NULL: any)? */
extern bool member_certificate_is_of(const Party *party, const CertificateFact *certificate,
									 const MemberClaim *before);

/* The keys of a chain, from the first on. */
extern void member_keys(Members *members, Party *party, const KeyFact *first);
extern const char *member_rekey_reason(Members *members, const MemberClaim *claim,
									   const KeyFact *key);

/*
 * Why the envelope is not signed by a key that the author's ledger has had up to there; otherwise:
 * the answer if it has had none.
 */
extern const char *member_key_reason(Members *members, MemberClaim *claim, const char *otherwise);
extern const char *member_author_reason(Members *members, MemberClaim *claim);

/* The key in force where the chain has two ends; NULL: it has one. */
extern const KeyFact *member_fork_key(const Party *party);

/* What only the data centre does, about a member (NULL: about none), by an entry of its chain. */
extern const char *member_governor_reason(const MemberClaim *claim, const Party *about,
										  const char *denied);

/* ----- trust anchors: member_anchors.c ----- */

/* Those in force for an entry of that chain. */
extern const char *member_anchors_at(const Members *members, const Party *party, int64_t seq);

/* Judge the data centre's renewals up to that entry of its chain; begin: the first ones. */
extern void member_anchors_begin(Members *members);
extern void member_anchors_settle(Members *members, int64_t seq);

/* Why a change of key has no certificate that any of the alliance's anchors accept. */
extern const char *member_anchors_rekey(Members *members, const MemberClaim *claim);

/* Why it is not the time for a renewal; and what else is wrong with one. */
extern const char *member_anchors_late(const Members *members, const MemberClaim *claim);
extern const char *member_anchors_terms(Members *members, const Statement *said);

/* What is wrong with the terms of a contract; NULL: nothing. */
extern const char *member_terms_reason(Members *members, Statement *said);

/*
 * The CAs whose lists count in an entry of the data centre's chain: trust anchors, and those that
 * came with certificates which it took before.
 */
extern const char *member_issuers(Members *members, int64_t seq);

/* When a certificate that these anchors accept was revoked; NULL: it was not. */
extern const RevocationFact *member_revocation(Members *members,
											   const CertificateFact *certificate,
											   const char *anchors);

/* The contract with that id that counts, or NULL. */
extern MemberClaim *member_offer(const Members *members, const char *id);

#endif
