/*
 * spawn.h: starting one worker in one database, for the launcher.
 */
#ifndef MEDCHAIN_NODE_SPAWN_H
#define MEDCHAIN_NODE_SPAWN_H

#include "postgres.h"

#include "node/shared.h"

/* What became of an attempt to start a worker. */
typedef enum SpawnResult
{
	SPAWN_STARTED,
	SPAWN_NO_ROOM,
	SPAWN_LATER,				/* no room, for a moment */
	SPAWN_NO_CONNECTIONS,
	SPAWN_DATABASE_LOCKED,
	SPAWN_DROPPED
} SpawnResult;

/*
 * Can a worker connect there?  What fails here would be a FATAL error in the log there.  In a
 * transaction.
 */
extern SpawnResult spawn_check(Oid database);

/* Start it, and wait until it has begun.  False: max_worker_processes are running. */
extern bool spawn_worker(Oid database, WorkerKind kind);

#endif
