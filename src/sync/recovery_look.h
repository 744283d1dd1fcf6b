/*
 * recovery_look.h: what one peer has of the end of this node's own chain.
 */
#ifndef MEDCHAIN_SYNC_RECOVERY_LOOK_H
#define MEDCHAIN_SYNC_RECOVERY_LOOK_H

#include "postgres.h"

#include "node/shared.h"
#include "replication/walreceiver.h"

typedef enum RecoveryAnswer
{
	ANSWER_NONE,
	ANSWER_SAME,				/* nothing that is not here */
	ANSWER_MORE,
	ANSWER_OTHER				/* another chain */
} RecoveryAnswer;

/*
 * What has it of our chain?  *height: of our last block.  ERROR if it does not answer.
 *
 * A chain that parts from ours before an administrator said that this node goes on alone has been
 * decided about: that there is another one is said in the log, and no reason to stop any more.
 */
extern RecoveryAnswer recovery_look(SharedDatabase *slot, WalReceiverConn *connection,
									const char *source, int64 *height);

#endif
