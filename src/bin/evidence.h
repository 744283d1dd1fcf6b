/*
 * evidence.h: who may sign what, read out of the chains themselves.
 *
 * The first entry of the data centre's chain names its certificate and the
 * trust anchors; its contracts name the members and their certificates; an end
 * node's configurations their ledger keys; and entries of the member itself, or of
 * the data centre after a loss, the keys that follow.
 */
#ifndef MEDCHAIN_BIN_EVIDENCE_H
#define MEDCHAIN_BIN_EVIDENCE_H

#include <jansson.h>

#include "core/certificate.h"
#include "core/key.h"

/* A key of a chain, from a height on. */
typedef struct LedgerKey
{
	int64_t		from_height;
	Key		   *key;
	bool		named;			/* the data centre named the block before: */
	uint8_t		follows[HASH_LEN];
} LedgerKey;

/* Entries of a chain that have no effect: the data centre suspended the member, or more. */
typedef struct Exclusion
{
	uint64_t	from;
	uint64_t	to;				/* UINT64_MAX: to its end */
} Exclusion;

#define EVIDENCE_CHANGES_MAX 256	/* keys, or exclusions, of one member */

typedef struct Member
{
	char	   *name;
	char	   *certificate;	/* PEM, of the newest contract */
	char	   *contracted[EVIDENCE_CHANGES_MAX];	/* those of all its contracts, as far as there
													 * is room */
	int			ncontracted;
	bool		configures;		/* an end node whose contract lets it configure ledgers */
	char	   *valid_from;		/* of its contract, as the ledger spells times; NULL: open */
	char	   *valid_to;
	char	   *configured;		/* when it was configured by an end node; NULL: by contract */
	int			configured_rank;	/* of that key: lower counts before higher */
	bool		used;			/* blocks were verified with its keys */
	LedgerKey	keys[EVIDENCE_CHANGES_MAX]; /* by height */
	int			nkeys;			/* 0: not configured (yet) */
	LedgerKey	lost[EVIDENCE_CHANGES_MAX]; /* keys that the data centre gave after a loss; some
											 * may be for a ledger still to be configured */
	int			nlost;
	Exclusion	exclusions[EVIDENCE_CHANGES_MAX];
	int			nexclusions;
	bool		expelled;
	int64_t		last_height;	/* expelled: of the last block that counts */
	struct Member *next;
} Member;

typedef struct Evidence
{
	char	   *alliance;
	char	   *data_center;
	char	   *anchors;		/* PEM: the user's, or else those of genesis */
	bool		own_anchors;	/* they are the user's */
	bool		has_end_node;	/* there was a contract with one */
	Member	   *members;
} Evidence;

/*
 * Learn from an entry of any chain, once its block, of that height, is verified.  False, with an
 * error, if it claims a certificate that is not accepted, or a signature that is not there.  What
 * has no authority is passed over, as it is in the database.
 */
extern bool evidence_learn(Evidence *evidence, const char *origin, uint64_t seq, int64_t height,
						   json_t *payload,
						   CoreError *error);

/*
 * Is this a kind of entry that evidence_learn() wants to see, of the data centre's chain or
 * another?
 */
extern bool evidence_wants(const char *kind, bool center);

/* The key of that height of a member's chain; NULL: not configured. */
extern const LedgerKey *evidence_key(const Member *member, int64_t height);

/*
 * Before the block of this height is verified: from here on a key counts that the data centre gave.
 */
extern bool evidence_reach(Member *member, int64_t height, CoreError *error);

/* The hash that the block of this height must have by the data centre's word, or NULL. */
extern const uint8_t *evidence_named(const Member *member, int64_t height);

/* The key of a genesis entry's certificate, before its block is verified; NULL with an error. */
extern Key *evidence_genesis_key(json_t *payload, CoreError *error);

extern Member *evidence_member(const Evidence *evidence, const char *name);
extern void evidence_free(Evidence *evidence);

#endif
