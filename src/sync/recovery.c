/*
 * recovery.c: asking peers for the end of this node's own chain (see recovery.h).
 *
 * What a peer says is believed as far as it is signed: a block that is not here, signed with the
 * key of this chain, proves that something is missing, and another one at the height of our last
 * block that there are two chains.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "core/encode.h"
#include "ledger/local_node.h"
#include "node/settings.h"
#include "node/steady.h"
#include "node/trusted.h"
#include "node/worker.h"
#include "sync/fetch.h"
#include "sync/recovery.h"
#include "sync/recovery_claims.h"
#include "sync/recovery_look.h"

#define RECOVERY_PAUSE 1000		/* milliseconds between two questions to a peer that is not there */
#define RECOVERY_PATIENCE 5000	/* ... for a connection */
#define RECOVERY_GRACE 2000		/* ... for the worker that asks */

/* How this node stands, and whom there is to ask. */
typedef struct RecoveryNode
{
	bool		is_node;		/* ... and at home */
	char	   *node;
	bool		suspect;		/* something may be missing */
	int64		height;			/* of the last block here */
	List	   *peers;			/* of FetchTask */
} RecoveryNode;

/* Somebody who was asked. */
typedef struct RecoveryPeer
{
	char	   *member;
	bool		answered;		/* that he has no more */
	LastComplaint complaint;
} RecoveryPeer;

/* What has come out so far, in this process. */
typedef struct RecoverySoFar
{
	List	   *peers;			/* of RecoveryPeer; in TopMemoryContext */
	int			answers;
	int64		known;			/* a block that is known to be there, the highest */
	int64		first;			/* the first block that came back; -1: none */
	int64		last;
	char		other[SHARED_ERROR_LEN];	/* who has another chain, and what that is */
	char		problem[SHARED_ERROR_LEN];	/* why somebody did not answer */
} RecoverySoFar;

static RecoverySoFar found = {.known = -1, .first = -1};

/* In a trusted scope; peers in that context. */
static void
recovery_read(RecoveryNode *state, MemoryContext context)
{
	static SPIPlanPtr own = NULL;
	static SPIPlanPtr peers = NULL;
	Oid			type = INT8OID;
	Datum		timeline = Int64GetDatum((int64) GetWALInsertionTimeLine());
	LocalNode	node;
	bool		isnull;

	memset(state, 0, sizeof(*state));
	if (!local_node_read(&node) || !node.at_home)
		return;
	state->is_node = true;
	state->node = MemoryContextStrdup(context, node.node);
	trusted_execute(&own, "SELECT n.timeline IS DISTINCT FROM $1, coalesce(c.height, -1) FROM "
					"medchain.local_node n LEFT JOIN medchain.chain c ON c.origin = n.node",
					1, &type, &timeline, NULL, false);
	state->suspect = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1,
												&isnull));
	state->height = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2,
												&isnull));
	trusted_execute(&peers, "SELECT member, conninfo FROM medchain.peer ORDER BY member COLLATE "
					"\"C\"", 0, NULL, NULL, NULL, false);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		MemoryContext old = MemoryContextSwitchTo(context);
		FetchTask  *task = palloc0(sizeof(FetchTask));

		task->origin = state->node;
		task->source = MemoryContextStrdup(context, SPI_getvalue(row, desc, 1));
		task->conninfo = MemoryContextStrdup(context, SPI_getvalue(row, desc, 2));
		state->peers = lappend(state->peers, task);
		MemoryContextSwitchTo(old);
	}
	SPI_freetuptable(SPI_tuptable);
}

/*
 * From now on it may seal, until the server is started again.  In a trusted scope, of a transaction
 * that commits; what others have said since this database was what it is now may be missing as
 * well, so each is asked for its own chain.
 */
static void
recovery_settle(const RecoveryNode *state)
{
	static SPIPlanPtr held[2] = {NULL, NULL};
	static SPIPlanPtr known = NULL;
	static SPIPlanPtr others = NULL;
	static SPIPlanPtr back = NULL;
	Oid			type = TEXTOID;
	Datum		node = CStringGetTextDatum(state->node);
	Oid			number = INT8OID;
	Datum		timeline = Int64GetDatum((int64) GetWALInsertionTimeLine());

	trusted_execute(&held[0], "DELETE FROM medchain.held_block WHERE origin = $1", 1, &type, &node,
					NULL, false);
	trusted_execute(&held[1], "DELETE FROM medchain.held_entry WHERE origin = $1", 1, &type, &node,
					NULL, false);
	trusted_execute(&known, "UPDATE medchain.local_node SET timeline = $1 WHERE timeline IS "
					"DISTINCT FROM $1", 1, &number, &timeline, NULL, false);
	if (found.first >= 0)
		trusted_execute(&back, "SELECT medchain_internal.turn_followers_back()", 0, NULL, NULL,
						NULL, false);
	if ((state->suspect && state->height >= 0) || found.first >= 0)
		trusted_execute(&others, "INSERT INTO medchain.missing AS f (source, origin, wanted) "
					  "SELECT p.member, p.member, true FROM medchain.peer p ON CONFLICT (source, "
						"origin) DO UPDATE SET wanted = true WHERE NOT f.wanted",
						0, NULL, NULL, NULL, false);
}

static void
recovery_end(SharedDatabase *slot)
{
	LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
	slot->recovery_since = 0;
	slot->recovery_behind = false;
	slot->recovery_error[0] = '\0';
	LWLockRelease(shared_state->lock);
	pg_atomic_write_u32(&slot->recovered, 1);
	list_free_deep(found.peers);
	recovery_claims_forget();
	memset(&found, 0, sizeof(found));
	found.known = found.first = -1;
}

/* Has the time passed for which peers are waited for? */
static bool
recovery_is_late(SharedDatabase *slot, int grace)
{
	TimestampTz since;
	TimestampTz now = steady_now();

	LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
	if (slot->recovery_since == 0)
		slot->recovery_since = now;
	since = slot->recovery_since;
	LWLockRelease(shared_state->lock);
	return setting_recovery_timeout >= 0 &&
		now >= TimestampTzPlusMilliseconds(since, (int64) setting_recovery_timeout + grace);
}

bool
recovery_over(SharedDatabase *slot, char why[SHARED_ERROR_LEN])
{
	TrustedScope scope;
	RecoveryNode state;
	bool		asking;
	bool		behind;
	bool		over;

	if (pg_atomic_read_u32(&slot->recovered) != 0)
		return true;
	worker_begin(slot, "looking whether peers are to be asked for this node's chain");
	trusted_begin(&scope);
	recovery_read(&state, CurrentMemoryContext);
	LWLockAcquire(shared_state->lock, LW_SHARED);
	behind = slot->recovery_behind;
	strlcpy(why, slot->recovery_error, SHARED_ERROR_LEN);
	asking = slot->workers[WORKER_FETCHER].pid != 0;
	LWLockRelease(shared_state->lock);

	/*
	 * Without anybody to ask; or nobody could, as there is no room for the worker that asks.  If
	 * it is there, it takes longer where some do not answer, and the next one may have more.
	 */
	over = state.is_node && (state.peers == NIL ||
						   (recovery_is_late(slot, RECOVERY_GRACE) && !asking && !state.suspect &&
							!behind && why[0] == '\0'));
	if (over)
		recovery_settle(&state);
	else if (state.is_node)
		(void) shared_wake(slot, WORKER_FETCHER);
	trusted_end(&scope);
	worker_commit();
	if (over)
		recovery_end(slot);
	return over || !state.is_node;
}

/*
 * Asking one peer
 */

/* All that it has more, until it has nothing more. */
static RecoveryAnswer
recovery_follow(SharedDatabase *slot, WalReceiverConn *connection, const FetchTask *peer)
{
	int64		height;
	int64		before = -2;
	RecoveryAnswer answer;

	while ((answer = recovery_look(slot, connection, peer->source, &height)) == ANSWER_MORE)
	{
		LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
		slot->recovery_behind = true;
		LWLockRelease(shared_state->lock);
		found.known = Max(found.known, height + 1);
		if (height == before)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("it has block %lld of this chain, and does not give it",
							(long long) (height + 1))));
		if (found.first < 0)
			found.first = height + 1;
		before = height;
		while (fetch_turn(slot, connection, peer) == FETCH_MORE)
			;
	}
	if (found.first >= 0)
		found.last = Max(found.last, height);
	if (answer == ANSWER_OTHER && found.other[0] == '\0')
		snprintf(found.other, sizeof(found.other), "\"%s\" has another block %lld of this node's "
				 "chain, signed with its key", peer->source, (long long) height);
	return answer;
}

static RecoveryAnswer
recovery_ask(SharedDatabase *slot, MemoryContext context, const FetchTask *peer,
			 LastComplaint *complaint)
{
	RecoveryAnswer volatile answer = ANSWER_NONE;

	WalReceiverConn *volatile connection = NULL;

	PG_TRY();
	{
		connection = fetch_connect(slot, peer, RECOVERY_PATIENCE);
		answer = recovery_follow(slot, connection, peer);
	}
	PG_CATCH();
	{
		char	   *error;

		disable_timeout(STATEMENT_TIMEOUT, false);
		error = worker_recover(context, complaint,
							   psprintf("what \"%s\" has of this node's own chain", peer->source));
		encode_repair_utf8(error);
		snprintf(found.problem, sizeof(found.problem), "\"%s\": %s", peer->source, error);
	}
	PG_END_TRY();
	if (connection != NULL)
		walrcv_disconnect(connection);
	MemoryContextSwitchTo(context);
	return answer;
}

/*
 * All of them
 */

static RecoveryPeer *
recovery_peer(const char *member)
{
	MemoryContext old;
	RecoveryPeer *peer;
	ListCell   *cell;

	foreach(cell, found.peers)
	{
		peer = lfirst(cell);
		if (strcmp(peer->member, member) == 0)
			return peer;
	}
	old = MemoryContextSwitchTo(TopMemoryContext);
	peer = palloc0(sizeof(RecoveryPeer) + strlen(member) + 1);
	peer->member = (char *) (peer + 1);
	strcpy(peer->member, member);
	found.peers = lappend(found.peers, peer);
	MemoryContextSwitchTo(old);
	return peer;
}

static bool
recovery_answered(const char *member)
{
	ListCell   *cell;

	foreach(cell, found.peers)
	{
		const RecoveryPeer *peer = lfirst(cell);

		if (strcmp(peer->member, member) == 0)
			return peer->answered;
	}
	return false;
}

/* Read how the node stands, and settle it if it is over; log what came out. */
static bool
recovery_conclude(SharedDatabase *slot, MemoryContext context, int missing)
{
	TrustedScope scope;
	RecoveryNode state;
	bool		late = recovery_is_late(slot, 0);
	char		claim[SHARED_ERROR_LEN];
	bool		claimed;
	bool		behind;
	bool		over;

	worker_begin(slot, "looking how this node's chain stands");
	trusted_begin(&scope);
	recovery_read(&state, context);
	behind = state.height < found.known;
	claimed = recovery_claims_stand(state.height, recovery_answered, claim);
	over = found.other[0] == '\0' && !claimed &&
		(missing == 0 || (late && !behind && (found.answers > 0 || !state.suspect)));
	if (over && state.is_node)
		recovery_settle(&state);
	trusted_end(&scope);
	worker_commit();
	MemoryContextSwitchTo(context);
	if (over)
	{
		if (found.first >= 0)
			ereport(LOG,
					(errmsg("medchain: blocks %lld to %lld of this node's own chain were taken "
							"back from its peers", (long long) found.first,
							(long long) found.last)));
		if (missing > 0)
			ereport(LOG,
					(errmsg("medchain: this node's chain goes on, although %d peers could not be "
							"asked whether they have more of it", missing),
					 errdetail("The last of them: %s", found.problem)));
		recovery_end(slot);
		(void) shared_wake(slot, WORKER_SEALER);
		return true;
	}
	LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
	slot->recovery_behind = behind;
	if (found.other[0] != '\0')
		strlcpy(slot->recovery_error, found.other, SHARED_ERROR_LEN);
	else if (late && behind)
		snprintf(slot->recovery_error, SHARED_ERROR_LEN, "peers have block %lld of this node's "
				 "chain, and it cannot be taken back: %s", (long long) found.known,
				 found.problem);
	else if (claimed && (late || missing == 0))
		strlcpy(slot->recovery_error, claim, SHARED_ERROR_LEN);
	else if (late)
		snprintf(slot->recovery_error, SHARED_ERROR_LEN, "no peer can be asked whether it has more "
				 "of this node's chain than is here: %s", found.problem);
	LWLockRelease(shared_state->lock);
	return false;
}

bool
recovery_step(SharedDatabase *slot, MemoryContext context)
{
	static TimestampTz next = 0;
	TrustedScope scope;
	RecoveryNode state;
	ListCell   *cell;
	int			missing = 0;

	if (pg_atomic_read_u32(&slot->recovered) != 0)
		return true;
	if (steady_now() < next)
		return false;
	(void) recovery_is_late(slot, 0);
	worker_begin(slot, "looking for peers to ask for this node's chain");
	trusted_begin(&scope);
	recovery_read(&state, context);
	trusted_end(&scope);
	worker_commit();
	MemoryContextSwitchTo(context);
	if (!state.is_node)
		return true;
	found.other[0] = '\0';
	foreach(cell, state.peers)
	{
		const FetchTask *task = lfirst(cell);
		RecoveryPeer *peer = recovery_peer(task->source);

		if (peer->answered)
			continue;
		peer->answered = recovery_ask(slot, context, task, &peer->complaint) == ANSWER_SAME;
		if (peer->answered)
			found.answers++;
		else
			missing++;
	}
	next = TimestampTzPlusMilliseconds(steady_now(), RECOVERY_PAUSE);
	return recovery_conclude(slot, context, missing);
}

PG_FUNCTION_INFO_V1(medchain_begin_recovery);

/*
 * begin_recovery(without_peers boolean) -> void: this database has become the node: peers are to be
 * asked, or not.
 */
Datum
medchain_begin_recovery(PG_FUNCTION_ARGS)
{
	SharedDatabase *slot;

	shared_require();
	slot = shared_database();
	LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
	slot->recovery_since = 0;
	slot->recovery_behind = false;
	slot->recovery_error[0] = '\0';
	LWLockRelease(shared_state->lock);
	pg_atomic_write_u32(&slot->recovered, PG_GETARG_BOOL(0) ? 1 : 0);
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(medchain_recovering);

/* recovering() -> boolean: is nothing sealed, as peers are asked for this node's own chain? */
Datum
medchain_recovering(PG_FUNCTION_ARGS)
{
	shared_require();
	PG_RETURN_BOOL(pg_atomic_read_u32(&shared_database()->recovered) == 0);
}

PG_FUNCTION_INFO_V1(medchain_timeline);

/* timeline() -> bigint: of the WAL that this server writes */
Datum
medchain_timeline(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64((int64) GetWALInsertionTimeLine());
}
