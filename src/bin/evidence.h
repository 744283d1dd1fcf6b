/*
 * evidence.h: who may sign what, read out of the chains themselves.
 *
 * The first entry of the data centre's chain names its certificate and the
 * trust anchors; its contracts name the members and their certificates; an end
 * node's configurations their ledger keys.
 */
#ifndef MEDCHAIN_BIN_EVIDENCE_H
#define MEDCHAIN_BIN_EVIDENCE_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "core/certificate.h"
#include "core/key.h"

typedef struct Member
{
	char	   *name;
	char	   *certificate;	/* PEM */
	bool		configures;		/* an end node whose contract lets it configure ledgers */
	char	   *valid_from;		/* of its contract, as the ledger spells times; NULL: open */
	char	   *valid_to;
	Key		   *ledger_key;		/* NULL: not configured (yet) */
	char	   *configured;		/* when it was configured by an end node; NULL: by contract */
	bool		used;			/* blocks were verified with the key */
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
 * Learn from an entry of the data centre's or an end node's chain, once its block is verified.  False, with an error,
 * if it claims a certificate that is not accepted, or a signature that is not there.  What has no authority is
 * passed over, as it is in the database.
 */
extern bool evidence_learn(Evidence *evidence, const char *origin, uint64_t seq, json_t *payload, CoreError *error);

/* The key of a genesis entry's certificate, before its block is verified; NULL with an error. */
extern Key *evidence_genesis_key(json_t *payload, CoreError *error);

extern Member *evidence_member(const Evidence *evidence, const char *name);
extern void evidence_free(Evidence *evidence);

#endif
