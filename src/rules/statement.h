/*
 * statement.h: a claim about members, with all that cryptography says of it.
 *
 * It never changes, and several sets of rules may share it.  Everything that is judged about
 * members is judged over these.
 */
#ifndef MEDCHAIN_RULES_STATEMENT_H
#define MEDCHAIN_RULES_STATEMENT_H

#include "rules/facts.h"

/* What a contract may allow. */
typedef enum Capability
{
	CAPABILITY_ADMIT = 1, CAPABILITY_CONFIGURE = 2, CAPABILITY_ISSUE = 4, CAPABILITY_QUERY = 8,
	CAPABILITY_UPDATE = 16, CAPABILITY_AUDIT = 32, CAPABILITY_EMERGENCY = 64
} Capability;

#define CAPABILITIES_DATA_CENTER \
	(CAPABILITY_ADMIT | CAPABILITY_QUERY | CAPABILITY_UPDATE | CAPABILITY_AUDIT)

#define STATEMENT_GRACE_DAYS_MAX 366
#define STATEMENT_SIGNATURES 3	/* as a change of key needs */

/* A point of a member's chain, in a list of several. */
typedef struct StatementPoint
{
	const char *member;
	int64_t		size;
} StatementPoint;

/* Texts are as SQL's ->> has them; NULL where they are missing. */
typedef struct Statement
{
	Claim		claim;			/* effective and reason are not used */
	bool		empty;			/* says nothing */
	const char *member;
	const char *alliance;
	const char *contract;		/* acceptance, ending: its id */
	const char *why;			/* reason */
	const char *kind;			/* of a contract's member */
	const char *previous;		/* rekey: fingerprint of the key in force */
	const char *anchors;		/* genesis, renewal of trust anchors */
	bool		graced;			/* renewal: it says a time that is one: */
	int64_t		grace;			/* how long after the end the next one may come; -1: not said */
	const char *crl;
	bool		capable;		/* its capabilities are such */
	unsigned	capabilities;
	const char *capability_list;	/* as the state has it */
	bool		timed;			/* it has a period that is not empty */
	Period		valid;
	const CertificateFact *certificate;
	const KeyFact *public_key;
	ClaimPoint	last;
	bool		last_is_object;
	bool		points_valid;
	size_t		npoints;
	const StatementPoint *points;
	struct ForkProof *fork;		/* of that kind only */
	SignedText	envelope;

	/* Keys that were asked about last, and what came out. */
	struct
	{
		const KeyFact *key;
		const char *reason;
	}			signatures[STATEMENT_SIGNATURES];
	unsigned	nsignatures;	/* that were put there, one after the other */

	/* The certificate under the alliance's anchors: once these are known. */
	const char *path_anchors;
	const PathFact *path;
} Statement;

/* For as long as the facts are there; claim is copied. */
extern Statement *statement_new(Facts *facts, const Claim *claim, const char *payload, size_t len);

/* Why its certificate is not accepted under these anchors (NULL: there are none); NULL: it is. */
extern const char *statement_path(Facts *facts, Statement *said, const char *anchors);

/* Has that key signed its envelope?  NULL if so, or why not. */
extern const char *statement_signed(Facts *facts, Statement *said, const KeyFact *key);

#endif
