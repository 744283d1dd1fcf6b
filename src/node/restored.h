/*
 * restored.h: was this server's data directory restored from a backup?
 *
 * A base backup has the system identifier of its origin, and everything else.  But the server that
 * starts from it finds backup_label, and one that recovers to a point in time recovery.signal:
 * from then on the data directory has a number of its own, in a file that goes along with its
 * standbys and backups.  A standby is not restored, it goes on with its primary: standby.signal.
 */
#ifndef MEDCHAIN_NODE_RESTORED_H
#define MEDCHAIN_NODE_RESTORED_H

#include "postgres.h"

#define RESTORED_FILE "medchain_restored"
#define RESTORED_ID_LEN 16		/* hexadecimal digits */

/* In the postmaster, before recovery begins. */
extern void restored_look(void);

/* The number; empty: it was never restored. */
extern const char *restored_id(void);

#endif
