/*
 * fetch.c: asking a peer again for what was not kept when it came, in a worker (fetcher.c).
 *
 * Replication brings everything once.  What did not fit (hold.c), or was of somebody who was no
 * member then, is still in the peer's tables: of such a chain the worker asks for a few blocks and
 * their entries, in order, from where the chain stands here, waits until the keeper has accepted
 * them, and goes on.  It is a process of its own, and comes when it is needed: nobody waits
 * for what a peer answers, and how long it takes.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "replication/walreceiver.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "core/encode.h"
#include "ledger/local_node.h"
#include "node/shared.h"
#include "node/steady.h"
#include "node/trusted.h"
#include "node/worker.h"
#include "sync/fetch.h"
#include "sync/fetch_copy.h"
#include "sync/fetch_step.h"
#include "sync/hold.h"
#include "sync/remote.h"
#include "sync/stuck.h"

#define FETCH_SLICE 50			/* ... between looks whether the keeper has accepted it */
#define FETCH_STUCK 2000		/* ... after which it will not */
#define FETCH_TURN 10000		/* ... after which it is another chain's turn */
#define FETCH_GAPS 10000		/* ... between looks for chains that miss a block */
#define FETCH_PAUSE_LAST 60		/* seconds until who was of no use is asked again, at most */

/* Where the chain stands; the keeper moves it. */
static int64
fetch_height(SharedDatabase *slot, const FetchTask *task)
{
	MemoryContext lasting = CurrentMemoryContext;
	TrustedScope scope;
	int64		height;

	worker_begin(slot, "waiting for the keeper");
	trusted_begin(&scope);
	height = hold_chain(task->origin)->height;
	trusted_end(&scope);
	worker_commit();
	MemoryContextSwitchTo(lasting);
	return height;
}

/*
 * Has the keeper accepted all that was asked for?  It has as long as it goes on, and twice the
 * time to look at it.
 */
static bool
fetch_wait(SharedDatabase *slot, const FetchTask *task, const FetchStep *step)
{
	TimestampTz moved = steady_now();
	uint64		rounds = pg_atomic_read_u64(&slot->keeper_rounds);
	int64		last = step->height;

	for (;;)
	{
		int64		height = fetch_height(slot, task);

		if (height >= step->last_height)
			return true;
		if (height != last)
		{
			moved = steady_now();
			rounds = pg_atomic_read_u64(&slot->keeper_rounds);
		}
		else if (TimestampDifferenceExceeds(moved, steady_now(), FETCH_STUCK) &&
				 pg_atomic_read_u64(&slot->keeper_rounds) >= rounds + 2)
			return false;
		last = height;
		(void) worker_sleep(slot, FETCH_SLICE, NULL);
	}
}

WalReceiverConn *
fetch_connect(SharedDatabase *slot, const FetchTask *task, int patience)
{
	MemoryContext lasting = CurrentMemoryContext;
	WalReceiverConn *connection;

	worker_begin(slot, "connecting to a peer");
	enable_timeout_after(STATEMENT_TIMEOUT, patience);
	MemoryContextSwitchTo(lasting);
	connection = remote_connect(task->conninfo);
	disable_timeout(STATEMENT_TIMEOUT, false);
	worker_commit();
	MemoryContextSwitchTo(lasting);
	return connection;
}

FetchResult
fetch_turn(SharedDatabase *slot, WalReceiverConn *connection, const FetchTask *task)
{
	TimestampTz start = steady_now();
	FetchStep	step;

	do
	{
		fetch_step(slot, connection, task, &step);
		if (!fetch_wait(slot, task, &step))
			ereport(ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("from block %lld on it is not accepted",
							(long long) (step.height + 1))));
		if (step.last_height == step.height)
			return FETCH_DONE;
	}
	while (!TimestampDifferenceExceeds(start, steady_now(), FETCH_TURN));
	return FETCH_MORE;
}

/*
 * What to ask for, and what became of it
 */

static bool
fetch_choose(SharedDatabase *slot, MemoryContext context, FetchTask *task)
{
	static SPIPlanPtr plan = NULL;
	TrustedScope scope;
	bool		found;
	bool		isnull;

	worker_begin(slot, "looking for what was not kept");
	trusted_begin(&scope);
	trusted_execute(&plan, "SELECT source, origin, conninfo, error, dropped, kinds, "
					"coalesce(doubt_first, -1), coalesce(doubt_last, -1) FROM "
					"medchain.to_fetch ORDER BY failures, next, source COLLATE \"C\", "
					"origin COLLATE \"C\" LIMIT 1", 0, NULL, NULL, NULL, false);
	found = SPI_processed > 0;
	if (found)
	{
		HeapTuple	row = SPI_tuptable->vals[0];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		char	   *error = SPI_getvalue(row, desc, 4);
		char	   *kinds;

		task->source = MemoryContextStrdup(context, SPI_getvalue(row, desc, 1));
		task->origin = MemoryContextStrdup(context, SPI_getvalue(row, desc, 2));
		task->conninfo = MemoryContextStrdup(context, SPI_getvalue(row, desc, 3));
		task->error = error ? MemoryContextStrdup(context, error) : NULL;
		task->dropped = DatumGetInt64(SPI_getbinval(row, desc, 5, &isnull));
		kinds = SPI_getvalue(row, desc, 6);
		task->kinds = kinds ? MemoryContextStrdup(context, kinds) : NULL;
		task->doubt_first = DatumGetInt64(SPI_getbinval(row, desc, 7, &isnull));
		task->doubt_last = DatumGetInt64(SPI_getbinval(row, desc, 8, &isnull));
	}
	trusted_end(&scope);
	worker_commit();
	return found;
}

/*
 * When to ask for that chain again, and when that peer for anything: who fails is asked less and
 * less often, and who is slow has no more than half of our time.
 */
static void
fetch_note(SharedDatabase *slot, const FetchTask *task, FetchResult result, const char *error,
		   int64 took)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[6] = {TEXTOID, TEXTOID, INT8OID, TEXTOID, BOOLOID, INT8OID};
	Datum		values[6];
	char		nulls[6] = {' ', ' ', ' ', error ? ' ' : 'n', ' ', ' '};
	TrustedScope scope;

	worker_begin(slot, "noting what a peer had");
	trusted_begin(&scope);
	values[0] = CStringGetTextDatum(task->source);
	values[1] = CStringGetTextDatum(task->origin);
	values[2] = Int64GetDatum(task->dropped);
	values[3] = error ? CStringGetTextDatum(error) : (Datum) 0;
	values[4] = BoolGetDatum(result == FETCH_DONE);
	values[5] = Int64GetDatum(took > 2 * FETCH_TURN || result == FETCH_FAILED ? took : 0);
	trusted_execute(&plan,
					"WITH task AS (INSERT INTO medchain.missing AS f (source, origin, wanted, "
				  "seen, failures, next, error) SELECT $1, $2, NOT $5, CASE WHEN $5 THEN $3 ELSE "
					"0 END, CASE WHEN $4 IS NULL THEN 0 ELSE 1 END, clock_timestamp(), $4 "
			"ON CONFLICT (source, origin) DO UPDATE SET wanted = CASE WHEN f.doubt_first IS NULL "
					"THEN EXCLUDED.wanted ELSE f.wanted END, "
					"seen = CASE WHEN $5 THEN $3 ELSE f.seen END, "
					"failures = CASE WHEN $4 IS NULL THEN 0 ELSE f.failures + 1 END, "
					"next = EXCLUDED.next, error = $4 RETURNING f.failures) "
					"INSERT INTO medchain.missing AS f (source, origin, wanted, next) "
					"SELECT $1, '', false, clock_timestamp() + interval '1 ms' * $6 + "
					"interval '1 s' * CASE WHEN failures > 0 THEN "
					"least(2 ^ least(failures - 1, 20), " CppAsString2(FETCH_PAUSE_LAST) ") "
					"ELSE 0 END FROM task ON CONFLICT (source, origin) DO UPDATE SET next = "
					"EXCLUDED.next",
					6, types, values, nulls, false);
	trusted_end(&scope);
	worker_commit();
}

/* One chain at one peer; what fails concerns these alone. */
static void
fetch_task(SharedDatabase *slot, MemoryContext context, FetchTask *task)
{
	TimestampTz start = steady_now();
	LastComplaint complaint = {0};
	FetchResult volatile result = FETCH_FAILED;
	char	   *volatile error = NULL;

	WalReceiverConn *volatile connection = NULL;

	/* said in the log already */
	if (task->error != NULL)
		(void) worker_complaint_is_due(&complaint, task->error);
	PG_TRY();
	{
		connection = fetch_connect(slot, task, FETCH_COPY_ANSWER);
		if (task->doubt_first >= 0)
			fetch_doubted(slot, connection, task);
		else
			result = fetch_turn(slot, connection, task);
	}
	PG_CATCH();
	{
		disable_timeout(STATEMENT_TIMEOUT, false);
		error = worker_recover(context, &complaint,
							   psprintf("what \"%s\" has of chain \"%s\"", task->source,
										task->origin));
		encode_repair_utf8(error);
	}
	PG_END_TRY();
	if (connection != NULL)
		walrcv_disconnect(connection);
	MemoryContextSwitchTo(context);
	if (task->doubt_first >= 0 && error == NULL)
		return;
	fetch_note(slot, task, result, error,
			   TimestampDifferenceMilliseconds(start, steady_now()));
}

bool
fetch_next(SharedDatabase *slot, MemoryContext context)
{
	FetchTask	task;

	if (!fetch_choose(slot, context, &task))
		return false;
	fetch_task(slot, context, &task);
	return true;
}

/*
 * What nobody can be asked for any more; and chains that a later block of is here, and neither the
 * next one nor a reason why not, whatever became of it.
 */
static void
fetch_look(void)
{
	static SPIPlanPtr gone[2] = {NULL, NULL};
	static SPIPlanPtr gaps = NULL;
	static TimestampTz looked = 0;
	TimestampTz now = steady_now();

	/* whose membership ends and begins again is asked for again */
	trusted_execute(&gone[0], "DELETE FROM medchain.missing f WHERE NOT EXISTS (SELECT FROM "
					"medchain.peer p WHERE p.member = f.source) OR (f.origin <> '' AND NOT EXISTS "
					"(SELECT FROM medchain.known k WHERE k.name = f.origin))",
					0, NULL, NULL, NULL, false);
	trusted_execute(&gone[1], "DELETE FROM medchain.dropped d WHERE NOT EXISTS (SELECT FROM "
					"medchain.peer p WHERE p.member = d.source)", 0, NULL, NULL, NULL, false);
	if (!TimestampDifferenceExceeds(looked, now, FETCH_GAPS))
		return;
	looked = now;
	trusted_plan_anew(&gaps,
					  "INSERT INTO medchain.missing AS f (source, origin, wanted) "
					  "SELECT DISTINCT h.source, h.origin, true FROM medchain.held_block h "
					  "JOIN medchain.peer p ON p.member = h.source "
					  "LEFT JOIN medchain.chain c ON c.origin = h.origin "
					  "WHERE h.height > coalesce(c.height, -1) + 1 "
					"AND NOT EXISTS (SELECT FROM medchain.held_block x WHERE x.origin = h.origin "
					  "  AND x.height = coalesce(c.height, -1) + 1) "
					"AND NOT EXISTS (SELECT FROM medchain.quarantine q WHERE q.origin = h.origin "
					  "  AND q.height = coalesce(c.height, -1) + 1 AND q.source = h.source) "
					  "ON CONFLICT (source, origin) DO UPDATE SET wanted = true "
					  "WHERE NOT f.wanted", 0, NULL);
	trusted_execute(&gaps, NULL, 0, NULL, NULL, NULL, false);
	stuck_look();
}

void
fetch_call(void)
{
	static SPIPlanPtr plan = NULL;
	SharedDatabase *slot = shared_database();
	const LocalNode *node = hold_node();

	if (node == NULL || !node->at_home)
		return;
	fetch_look();
	trusted_execute(&plan, "SELECT FROM medchain.to_fetch LIMIT 1", 0, NULL, NULL, NULL, false);
	if (SPI_processed > 0 && slot != NULL)
		(void) shared_wake(slot, WORKER_FETCHER);
}
