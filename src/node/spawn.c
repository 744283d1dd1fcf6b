/*
 * spawn.c: starting one worker in one database.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/lock.h"
#include "utils/inval.h"
#include "utils/syscache.h"

#include "compat.h"
#include "node/spawn.h"

static const char *const worker_function[WORKER_KINDS] = {
	"medchain_sealer_main", "medchain_keeper_main", "medchain_fetcher_main",
	"medchain_auditor_main", "medchain_follower_main"
};
static const char *const worker_name[WORKER_KINDS] = {
	"medchain sealer", "medchain keeper", "medchain fetcher", "medchain auditor",
	"medchain follower"
};

bool
spawn_worker(Oid database, WorkerKind kind)
{
	BackgroundWorker worker = {0};
	BackgroundWorkerHandle *handle;
	pid_t		pid;

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION |
		COMPAT_BGWORKER_INTERRUPTIBLE;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;	/* the launcher sees to that */
	strlcpy(worker.bgw_library_name, "medchain", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, worker_function[kind], BGW_MAXLEN);
	snprintf(worker.bgw_name, BGW_MAXLEN, "%s for database %u", worker_name[kind], database);
	strlcpy(worker.bgw_type, worker_name[kind], BGW_MAXLEN);
	worker.bgw_main_arg = ObjectIdGetDatum(database);
	worker.bgw_notify_pid = MyProcPid;
	if (!RegisterDynamicBackgroundWorker(&worker, &handle))
		return false;
	(void) WaitForBackgroundWorkerStartup(handle, &pid);
	pfree(handle);
	return true;
}

/*
 * Who connects to a database locks it like this; a command that wants it for itself does not let
 * him.
 */
static bool
spawn_database_is_locked(Oid database)
{
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, InvalidOid, DatabaseRelationId, database, 0);
	if (LockAcquire(&tag, RowExclusiveLock, false, true) == LOCKACQUIRE_NOT_AVAIL)
		return true;
	AcceptInvalidationMessages();	/* what he changed before he let go */
	(void) LockRelease(&tag, RowExclusiveLock, false);
	return false;
}

SpawnResult
spawn_check(Oid database)
{
	HeapTuple	tuple;
	Form_pg_database form;
	bool		closed;

	if (spawn_database_is_locked(database))
		return SPAWN_DATABASE_LOCKED;
	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(database));
	if (!HeapTupleIsValid(tuple))
		return SPAWN_DROPPED;
	form = (Form_pg_database) GETSTRUCT(tuple);
	closed = !form->datallowconn || database_is_invalid_form(form);
	ReleaseSysCache(tuple);
	return closed ? SPAWN_NO_CONNECTIONS : SPAWN_STARTED;
}
