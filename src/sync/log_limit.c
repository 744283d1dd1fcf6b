/*
 * log_limit.c: what processes that serve peers say in the log, and how often.
 *
 * A peer that cannot be reached, or sends what cannot be applied, ends PostgreSQL's apply worker,
 * and another one is started every few seconds (wal_retrieve_retry_interval), for as long as that
 * lasts: each says that it has started, what is wrong, and, the postmaster for it, that it has
 * ended; and at the peer each says where decoding begins.  So of one subscription, or slot, of
 * medchain's a line is said a few times a minute, and one that is said all the same only once; a
 * worker whose error was said before ends as if nothing had been wrong, as PostgreSQL then says
 * nothing of it.  It starts no other one later or sooner because of that.
 *
 * What was wrong last is kept for the view medchain.peers, as PostgreSQL only counts.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "replication/logicalworker.h"
#include "replication/slot.h"
#include "replication/walsender.h"
#include "replication/worker_internal.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "storage/spin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "node/steady.h"
#include "sync/log_limit.h"

#define LOG_LIMIT_SHMEM "medchain log"
#define LOG_LIMIT_PREFIX "medchain_"	/* of our subscriptions and slots: see slot_name() */
#define LOG_LIMIT_PERIOD 60000	/* milliseconds */
#define LOG_LIMIT_LINES 3		/* of one kind in that time, ... */
#define LOG_LIMIT_SAME 1		/* ... that say the same, of an error */
#define LOG_LIMIT_KINDS 256		/* of lines, that are remembered */
#define LOG_LIMIT_FAILURES 256	/* subscriptions whose last error is */
#define LOG_LIMIT_TEXT 256		/* bytes of that */

/* What was said since when, by how many lines. */
typedef struct LogKind
{
	uint64		kind;			/* hash of who says what; 0: free */
	TimestampTz since;
	uint32		lines;
} LogKind;

typedef struct LogFailure
{
	Oid			database;
	Oid			subscription;	/* InvalidOid: free */
	TimestampTz at;
	int64		count;
	char		error[LOG_LIMIT_TEXT];
} LogFailure;

typedef struct LogLimit
{
	slock_t		lock;			/* held for a moment, by who may be in the middle of anything */
	LogKind		kinds[LOG_LIMIT_KINDS];
	LogFailure	failures[LOG_LIMIT_FAILURES];
} LogLimit;

static LogLimit *shared = NULL;
static shmem_request_hook_type previous_request = NULL;
static shmem_startup_hook_type previous_startup = NULL;
static emit_log_hook_type previous_log = NULL;
static bool quiet = false;		/* the error that ends this process was said before */

static void
log_limit_request(void)
{
	if (previous_request)
		previous_request();
	RequestAddinShmemSpace(MAXALIGN(sizeof(LogLimit)));
}

static void
log_limit_startup(void)
{
	bool		found;

	if (previous_startup)
		previous_startup();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = ShmemInitStruct(LOG_LIMIT_SHMEM, sizeof(LogLimit), &found);
	if (!found)
	{
		memset(shared, 0, sizeof(LogLimit));
		SpinLockInit(&shared->lock);
	}
	LWLockRelease(AddinShmemInitLock);
}

static bool
log_limit_is_ours(const char *name)
{
	return strncmp(name, LOG_LIMIT_PREFIX, strlen(LOG_LIMIT_PREFIX)) == 0;
}

/* The subscription, or slot, of ours that this process is there for; NULL: none. */
static const char *
log_limit_name(void)
{
	if (IsLogicalWorker() && MySubscription != NULL && MySubscription->name != NULL)
		return log_limit_is_ours(MySubscription->name) ? MySubscription->name : NULL;
	if (am_walsender && MyReplicationSlot != NULL)
		return log_limit_is_ours(NameStr(MyReplicationSlot->data.name)) ?
			NameStr(MyReplicationSlot->data.name) : NULL;
	return NULL;
}

static uint64
log_limit_hash(const char *text, uint64 seed)
{
	return hash_bytes_extended((const unsigned char *) text, (int) strlen(text), seed);
}

/* Has less than that been said of this kind lately?  Counts it.  With the lock. */
static bool
log_limit_may_say(uint64 kind, uint32 lines, TimestampTz now)
{
	LogKind    *place = &shared->kinds[0];

	for (int i = 0; i < LOG_LIMIT_KINDS; i++)
	{
		if (shared->kinds[i].kind == kind)
		{
			place = &shared->kinds[i];
			break;
		}
		if (shared->kinds[i].since < place->since)
			place = &shared->kinds[i];
	}
	if (place->kind != kind || TimestampDifferenceExceeds(place->since, now, LOG_LIMIT_PERIOD))
	{
		place->kind = kind;
		place->since = now;
		place->lines = 0;
	}
	if (place->lines >= lines)
		return false;
	place->lines++;
	return true;
}

/* The place of a subscription's last error, or the oldest one.  With the lock. */
static LogFailure *
log_limit_failure(Oid subscription)
{
	LogFailure *place = &shared->failures[0];

	for (int i = 0; i < LOG_LIMIT_FAILURES; i++)
	{
		LogFailure *failure = &shared->failures[i];

		if (failure->subscription == subscription && failure->database == MyDatabaseId)
			return failure;
		if (failure->at < place->at)
			place = failure;
	}
	return place;
}

static void
log_limit_remember(Oid subscription, const char *message, TimestampTz now)
{
	LogFailure *failure;
	size_t		len = strlen(message);

	if (len >= LOG_LIMIT_TEXT)
		len = pg_mbcliplen(message, (int) len, LOG_LIMIT_TEXT - 1);
	SpinLockAcquire(&shared->lock);
	failure = log_limit_failure(subscription);
	if (failure->subscription != subscription || failure->database != MyDatabaseId)
		failure->count = 0;
	failure->subscription = subscription;
	failure->database = MyDatabaseId;
	failure->at = now;
	failure->count++;
	memcpy(failure->error, message, len);
	failure->error[len] = '\0';
	SpinLockRelease(&shared->lock);
}

/* on_proc_exit: what ends with this status is nothing that PostgreSQL has to say. */
static void
log_limit_leave(int code, Datum arg)
{
	if (quiet && code == 1)
		proc_exit(0);
}

/* An emit_log_hook. */
static void
log_limit_log(ErrorData *error)
{
	const char *name = shared != NULL && error->output_to_server ? log_limit_name() : NULL;
	bool		is_error = error->elevel >= ERROR;

	/* LOG stands below the others; who is told to go is in no trouble */
	if (name != NULL && (error->elevel == LOG || error->elevel >= WARNING) &&
		error->elevel < PANIC && error->sqlerrcode != ERRCODE_ADMIN_SHUTDOWN)
	{
		TimestampTz now = steady_now();
		const char *format = error->message_id ? error->message_id : "";
		const char *message = error->message ? error->message : "";
		uint64		kind = log_limit_hash(format, log_limit_hash(name, am_walsender));
		uint64		same = log_limit_hash(message, kind);
		bool		say;

		if (is_error && !am_walsender)
			log_limit_remember(MySubscription->oid, message, now);
		SpinLockAcquire(&shared->lock);
		say = (!is_error || log_limit_may_say(same, LOG_LIMIT_SAME, now)) &&
			log_limit_may_say(kind, LOG_LIMIT_LINES, now);
		SpinLockRelease(&shared->lock);
		if (!say)
			error->output_to_server = false;
		if (!say && is_error && !am_walsender && !quiet)
		{
			quiet = true;
			on_proc_exit(log_limit_leave, (Datum) 0);
		}
	}
	if (previous_log != NULL)
		previous_log(error);
}

void
log_limit_install(void)
{
	previous_request = shmem_request_hook;
	shmem_request_hook = log_limit_request;
	previous_startup = shmem_startup_hook;
	shmem_startup_hook = log_limit_startup;
	previous_log = emit_log_hook;
	emit_log_hook = log_limit_log;
}

PG_FUNCTION_INFO_V1(medchain_peer_errors);

/*
 * peer_errors(OUT subscription oid, OUT error text, OUT at timestamptz, OUT count bigint): of this
 * database's subscriptions, since the server started.
 */
Datum
medchain_peer_errors(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; shared != NULL && i < LOG_LIMIT_FAILURES; i++)
	{
		LogFailure	failure;
		Datum		values[4];
		bool		nulls[4] = {false};

		SpinLockAcquire(&shared->lock);
		failure = shared->failures[i];
		SpinLockRelease(&shared->lock);
		if (failure.subscription == InvalidOid || failure.database != MyDatabaseId)
			continue;
		values[0] = ObjectIdGetDatum(failure.subscription);
		values[1] = CStringGetTextDatum(failure.error);
		values[2] = TimestampTzGetDatum(steady_date(failure.at));
		values[3] = Int64GetDatum(failure.count);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
