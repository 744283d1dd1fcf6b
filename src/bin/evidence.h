/*
 * evidence.h: who may sign what, read out of the chains themselves.
 *
 * The first entry of the data centre's chain names its certificate and the
 * trust anchors; its contracts name the members and their certificates; an end
 * node's configurations their ledger keys.
 */
#ifndef MEDCHAIN_BIN_EVIDENCE_H
#define MEDCHAIN_BIN_EVIDENCE_H

#include <jansson.h>

#include "core/certificate.h"
#include "core/key.h"

typedef struct Member
{
	char	   *name;
	char	   *kind;
	Key		   *certificate_key;
	Key		   *ledger_key;		/* NULL: not configured (yet) */
	struct Member *next;
} Member;

typedef struct Evidence
{
	char	   *alliance;
	char	   *data_center;
	char	   *anchors;		/* PEM: the user's, or else those of genesis */
	bool		own_anchors;	/* they are the user's */
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
