/*
 * notify.c: telling applications of events (see notify.h).
 *
 * NOTIFY takes a lock at commit that every session has which commits one, up to its very end: and
 * that may be waiting for its entries to be sealed by then (src/ledger/commit.c), so no worker may
 * wait for it.  So what happens is noted in the worker's transaction, and sent in one of its own
 * when that lock is free.  What is not sent when a worker ends is lost: who listens hears of it at
 * once, who must not miss it looks into the views.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_database.h"
#include "commands/async.h"
#include "nodes/pg_list.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/memutils.h"

#include "node/notify.h"
#include "node/steady.h"
#include "node/worker.h"

#define NOTIFY_CHANNEL "medchain"
#define NOTIFY_BYTES 4000		/* of a text; PostgreSQL sends no longer ones than 8000 */
#define NOTIFY_WAITING 1000		/* texts that wait; of what comes beyond, only that it came */
#define NOTIFY_PAUSE 100		/* milliseconds between two transactions that send */
#define NOTIFY_AGAIN 20			/* milliseconds until the lock is tried again */
#define NOTIFY_FULL 0.5			/* of the queue: somebody listens, and does not come to read */

static bool notifying = false;
static List *noted = NIL;		/* in the current transaction */
static List *waiting = NIL;		/* committed */
static uint64 lost = 0;

static void
notify_transaction(XactEvent event, void *arg)
{
	MemoryContext old;

	if (noted == NIL || (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT))
		return;
	old = MemoryContextSwitchTo(TopMemoryContext);
	if (event == XACT_EVENT_ABORT)
		list_free_deep(noted);
	else
		waiting = list_concat(waiting, noted);
	noted = NIL;
	MemoryContextSwitchTo(old);
}

void
notify_start(void)
{
	if (!notifying)
		RegisterXactCallback(notify_transaction, NULL);
	notifying = true;
}

void
notify_event(const char *event,...)
{
	StringInfoData text;
	MemoryContext old;
	const char *name;
	va_list		pairs;

	if (!notifying)
		return;
	initStringInfo(&text);
	appendStringInfoString(&text, "{\"event\":");
	escape_json(&text, event);
	va_start(pairs, event);
	while ((name = va_arg(pairs, const char *)) != NULL)
	{
		appendStringInfoChar(&text, ',');
		escape_json(&text, name);
		appendStringInfoChar(&text, ':');
		escape_json(&text, va_arg(pairs, const char *));
	}
	va_end(pairs);
	appendStringInfoChar(&text, '}');
	if (text.len > NOTIFY_BYTES || list_length(noted) + list_length(waiting) >= NOTIFY_WAITING)
	{
		lost++;
		return;
	}
	old = MemoryContextSwitchTo(TopMemoryContext);
	noted = lappend(noted, pstrdup(text.data));
	MemoryContextSwitchTo(old);
	pfree(text.data);
}

void
notify_block(const char *origin, int64 entries)
{
	char		number[24];

	pg_lltoa(entries, number);
	notify_event("block", "origin", origin, "entries", number, NULL);
}

/* The lock that NOTIFY takes at commit (PreCommit_Notify()), if nobody has it. */
static bool
notify_lock(void)
{
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, InvalidOid, DatabaseRelationId, InvalidOid, 0);
	return LockAcquire(&tag, AccessExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
}

/* False: not now.  What fails in there concerns nobody who waits for this worker. */
static bool
notify_try(SharedDatabase *slot)
{
	static LastComplaint complaint = {0};
	MemoryContext context = CurrentMemoryContext;
	volatile bool locked = true;

	PG_TRY();
	{
		ListCell   *cell;

		worker_begin(slot, "notifying");
		/* what is lost with a crash, a restart would have lost as well */
		(void) set_config_option("synchronous_commit", "off", PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_LOCAL, true, 0, false);
		locked = notify_lock();
		if (locked && DatumGetFloat8(OidFunctionCall0(F_PG_NOTIFICATION_QUEUE_USAGE)) < NOTIFY_FULL)
		{
			foreach(cell, waiting)
				Async_Notify(NOTIFY_CHANNEL, lfirst(cell));
		}
		else if (locked)
			lost += list_length(waiting);
		worker_commit();
	}
	PG_CATCH();
	{
		(void) worker_recover(context, &complaint, "NOTIFY");
		lost += list_length(waiting);
		locked = true;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	return locked;
}

long
notify_send(SharedDatabase *slot, long limit)
{
	static TimestampTz sent = 0;
	TimestampTz now = steady_now();

	if (waiting == NIL)
		return limit;
	if (!TimestampDifferenceExceeds(sent, now, NOTIFY_PAUSE))
		return limit >= 0 ? Min(limit, NOTIFY_PAUSE) : NOTIFY_PAUSE;
	if (!notify_try(slot))
		return limit >= 0 ? Min(limit, NOTIFY_AGAIN) : NOTIFY_AGAIN;
	sent = now;
	list_free_deep(waiting);
	waiting = NIL;
	if (lost > 0)
		ereport(LOG,
				(errmsg("medchain: " UINT64_FORMAT " events were not sent by NOTIFY", lost),
				 errhint("Sessions that listen have to read, and to end their transactions.")));
	lost = 0;
	return limit;
}
