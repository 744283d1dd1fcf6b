/*
 * follow.c: the worker that follows members as they come, and lets go of those expelled
 * (medchain.auto_follow).
 *
 * To follow somebody takes a connection to where he says he is, and a slot there, which waits for
 * that server's transactions: nobody else's work waits for it, as it is done by a process of its
 * own.  Who cannot be reached is tried again after a pause that doubles from five seconds to ten
 * minutes.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "fmgr.h"
#include "ledger/local_node.h"
#include "node/settings.h"
#include "node/shared.h"
#include "node/steady.h"
#include "node/trusted.h"
#include "node/worker.h"
#include "sync/follow.h"
#include "sync/hold.h"

#define FOLLOW_LOOK 10000		/* milliseconds between looks for something to do, where the state
								 * has not changed */
#define FOLLOW_SLEEP 1000		/* ... whether it has */
#define FOLLOW_STAY 60000		/* milliseconds to look for addresses after follow_all() */
#define FOLLOW_PATIENCE 60000	/* milliseconds for one member */
#define FOLLOW_PAUSE_FIRST 5000 /* milliseconds until it is tried again; doubles */
#define FOLLOW_PAUSE_LAST 600000

/* Something to do, and how often it was tried in vain. */
typedef struct FollowTask
{
	char	   *member;
	bool		leave;
	int			failures;
	TimestampTz next;
	LastComplaint complaint;
	bool		due;			/* it still has to be done */
} FollowTask;

static List *tasks = NIL;		/* in TopMemoryContext */

static FollowTask *
follow_task(const char *member, bool leave)
{
	MemoryContext old;
	FollowTask *task;
	ListCell   *cell;

	foreach(cell, tasks)
	{
		task = lfirst(cell);
		if (task->leave == leave && strcmp(task->member, member) == 0)
			return task;
	}
	old = MemoryContextSwitchTo(TopMemoryContext);
	task = palloc0(sizeof(FollowTask));
	task->member = pstrdup(member);
	task->leave = leave;
	tasks = lappend(tasks, task);
	MemoryContextSwitchTo(old);
	return task;
}

/* What has to be done now; what need not be any more is forgotten. */
static void
follow_look(SharedDatabase *slot)
{
	static SPIPlanPtr ask = NULL;
	static SPIPlanPtr plan = NULL;
	TrustedScope scope;
	ListCell   *cell;

	foreach(cell, tasks)
		((FollowTask *) lfirst(cell))->due = false;
	worker_begin(slot, "looking whom to follow");
	trusted_begin(&scope);
	trusted_execute(&ask, "SELECT medchain_internal.ask_for_chains()", 0, NULL, NULL, NULL,
					false);
	trusted_execute(&plan, "SELECT d.member, d.leave FROM medchain_internal.follow_due() d",
					0, NULL, NULL, NULL, false);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		char	   *member = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);

		follow_task(member, DatumGetBool(SPI_getbinval(SPI_tuptable->vals[i],
													   SPI_tuptable->tupdesc, 2,
													   &isnull)))->due = true;
	}
	SPI_freetuptable(SPI_tuptable);
	trusted_end(&scope);
	worker_commit();
	foreach(cell, tasks)
	{
		FollowTask *task = lfirst(cell);

		if (task->due)
			continue;
		tasks = foreach_delete_current(tasks, cell);
		pfree(task->member);
		pfree(task);
	}
}

/* One member, in a transaction of its own. */
static void
follow_do(SharedDatabase *slot, FollowTask *task)
{
	static SPIPlanPtr plan = NULL;
	MemoryContext context = CurrentMemoryContext;
	volatile bool done = false;

	PG_TRY();
	{
		Oid			types[2] = {TEXTOID, BOOLOID};
		Datum		values[2];
		TrustedScope scope;

		worker_begin(slot, task->leave ? "letting go of a peer" : "connecting to a peer");
		enable_timeout_after(STATEMENT_TIMEOUT, FOLLOW_PATIENCE);
		trusted_begin(&scope);
		values[0] = CStringGetTextDatum(task->member);
		values[1] = BoolGetDatum(task->leave);
		trusted_execute(&plan, "SELECT medchain_internal.follow_one($1, $2)", 2, types, values,
						NULL, false);
		trusted_end(&scope);
		disable_timeout(STATEMENT_TIMEOUT, false);
		worker_commit();
		done = true;
	}
	PG_CATCH();
	{
		disable_timeout(STATEMENT_TIMEOUT, false);
		(void) worker_recover(context, &task->complaint,
							  psprintf("following \"%s\"", task->member));
	}
	PG_END_TRY();
	QueryCancelPending = false; /* it came as we were done */
	MemoryContextSwitchTo(context);
	if (!done)
	{
		int			pause = FOLLOW_PAUSE_FIRST;

		for (int i = 0; i < task->failures && pause < FOLLOW_PAUSE_LAST; i++)
			pause *= 2;
		task->failures++;
		task->next = TimestampTzPlusMilliseconds(steady_now(),
												 Min(pause, FOLLOW_PAUSE_LAST));
	}
	else
	{
		task->due = false;
		ereport(LOG,
				(errmsg(task->leave ? "medchain: \"%s\" is no member any more, and not followed" :
						"medchain: \"%s\" is followed", task->member)));
	}
}

static void
follow_loop(SharedDatabase *slot)
{
	TimestampTz start = steady_now();
	TimestampTz looked = 0;
	uint64		seen = 0;
	bool		reloaded = true;

	/* whose chain comes may say of others that they are members, who have to be asked for then */
	while (setting_auto_follow ||
		   !TimestampDifferenceExceeds(start, steady_now(), FOLLOW_STAY))
	{
		uint64		generation = pg_atomic_read_u64(&slot->grant_generation);
		TimestampTz now = steady_now();
		ListCell   *cell;

		if (reloaded || generation != seen ||
			TimestampDifferenceExceeds(looked, now, FOLLOW_LOOK))
		{
			follow_look(slot);
			looked = now;
			seen = generation;
			reloaded = false;
		}
		foreach(cell, tasks)
		{
			FollowTask *task = lfirst(cell);

			if (setting_auto_follow && task->due && task->next <= steady_now())
				follow_do(slot, task);
			CHECK_FOR_INTERRUPTS();
		}
		(void) worker_sleep(slot, FOLLOW_SLEEP, &reloaded);
	}
	worker_retire();
}

void
medchain_follower_main(Datum database)
{
	worker_run(worker_start(database, WORKER_FOLLOWER, "medchain follower"), follow_loop, NULL);
}

PG_FUNCTION_INFO_V1(medchain_call_follower);

/* call_follower() -> void */
Datum
medchain_call_follower(PG_FUNCTION_ARGS)
{
	SharedDatabase *slot = shared_database();

	if (slot != NULL)
		(void) shared_wake(slot, WORKER_FOLLOWER);
	PG_RETURN_VOID();
}

void
follow_call(void)
{
	SharedDatabase *slot = shared_database();
	const LocalNode *node = hold_node();

	if (setting_auto_follow && node != NULL && node->at_home && slot != NULL)
		(void) shared_wake(slot, WORKER_FOLLOWER);
}
