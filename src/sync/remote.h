/*
 * remote.h: talk to a peer's database.
 */
#ifndef MEDCHAIN_SYNC_REMOTE_H
#define MEDCHAIN_SYNC_REMOTE_H

#include "postgres.h"
#include "replication/walreceiver.h"

/* ERROR, with the peer's words, if it can't be reached. */
extern WalReceiverConn *remote_connect(const char *conninfo);

#endif
