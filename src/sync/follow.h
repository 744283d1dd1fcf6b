/*
 * follow.h: following members as they come (medchain.auto_follow).
 */
#ifndef MEDCHAIN_SYNC_FOLLOW_H
#define MEDCHAIN_SYNC_FOLLOW_H

#include "postgres.h"

/* For the keeper: have the worker started that does it, if it is to be done. */
extern void follow_call(void);

/* Main function of the worker. */
extern PGDLLEXPORT void medchain_follower_main(Datum database);

#endif
