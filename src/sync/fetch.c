/*
 * fetch.c: the worker that asks a peer again for what was not kept when it came.
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

#include "core/block.h"
#include "core/encode.h"
#include "core/note.h"
#include "ledger/local_node.h"
#include "node/shared.h"
#include "node/trusted.h"
#include "node/worker.h"
#include "sync/apply.h"
#include "sync/fetch.h"
#include "sync/fetch_copy.h"
#include "sync/hold.h"
#include "sync/remote.h"

#define FETCH_BLOCKS 1000		/* asked for at once */
#define FETCH_ENTRIES 10000		/* ... or as many as the first of them has */
#define FETCH_STEP 120000		/* milliseconds for all of an answer */
#define FETCH_SLICE 50			/* ... between looks whether the keeper has accepted it */
#define FETCH_STUCK 2000		/* ... after which it will not */
#define FETCH_TURN 10000		/* ... after which it is another chain's turn */
#define FETCH_GAPS 10000		/* ... between looks for chains that miss a block */
#define FETCH_PAUSE_LAST 60		/* seconds until who was of no use is asked again, at most */

/* What to ask for, and where. */
typedef struct FetchTask
{
	char	   *source;
	char	   *origin;
	char	   *conninfo;
	int64		dropped;		/* of it, so far */
	char	   *error;			/* of the last time, or NULL */
	int64		doubt_first;	/* blocks of which it may have others, or -1 */
	int64		doubt_last;
} FetchTask;

/* What became of one step. */
typedef struct FetchStep
{
	const FetchTask *task;
	int64		height;			/* of the chain, before */
	int64		size;
	int64		last_height;	/* up to which all was asked for */
	int64		last_size;
} FetchStep;

/* ... and of a task. */
typedef enum FetchResult
{
	FETCH_DONE,					/* all that the peer has is here */
	FETCH_MORE,					/* there may be more: its turn is over */
	FETCH_FAILED
} FetchResult;

/* Only what was asked for. */
static void
fetch_require(bool asked_for)
{
	if (!asked_for)
		ereport(ERROR,
				(errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("the peer sent something else than was asked for")));
}

/* A row at a time in a scope of its own, which takes its memory with it. */
static void
fetch_take_block(void *state, int64 height, char *note)
{
	FetchStep  *step = state;
	TrustedScope scope;
	NoteBlock	block;

	fetch_require(height > step->height);
	trusted_begin(&scope);
	apply_block(hold_node(), step->task->origin, height, note);
	trusted_end(&scope);

	/* as far as they follow each other, and their entries are not too many at once */
	if (height == step->last_height + 1 && note_parse_block(note, strlen(note), &block, NULL) &&
		(int64) block.size >= step->last_size &&
		(int64) block.size - step->size <= (height == step->height + 1 ? BLOCK_ENTRIES_MAX :
											FETCH_ENTRIES))
	{
		step->last_height = height;
		step->last_size = (int64) block.size;
	}
	else if (height == step->height + 1)
		step->last_height = height; /* the keeper will say what is wrong with it */
}

static void
fetch_take_entry(void *state, int64 seq, char *payload)
{
	FetchStep  *step = state;
	TrustedScope scope;

	fetch_require(seq >= step->size && seq < step->last_size);
	trusted_begin(&scope);
	apply_entry(hold_node(), step->task->origin, seq, CStringGetTextDatum(payload));
	trusted_end(&scope);
}

/* A transaction of this task. */
static void
fetch_begin(SharedDatabase *slot, const FetchTask *task, TrustedScope *scope, const char *activity)
{
	worker_begin(slot, activity);
	trusted_begin(scope);
	if (hold_node() == NULL || !hold_node()->at_home)
		worker_retire();
	hold_set_source(task->source);
}

static void
fetch_commit(TrustedScope *scope, MemoryContext lasting)
{
	trusted_end(scope);
	worker_commit();
	MemoryContextSwitchTo(lasting);
}

/*
 * What was held so far of that chain has not helped: it comes again, in order.  If that is still
 * not room enough, so it is with other chains that this peer passes on.  In a transaction of its
 * own, as the keeper may want to remove the same rows, and must not wait for a peer's answer.
 */
static void
fetch_make_room(SharedDatabase *slot, const FetchTask *task)
{
	static SPIPlanPtr own[2] = {NULL, NULL};
	static SPIPlanPtr others[3] = {NULL, NULL, NULL};
	MemoryContext lasting = CurrentMemoryContext;
	Oid			types[2] = {TEXTOID, TEXTOID};
	Datum		values[2];
	TrustedScope scope;
	const HoldChain *chain;

	fetch_begin(slot, task, &scope, "making room for what was not kept");
	values[0] = CStringGetTextDatum(task->source);
	values[1] = CStringGetTextDatum(task->origin);
	trusted_execute(&own[0], "DELETE FROM medchain.held_entry WHERE source = $1 AND origin = $2",
					2, types, values, NULL, false);
	trusted_execute(&own[1], "DELETE FROM medchain.held_block WHERE source = $1 AND origin = $2",
					2, types, values, NULL, false);
	chain = hold_chain(task->origin);
	if (!hold_recount(chain))
	{
		trusted_execute(&others[0],
						"INSERT INTO medchain.missing AS f (source, origin, wanted) "
					  "SELECT DISTINCT h.source, h.origin, true FROM (SELECT source, origin FROM "
						"medchain.held_block UNION ALL SELECT source, origin FROM "
						"medchain.held_entry) h "
						"WHERE h.source = $1 AND h.origin <> $1 AND h.origin <> $2 "
						"ON CONFLICT (source, origin) DO UPDATE SET wanted = true",
						2, types, values, NULL, false);
		trusted_execute(&others[1], "DELETE FROM medchain.held_entry WHERE source = $1 AND origin "
						"<> $1 AND origin <> $2", 2, types, values, NULL, false);
		trusted_execute(&others[2], "DELETE FROM medchain.held_block WHERE source = $1 AND origin "
						"<> $1 AND origin <> $2", 2, types, values, NULL, false);
		(void) hold_recount(chain);
	}
	fetch_commit(&scope, lasting);
}

/* Ask for the next blocks of the chain and their entries. */
static void
fetch_step(SharedDatabase *slot, WalReceiverConn *connection, const FetchTask *task,
		   FetchStep *step)
{
	MemoryContext lasting = CurrentMemoryContext;
	TimestampTz until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), FETCH_STEP);
	char	   *origin = quote_literal_cstr(task->origin);
	TrustedScope scope;
	const HoldChain *chain;

	fetch_make_room(slot, task);
	fetch_begin(slot, task, &scope, "asking a peer for what was not kept");
	chain = hold_chain(task->origin);
	step->task = task;
	step->height = step->last_height = chain->height;
	step->size = step->last_size = chain->size;
	fetch_copy(connection,
			   psprintf("COPY (SELECT height, note FROM medchain.block WHERE origin "
						"OPERATOR(pg_catalog.=) %s AND height OPERATOR(pg_catalog.>) "
						INT64_FORMAT " ORDER BY height LIMIT %d) TO STDOUT",
						origin, step->height, FETCH_BLOCKS),
			   FETCH_BLOCKS, until, fetch_take_block, step);
	if (step->last_size > step->size)
		fetch_copy(connection,
				   psprintf("COPY (SELECT seq, payload FROM medchain.entry WHERE origin "
							"OPERATOR(pg_catalog.=) %s AND seq OPERATOR(pg_catalog.>=) "
							INT64_FORMAT " AND seq OPERATOR(pg_catalog.<) " INT64_FORMAT
							" ORDER BY seq) TO STDOUT", origin, step->size, step->last_size),
				   step->last_size - step->size, until, fetch_take_entry, step);
	fetch_commit(&scope, lasting);
}

/* A block that was asked for as it may be another than ours; as one that comes by itself. */
static void
fetch_take_doubted(void *state, int64 height, char *note)
{
	const FetchTask *task = state;
	TrustedScope scope;

	fetch_require(height >= task->doubt_first && height <= task->doubt_last);
	trusted_begin(&scope);
	apply_block(hold_node(), task->origin, height, note);
	trusted_end(&scope);
}

/* Ask for blocks that somebody has verified others of, so that there are both: fork.c. */
static void
fetch_doubted(SharedDatabase *slot, WalReceiverConn *connection, FetchTask *task)
{
	static SPIPlanPtr done = NULL;
	MemoryContext lasting = CurrentMemoryContext;
	TimestampTz until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), FETCH_STEP);
	Oid			types[2] = {TEXTOID, TEXTOID};
	Datum		values[2];
	TrustedScope scope;

	fetch_begin(slot, task, &scope, "asking a peer for other blocks than ours");
	fetch_copy(connection,
			   psprintf("COPY (SELECT height, note FROM medchain.block WHERE origin "
						"OPERATOR(pg_catalog.=) %s AND height OPERATOR(pg_catalog.>=) "
						INT64_FORMAT " AND height OPERATOR(pg_catalog.<=) " INT64_FORMAT
						" ORDER BY height) TO STDOUT", quote_literal_cstr(task->origin),
						task->doubt_first, task->doubt_last),
			   FETCH_BLOCKS, until, fetch_take_doubted, task);
	values[0] = CStringGetTextDatum(task->source);
	values[1] = CStringGetTextDatum(task->origin);
	trusted_execute(&done, "UPDATE medchain.missing SET doubt_first = NULL, "
					"doubt_last = NULL, failures = 0, error = NULL "
					"WHERE source = $1 AND origin = $2", 2, types, values, NULL, false);
	fetch_commit(&scope, lasting);
}

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
	TimestampTz moved = GetCurrentTimestamp();
	uint64		rounds = pg_atomic_read_u64(&slot->keeper_rounds);
	int64		last = step->height;

	for (;;)
	{
		int64		height = fetch_height(slot, task);

		if (height >= step->last_height)
			return true;
		if (height != last)
		{
			moved = GetCurrentTimestamp();
			rounds = pg_atomic_read_u64(&slot->keeper_rounds);
		}
		else if (TimestampDifferenceExceeds(moved, GetCurrentTimestamp(), FETCH_STUCK) &&
				 pg_atomic_read_u64(&slot->keeper_rounds) >= rounds + 2)
			return false;
		last = height;
		(void) worker_sleep(slot, FETCH_SLICE, NULL);
	}
}

static WalReceiverConn *
fetch_connect(SharedDatabase *slot, const FetchTask *task)
{
	MemoryContext lasting = CurrentMemoryContext;
	WalReceiverConn *connection;

	worker_begin(slot, "connecting to a peer");
	enable_timeout_after(STATEMENT_TIMEOUT, FETCH_COPY_ANSWER);
	MemoryContextSwitchTo(lasting);
	connection = remote_connect(task->conninfo);
	disable_timeout(STATEMENT_TIMEOUT, false);
	worker_commit();
	MemoryContextSwitchTo(lasting);
	return connection;
}

/* What there is, step by step, until it is another's turn; ERROR if the peer is of no use. */
static FetchResult
fetch_turn(SharedDatabase *slot, WalReceiverConn *connection, const FetchTask *task)
{
	TimestampTz start = GetCurrentTimestamp();
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
	while (!TimestampDifferenceExceeds(start, GetCurrentTimestamp(), FETCH_TURN));
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
	trusted_execute(&plan, "SELECT source, origin, conninfo, error, dropped, "
					"doubt_first, doubt_last FROM "
					"medchain.to_fetch ORDER BY failures, next, source COLLATE \"C\", "
					"origin COLLATE \"C\" LIMIT 1", 0, NULL, NULL, NULL, false);
	found = SPI_processed > 0;
	if (found)
	{
		HeapTuple	row = SPI_tuptable->vals[0];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		char	   *error = SPI_getvalue(row, desc, 4);

		task->source = MemoryContextStrdup(context, SPI_getvalue(row, desc, 1));
		task->origin = MemoryContextStrdup(context, SPI_getvalue(row, desc, 2));
		task->conninfo = MemoryContextStrdup(context, SPI_getvalue(row, desc, 3));
		task->error = error ? MemoryContextStrdup(context, error) : NULL;
		task->dropped = DatumGetInt64(SPI_getbinval(row, desc, 5, &isnull));
		task->doubt_first = DatumGetInt64(SPI_getbinval(row, desc, 6, &isnull));
		if (isnull)
			task->doubt_first = -1;
		task->doubt_last = DatumGetInt64(SPI_getbinval(row, desc, 7, &isnull));
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
	TimestampTz start = GetCurrentTimestamp();
	LastComplaint complaint = {0};
	FetchResult volatile result = FETCH_FAILED;
	char	   *volatile error = NULL;

	WalReceiverConn *volatile connection = NULL;

	/* said in the log already */
	if (task->error != NULL)
		(void) worker_complaint_is_due(&complaint, task->error);
	PG_TRY();
	{
		connection = fetch_connect(slot, task);
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
			   TimestampDifferenceMilliseconds(start, GetCurrentTimestamp()));
}

static void
fetch_loop(SharedDatabase *slot)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "medchain fetch task",
												  ALLOCSET_DEFAULT_SIZES);
	FetchTask	task;

	while (fetch_choose(slot, context, &task))
	{
		fetch_task(slot, context, &task);
		MemoryContextReset(context);
	}
	worker_retire();
}

void
medchain_fetcher_main(Datum database)
{
	worker_run(worker_start(database, WORKER_FETCHER, "medchain fetcher"), fetch_loop, NULL);
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
	TimestampTz now = GetCurrentTimestamp();

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
