/*
 * claim.h: from an entry to a claim: what it is about, and what it says, opened.
 *
 * A claim is a function of its entry's text and of the block that the entry is in, and of nothing
 * else; what it is worth is judged elsewhere, by the others, as often as anything arrives.
 */
#ifndef MEDCHAIN_RULES_CLAIM_H
#define MEDCHAIN_RULES_CLAIM_H

#include "rules/entry.h"
#include "rules/period.h"
#include "rules/signed_text.h"

/* The kinds that the state depends on, in the order in which claims about a protocol are judged. */
typedef enum ClaimKind
{
	CLAIM_GENESIS, CLAIM_CONTRACT, CLAIM_ACCEPTANCE, CLAIM_CONFIGURE, CLAIM_SUSPEND,
	CLAIM_REINSTATE, CLAIM_EXPEL, CLAIM_ENDING, CLAIM_REKEY, CLAIM_CRL,
	CLAIM_ANCHORS, CLAIM_FORK,
	CLAIM_POLICY, CLAIM_EXAMINEE_KEY, CLAIM_EXAMINEE_WITHDRAWAL,
	CLAIM_PROTOCOL, CLAIM_AMENDMENT, CLAIM_REVOCATION, CLAIM_NOTE,
	CLAIM_BREAK_GLASS, CLAIM_JUSTIFICATION,
	CLAIM_BIND_ROLE,
	CLAIM_ADDRESS,
	CLAIM_KINDS
} ClaimKind;

#define CLAIM_SET(kind) (UINT32_C(1) << (kind))
#define CLAIM_SET_ALL (CLAIM_SET(CLAIM_KINDS) - 1)
#define CLAIM_SET_MEMBER (CLAIM_SET(CLAIM_POLICY) - 1)	/* about members */
#define CLAIM_SET_EXAMINEE \
	(CLAIM_SET(CLAIM_EXAMINEE_KEY) | CLAIM_SET(CLAIM_EXAMINEE_WITHDRAWAL))
#define CLAIM_SET_PROTOCOL \
	(CLAIM_SET(CLAIM_PROTOCOL) | CLAIM_SET(CLAIM_AMENDMENT) | CLAIM_SET(CLAIM_REVOCATION) | \
	 CLAIM_SET(CLAIM_NOTE))
#define CLAIM_SET_GLASS (CLAIM_SET(CLAIM_BREAK_GLASS) | CLAIM_SET(CLAIM_JUSTIFICATION))

#define CLAIM_UUID_SIZE 37

typedef struct Claim
{
	const char *origin;
	int64_t		seq;
	char		id[CLAIM_UUID_SIZE];
	ClaimKind	kind;
	int64_t		time;
	int64_t		height;			/* of the block it is in */
	int64_t		sealed;			/* what that block's header says */
	const char *about;			/* the member, protocol, ... this is about; may be empty */
	bool		has_subject;
	uint8_t		subject[HASH_LEN];
	JsonSlice	body;			/* signed payload already opened; {} says nothing */
	bool		unread;			/* the store has not read its body yet: nothing is in there */
	const char *canonical;		/* body as jsonb prints it, where that is known; NULL: not yet */
	uint8_t		leaf[HASH_LEN]; /* of the entry: what facts about it are kept under */
	bool		effective;
	const char *reason;			/* why it has no effect */
} Claim;

extern const char *claim_kind_name(ClaimKind kind);

/* False if the state does not depend on entries of that kind. */
extern bool claim_kind_from_name(const char *name, ClaimKind *kind);

/*
 * The claim that an entry makes, in the pool, not judged yet.  height and sealed are of its block.
 * False if the state does not depend on entries of its kind, or its text never was an entry.
 */
extern bool claim_read(Pool *pool, const char *payload, size_t len, const char *origin, int64_t seq,
					   int64_t height, int64_t sealed, Claim *claim);

/* The same, with the envelope that the entry is; without a type if entries of its kind are none. */
extern bool claim_read_envelope(Pool *pool, const char *payload, size_t len, const char *origin,
								int64_t seq, int64_t height, int64_t sealed, Claim *claim,
								SignedText *envelope);

/* The envelope that a claim's entry is, or has in it (acceptance): out of the entry's text. */
extern void claim_envelope(Pool *pool, const char *payload, size_t len, SignedText *envelope);

/* Says nothing: malformed, or what some programs take otherwise than others. */
extern bool claim_is_empty(const Claim *claim);

/* A point of a chain as the data centre names it; doc/ledger.md: last. */
typedef struct ClaimPoint
{
	bool		valid;
	int64_t		height;			/* -1: before the first block */
	int64_t		size;
	const char *height_text;	/* as it stands there */
	bool		has_hash;
	uint8_t		hash[HASH_LEN];
} ClaimPoint;

extern void claim_point(Pool *pool, JsonSlice value, ClaimPoint *point);

/* The size in it; false if there is none. */
extern bool claim_point_size(Pool *pool, JsonSlice value, int64_t *size);

/* Are all fields of an object points? */
extern bool claim_points_valid(Pool *pool, JsonSlice object);

#endif
