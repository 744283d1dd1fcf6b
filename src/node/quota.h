/*
 * quota.h: nobody takes all the room that there is for locks.
 */
#ifndef MEDCHAIN_NODE_QUOTA_H
#define MEDCHAIN_NODE_QUOTA_H

#include "postgres.h"

#include "datatype/timestamp.h"

/*
 * If there has been no room for locks for a while, and few have taken most of it, end the session
 * that has most.  Called now and then by the launcher, which is connected to no database; returns
 * when at the latest to call it again.
 */
extern TimestampTz quota_watch(void);

#endif
