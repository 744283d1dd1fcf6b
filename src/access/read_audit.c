/*
 * read_audit.c: who reads rows of protected tables goes on the ledger before they leave.
 *
 * A run of a query, or of a part of it (FETCH), that reads such rows keeps its result back until
 * the audit worker has recorded whose they are; only then do they go on to the client.  So do those
 * of functions and triggers, which may give them away as they like, at the end of each of their
 * queries.  An error, which may quote a value, waits as well, and a notice (read_gate.c).
 *
 * What goes on the ledger does so in a transaction of the worker's, whatever becomes of this one.
 * Where that cannot be had the statement fails.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xlog.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "utils/memutils.h"

#include "access/audit_queue.h"
#include "access/read_audit.h"
#include "access/read_gate.h"
#include "access/read_hold.h"
#include "access/read_scan.h"
#include "compat.h"
#include "core/hash.h"
#include "ledger/home.h"
#include "ledger/pseudonym.h"
#include "node/settings.h"

static ExecutorStart_hook_type previous_start = NULL;
static ExecutorRun_hook_type previous_run = NULL;
static ExecutorFinish_hook_type previous_finish = NULL;

static ReadQuery *queries = NULL;	/* of this session, the newest first */
static int	checks = 0;			/* runs of foreign keys' own queries at work */
static int	said = READ_AUDIT_DEFAULT;	/* medchain.read_audit, as the ledger has it */

/* ----- what is to be recorded ----- */

static const char *
audit_operation(CmdType operation)
{
	switch (operation)
	{
		case CMD_SELECT:
			return "select";
		case CMD_INSERT:
			return "insert";
		case CMD_UPDATE:
			return "update";
		case CMD_DELETE:
			return "delete";
		default:
			return "merge";
	}
}

static void
audit_fill_context(ReadQuery *read)
{
	MemoryContext old = MemoryContextSwitchTo(read->query->estate->es_query_cxt);
	uint8		nobody[HASH_LEN];

	/* so that its key is known when a pseudonym is asked for after an error */
	pseudonym_of("", 0, nobody);
	read_context_fill(&read->context, audit_operation(read->query->operation),
					  read->query->sourceText, (uint64) read->query->plannedstmt->queryId);
	read->has_context = true;
	MemoryContextSwitchTo(old);
}

/* The ledger is to have how this session's reads are recorded. */
static void
audit_say_setting(ReadQuery *read)
{
	static const char *const names[] = {"off", "async", "strict"};
	StringInfoData message;

	if (said == setting_read_audit)
		return;
	initStringInfo(&message);
	read_entry_add_setting(&message, &read->context, names[setting_read_audit]);
	(void) audit_queue_send(&message, true, false);
	pfree(message.data);
	said = setting_read_audit;
}

/* Nothing of it was recorded: nor is it to be again. */
static bool
audit_is_due(const ReadTable *table, ReadOutcome outcome)
{
	return read_set_fresh(table->set) > 0 ||
		(outcome == READ_DONE && !table->recorded && read_set_rows(table->set) > 0) ||
		(outcome == READ_REFUSED && table->written) ||
		(outcome != READ_DONE && !table->recorded && read_set_rows(table->set) > 0);
}

/* A message about what a query has read since the last time; empty: nothing. */
static void
audit_compose(ReadQuery *read, ReadOutcome outcome, StringInfo message)
{
	ListCell   *cell;

	initStringInfo(message);
	foreach(cell, read->tables)
	{
		ReadTable  *table = lfirst(cell);

		if (audit_is_due(table, outcome))
			read_entry_add(message, &read->context, table->name,
						   table->is_open ? "owner" : "protocol", outcome, table->set);
	}
}

/* It has been recorded. */
static void
audit_taken(ReadQuery *read)
{
	ListCell   *cell;

	foreach(cell, read->tables)
	{
		ReadTable  *table = lfirst(cell);

		table->recorded |= read_set_rows(table->set) > 0;
		read_set_taken(table->set);
	}
}

/*
 * Record it.  An ERROR leaves the query as one that is being recorded: it is not tried again when
 * that error is handled.
 */
static bool
audit_record(ReadQuery *read, ReadOutcome outcome, bool in_error)
{
	MemoryContext context;
	MemoryContext old;
	StringInfoData message;
	bool		done = true;

	if (!read->has_context || read->recording)
		return true;
	if (setting_read_audit == READ_AUDIT_OFF)
	{
		audit_taken(read);
		return true;
	}
	read->recording = true;
	context = AllocSetContextCreate(read->query->estate->es_query_cxt, "medchain access records",
									ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	audit_compose(read, outcome, &message);
	if (message.len > 0)
	{
		done = audit_queue_send(&message, setting_read_audit == READ_AUDIT_STRICT, in_error);
		if (done)
			audit_taken(read);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	read->recording = false;
	return done;
}

/* There is no room for more subjects in what that query has read: record them. */
static void
audit_full(ReadQuery *read)
{
	(void) audit_record(read, READ_DONE, false);
}

void
read_audit_met(MemoryContext executor, Oid root, ReadColumn *column, TupleTableSlot *slot)
{
	ReadQuery  *read = queries;
	ListCell   *cell;

	while (read != NULL && read->query->estate->es_query_cxt != executor)
		read = read->next;
	if (read == NULL)
		return;					/* nothing is to be recorded */
	foreach(cell, read->tables)
	{
		ReadTable  *table = lfirst(cell);

		if (table->root == root && !read_set_add(table->set, column, slot))
			audit_full(read);
	}
}

/*
 * What the statements at work have read and nobody has recorded yet is to be recorded now.  False:
 * that cannot be; never an error.
 */
static bool
audit_record_all(void)
{
	bool		done = true;

	for (ReadQuery *read = queries; read != NULL; read = read->next)
		if (read->has_context && !read->recording)
		{
			read_scan_midway(read);
			done = audit_record(read, READ_DONE, true) && done;
		}
	return done;
}

/* ... in front of a message; where rows leave at once, their query is recorded in the end. */
static bool
audit_settle(void)
{
	return setting_read_audit != READ_AUDIT_STRICT || audit_record_all();
}

/* before_shmem_exit: where there is no client any more, nobody is sent a message first. */
static void
audit_exit(int code, Datum arg)
{
	LWLockReleaseAll();
	(void) audit_record_all();
}

static void
audit_prepare(void)
{
	static bool prepared = false;

	read_gate_close(audit_settle);
	if (!prepared)
		before_shmem_exit(audit_exit, (Datum) 0);
	prepared = true;
}

/* ----- the start of a query ----- */

static void
audit_ended(void *arg)
{
	ReadQuery **at = &queries;

	while (*at != arg)
		at = &(*at)->next;
	*at = (*at)->next;
	read_scan_forget((ReadQuery *) arg);
}

static void
audit_begin(QueryDesc *query)
{
	ReadQuery  *read = MemoryContextAllocZero(query->estate->es_query_cxt, sizeof(ReadQuery));

	read->query = query;
	read->full = audit_full;
	read->next = queries;
	queries = read;
	read->ended.func = audit_ended;
	read->ended.arg = read;
	MemoryContextRegisterResetCallback(query->estate->es_query_cxt, &read->ended);
	read_scan_watch(read);
}

/* Workers would read what this process does not see. */
static void
audit_prevent_parallel(QueryDesc *query)
{
	PlannedStmt *alone;

	if (!query->plannedstmt->parallelModeNeeded)
		return;
	alone = palloc(sizeof(PlannedStmt));
	*alone = *query->plannedstmt;
	alone->parallelModeNeeded = false;
	query->plannedstmt = alone;
}

bool
read_audit_is_on(void)
{
	return setting_read_audit != READ_AUDIT_OFF || said != READ_AUDIT_OFF;
}

/* Foreign keys look at rows by themselves, and show them to nobody: the outermost such query. */
static bool
audit_is_check(void)
{
	return InNoForceRLSOperation() && checks == 0;
}

static void
audit_executor_start(QueryDesc *queryDesc, int eflags)
{
	bool		concerned = read_audit_is_on() && !audit_is_check() &&
	read_scan_concerned(queryDesc->plannedstmt);

	if (concerned && IsParallelWorker())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_STATE),
				 errmsg("protected tables cannot be read in a parallel worker"),
				 errhint("Mark the function that reads them PARALLEL RESTRICTED, or UNSAFE.")));
	if (concerned)
		audit_prevent_parallel(queryDesc);
	if (previous_start)
		previous_start(queryDesc, eflags);
	else
		standard_ExecutorStart(queryDesc, eflags);
	if (concerned && (eflags & EXEC_FLAG_EXPLAIN_ONLY) == 0)
		audit_begin(queryDesc);
}

/* ----- its runs ----- */

static ReadQuery *
audit_find(const QueryDesc *query)
{
	ReadQuery  *read = queries;

	while (read != NULL && read->query != query)
		read = read->next;
	return read;
}

/*
 * A copy of the database has no ledger that it could go on: nor can it be asked for there.  Whom
 * somebody lets read his private copy, is his business.
 */
static bool
audit_is_wanted(void)
{
	HomeStatus	home;

	if (!read_audit_is_on())
		return false;
	home = home_status();
	return home != HOME_NONE &&
		!(home == HOME_COPY && (setting_read_audit == READ_AUDIT_OFF || home_is_private()));
}

static void
audit_require_place(void)
{
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("protected tables cannot be read during recovery"),
				 errdetail("Who reads them goes on the ledger, which a standby cannot write."),
				 errhint("Read them on the primary.")));
	if (!IsUnderPostmaster)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("protected tables cannot be read in this mode of the server"),
				 errdetail("No workers run in it that put on the ledger who has read them."),
				 errhint("Start the server as usual.")));
}

static void
audit_run(COMPAT_EXECUTOR_RUN_PARAMETERS)
{
	if (previous_run)
		previous_run(COMPAT_EXECUTOR_RUN_ARGUMENTS);
	else
		standard_ExecutorRun(COMPAT_EXECUTOR_RUN_ARGUMENTS);
}

static ReadOutcome
audit_outcome(void)
{
	switch (geterrcode())
	{
		case ERRCODE_QUERY_CANCELED:
		case ERRCODE_ADMIN_SHUTDOWN:
			return READ_CANCELLED;
		case ERRCODE_INSUFFICIENT_PRIVILEGE:
			return READ_REFUSED;
		default:
			return READ_FAILED;
	}
}

/*
 * In a PG_CATCH block.  What was read may be in the error; the transaction is lost anyway, and what
 * its end would let go of now, others must not wait for while we do.  What cannot be recorded is
 * not shown either: another ERROR instead.
 */
static void
audit_failed(ReadQuery *read)
{
	ReadOutcome outcome = audit_outcome();

	LWLockReleaseAll();
	UnlockBuffers();
	if (!read->recording)
		read_scan_midway(read);
	if (audit_record(read, outcome, true) || setting_read_audit != READ_AUDIT_STRICT)
		return;
	FlushErrorState();
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the access to protected rows cannot be recorded"),
			 errdetail("The statement has failed. Why is not shown, as it may quote what was "
					   "read."),
			 errhint("See the server log. Rows are not shown until it is on the ledger who has "
					 "read them.")));
}

static void
audit_watched_run(ReadQuery *read, COMPAT_EXECUTOR_RUN_PARAMETERS)
{
	DestReceiver *dest = queryDesc->dest;
	DestReceiver *volatile hold = NULL;

	audit_require_place();
	audit_fill_context(read);
	audit_say_setting(read);
	audit_prepare();
	if (setting_read_audit == READ_AUDIT_STRICT && read_hold_needed(dest))
		queryDesc->dest = hold = read_hold_create(queryDesc);
	PG_TRY();
	{
		read_scan_again(read);
		audit_run(COMPAT_EXECUTOR_RUN_ARGUMENTS);
		queryDesc->dest = dest;
		(void) audit_record(read, READ_DONE, false);
	}
	PG_CATCH();
	{
		queryDesc->dest = dest;
		audit_failed(read);
		PG_RE_THROW();
	}
	PG_END_TRY();
	if (hold != NULL)
	{
		read_hold_release(hold, dest);
		read_hold_free(hold);
	}
}

/* A foreign key's own query: what it calls is none of that. */
static void
audit_check_run(COMPAT_EXECUTOR_RUN_PARAMETERS)
{
	checks++;
	PG_TRY();
	{
		audit_run(COMPAT_EXECUTOR_RUN_ARGUMENTS);
	}
	PG_FINALLY();
	{
		checks--;
	}
	PG_END_TRY();
}

static void
audit_executor_run(COMPAT_EXECUTOR_RUN_PARAMETERS)
{
	ReadQuery  *read = audit_find(queryDesc);

	if (read != NULL && audit_is_wanted())
		audit_watched_run(read, COMPAT_EXECUTOR_RUN_ARGUMENTS);
	else if (read_audit_is_on() && audit_is_check())
		audit_check_run(COMPAT_EXECUTOR_RUN_ARGUMENTS);
	else
		audit_run(COMPAT_EXECUTOR_RUN_ARGUMENTS);
}

/* What WITH has left to be changed is changed now. */
static void
audit_executor_finish(QueryDesc *queryDesc)
{
	ReadQuery  *volatile read = audit_find(queryDesc);

	PG_TRY();
	{
		if (previous_finish)
			previous_finish(queryDesc);
		else
			standard_ExecutorFinish(queryDesc);
	}
	PG_CATCH();
	{
		if (read != NULL)
			audit_failed(read);
		PG_RE_THROW();
	}
	PG_END_TRY();
	if (read != NULL)
		(void) audit_record(read, READ_DONE, false);
}

void
read_audit_install(void)
{
	previous_start = ExecutorStart_hook;
	ExecutorStart_hook = audit_executor_start;
	previous_run = ExecutorRun_hook;
	ExecutorRun_hook = audit_executor_run;
	previous_finish = ExecutorFinish_hook;
	ExecutorFinish_hook = audit_executor_finish;
}
