/*
 * yield.c: the workers step aside for who wants a database, or medchain's tables, for himself.
 *
 * DROP DATABASE, CREATE DATABASE ... TEMPLATE, ALTER DATABASE ... RENAME TO and SET TABLESPACE
 * fail while anybody is connected, and DROP DATABASE ... WITH (FORCE) while somebody is whom the
 * caller may not terminate: our workers run as superuser.  So they are asked out before the
 * command begins, and stay out as long as it runs.  Who may not give the command can't have them
 * interrupted by giving it.
 *
 * DROP EXTENSION medchain takes its tables one after the other, and a worker that has one and waits
 * for the next would be a deadlock; so would be an update of the extension, which alters them.
 *
 * PostgreSQL 19 does the half of that itself (BGWORKER_INTERRUPTIBLE, see compat.h); it comes
 * after WITH (FORCE) has looked whom it may terminate.
 */
#include "postgres.h"

#include <signal.h>

#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "compat.h"
#include "node/shared.h"
#include "node/steady.h"
#include "node/yield.h"

#define YIELD_POLITE 100		/* milliseconds a worker has to find out by itself; then its
								 * statement is cancelled, which it does not complain of */
#define YIELD_CANCEL 3000		/* milliseconds until it is terminated, which PostgreSQL logs */
#define YIELD_PATIENCE 5000		/* milliseconds until we let PostgreSQL say that somebody is
								 * connected */
#define YIELD_SLICE 20			/* milliseconds between looks */

#define YIELD_DEFAULT_TEMPLATE "template1"

static ProcessUtility_hook_type next_utility = NULL;

/* PostgreSQL's own have_createdb_privilege() is to be had in the later minor releases only. */
static bool
yield_may_create(void)
{
	HeapTuple	tuple;
	bool		may = superuser();

	if (!may && HeapTupleIsValid(tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(GetUserId()))))
	{
		may = ((Form_pg_authid) GETSTRUCT(tuple))->rolcreatedb;
		ReleaseSysCache(tuple);
	}
	return may;
}

/* Is it about medchain, and the caller's own? */
static bool
yield_is_ours(const char *extension)
{
	Oid			ours;

	if (strcmp(extension, "medchain") != 0 || !IsTransactionState())
		return false;
	ours = get_extension_oid(extension, true);
	return OidIsValid(ours) && compat_extension_ownercheck(ours, GetUserId());
}

/* Does the command need all of medchain's tables in this database? */
static bool
yield_wants_tables(Node *node)
{
	ListCell   *cell;

	if (IsA(node, AlterExtensionStmt))
		return yield_is_ours(castNode(AlterExtensionStmt, node)->extname);
	if (!IsA(node, DropStmt) || castNode(DropStmt, node)->removeType != OBJECT_EXTENSION)
		return false;
	foreach(cell, castNode(DropStmt, node)->objects)
		if (yield_is_ours(strVal(lfirst(cell))))
		return true;
	return false;
}

/*
 * The database that the command wants for itself, if its caller may have that; InvalidOid
 * otherwise.
 */
static Oid
yield_wanted(Node *node)
{
	const char *name = NULL;
	bool		creates = false;	/* a database or a new name: takes CREATEDB */
	bool		copies = false;
	Oid			database;
	HeapTuple	tuple;
	bool		is_template;
	ListCell   *cell;

	if (yield_wants_tables(node))
		return MyDatabaseId;
	switch (nodeTag(node))
	{
		case T_DropdbStmt:
			name = castNode(DropdbStmt, node)->dbname;
			break;
		case T_CreatedbStmt:
			name = YIELD_DEFAULT_TEMPLATE;
			creates = copies = true;
			foreach(cell, castNode(CreatedbStmt, node)->options)
			{
				DefElem    *option = lfirst_node(DefElem, cell);

				if (strcmp(option->defname, "template") == 0 && option->arg != NULL)
					name = defGetString(option);
			}
			break;
		case T_AlterDatabaseStmt:
			foreach(cell, castNode(AlterDatabaseStmt, node)->options)
				if (strcmp(lfirst_node(DefElem, cell)->defname, "tablespace") == 0)
				name = castNode(AlterDatabaseStmt, node)->dbname;
			break;
		case T_RenameStmt:
			if (castNode(RenameStmt, node)->renameType == OBJECT_DATABASE)
				name = castNode(RenameStmt, node)->subname;
			creates = true;
			break;
		default:
			break;
	}

	/*
	 * only now: in an aborted transaction nobody may look into a catalog, not even for who is
	 * superuser
	 */
	if (name == NULL || !IsTransactionState())
		return InvalidOid;
	if (creates && !yield_may_create())
		return InvalidOid;
	database = get_database_oid(name, true);
	if (!OidIsValid(database) || database == MyDatabaseId)
		return InvalidOid;
	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(database));
	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	is_template = ((Form_pg_database) GETSTRUCT(tuple))->datistemplate;
	ReleaseSysCache(tuple);
	if (!(copies && is_template) && !compat_database_ownercheck(database, GetUserId()))
		return InvalidOid;
	return database;
}

/* How the workers are told, from one to the next as time passes. */
typedef enum YieldManner
{
	YIELD_BY_LATCH,
	YIELD_BY_CANCEL,
	YIELD_BY_TERMINATION
} YieldManner;

static YieldManner
yield_manner(TimestampTz start)
{
	TimestampTz now = steady_now();

	if (TimestampDifferenceExceeds(start, now, YIELD_CANCEL))
		return YIELD_BY_TERMINATION;
	return TimestampDifferenceExceeds(start, now, YIELD_POLITE) ? YIELD_BY_CANCEL : YIELD_BY_LATCH;
}

/*
 * Tell the workers that are there; false: none is left.  One that has not settled could not take
 * a cancelled statement for what it is, and looks for itself when it has.
 */
static bool
yield_ask(SharedDatabase *slot, YieldManner manner)
{
	bool		any = false;

	LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
	for (int kind = 0; kind < WORKER_KINDS; kind++)
	{
		SharedWorker *worker = &slot->workers[kind];

		if (worker->pid == 0)
			continue;
		any = true;

		/* each with the command that it asks for a passphrase, and waits for whatever it is told */
		if (manner == YIELD_BY_TERMINATION)
			(void) kill(-worker->pid, SIGTERM);
		else if (manner == YIELD_BY_CANCEL && worker->settled)
			(void) kill(-worker->pid, SIGINT);
		if (worker->latch != NULL)
			SetLatch(worker->latch);
	}
	LWLockRelease(shared_state->lock);
	return any;
}

/* Wait until no worker is left, or it has taken too long. */
static void
yield_wait(SharedDatabase *slot)
{
	TimestampTz start = steady_now();
	YieldManner manner = YIELD_BY_LATCH;

	ConditionVariablePrepareToSleep(&slot->changed);
	while (yield_ask(slot, manner))
	{
		if (TimestampDifferenceExceeds(start, steady_now(), YIELD_PATIENCE))
			break;
		ConditionVariableTimedSleep(&slot->changed,
									manner == YIELD_BY_LATCH ? YIELD_SLICE : YIELD_POLITE,
									compat_wait_event("MedchainWorkerStop"));
		manner = yield_manner(start);
	}
	ConditionVariableCancelSleep();
}

/* The other end of yield_begin(), also of a command that failed or a session that dies in it. */
static void
yield_end(int code, Datum database)
{
	SharedDatabase *slot;

	LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
	slot = shared_slot(DatumGetObjectId(database), false);
	if (slot != NULL)
	{
		slot->barred--;
		shared_release(slot, false);
	}
	if (shared_state->launcher_latch != NULL)
		SetLatch(shared_state->launcher_latch);
	LWLockRelease(shared_state->lock);
}

/* From here to yield_end() no worker starts in the database.  NULL: there is no slot to say so. */
static SharedDatabase *
yield_begin(Oid database)
{
	SharedDatabase *slot;

	LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
	slot = shared_slot(database, true);
	if (slot != NULL)
		slot->barred++;
	LWLockRelease(shared_state->lock);
	return slot;
}

/* The database is gone. */
static void
yield_dropped(Oid database)
{
	SharedDatabase *slot;

	LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
	slot = shared_slot(database, false);
	if (slot != NULL)
		shared_release(slot, true);
	LWLockRelease(shared_state->lock);
}

/* Run the command while no worker is there. */
static void
yield_run(SharedDatabase *slot, Oid database, PlannedStmt *statement, const char *query,
		  bool read_only_tree, ProcessUtilityContext context, ParamListInfo params,
		  QueryEnvironment *environment, DestReceiver *dest, QueryCompletion *completion)
{
	PG_ENSURE_ERROR_CLEANUP(yield_end, ObjectIdGetDatum(database));
	{
		yield_wait(slot);
		next_utility(statement, query, read_only_tree, context, params, environment, dest,
					 completion);
	}
	PG_END_ENSURE_ERROR_CLEANUP(yield_end, ObjectIdGetDatum(database));
	yield_end(0, ObjectIdGetDatum(database));
}

static void
yield_utility(PlannedStmt *statement, const char *query, bool read_only_tree,
			  ProcessUtilityContext context, ParamListInfo params, QueryEnvironment *environment,
			  DestReceiver *dest, QueryCompletion *completion)
{
	Oid			database = yield_wanted(statement->utilityStmt);
	SharedDatabase *slot = OidIsValid(database) ? yield_begin(database) : NULL;

	if (slot == NULL)
	{
		next_utility(statement, query, read_only_tree, context, params, environment, dest,
					 completion);
		return;
	}
	yield_run(slot, database, statement, query, read_only_tree, context, params, environment, dest,
			  completion);
	if (IsA(statement->utilityStmt, DropdbStmt))
		yield_dropped(database);
}

void
yield_install(void)
{
	next_utility = ProcessUtility_hook ? ProcessUtility_hook : standard_ProcessUtility;
	ProcessUtility_hook = yield_utility;
}
