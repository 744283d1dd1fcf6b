/*
 * recovery_claims.h: what others say of this node's own chain that nobody can show.
 *
 * Members verify each other's blocks, and say so on their own chains: that this node has sealed a
 * block stands there also where the block itself does not.  While somebody who says so cannot be
 * asked, a node that does not have that block seals nothing in its place.  Who can be asked, and
 * has it not, has not said the truth, or has lost it: then his word counts no more.
 *
 * And where an administrator has said before that the node goes on without its peers
 * (take_over(without_peers => true), which is on its chain), what was known by then is decided.
 */
#ifndef MEDCHAIN_SYNC_RECOVERY_CLAIMS_H
#define MEDCHAIN_SYNC_RECOVERY_CLAIMS_H

#include "postgres.h"

#include "core/hash.h"
#include "node/shared.h"
#include "replication/walreceiver.h"

/* The last time that an administrator has said so. */
typedef struct RecoveryDecision
{
	int64		height;			/* of the block that says it; -1: there is none */
	uint8_t		hash[HASH_LEN];
	char		time[64];		/* when he did */
} RecoveryDecision;

/* In a trusted scope. */
extern void recovery_decision_read(const char *node, RecoveryDecision *decision);

/* What this peer has heard of our chain above that height, instead of what it had before. */
extern void recovery_claims_ask(WalReceiverConn *connection, const char *source, const char *node,
								int64 height, const RecoveryDecision *decision, TimestampTz until);

/*
 * Does somebody say that there is a block above that height, who has not been asked himself?  Then
 * what is to be said about it.
 */
extern bool recovery_claims_stand(int64 height, bool (*answered) (const char *member),
								  char why[SHARED_ERROR_LEN]);

extern void recovery_claims_forget(void);

#endif
