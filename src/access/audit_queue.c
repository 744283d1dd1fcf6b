/*
 * audit_queue.c: a session's end of its channel to the audit worker.
 *
 * A worker that leaves for a while, as its settings have changed, say, has made nothing of what it
 * did not tell to be durable: that is sent again to the one that comes next.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "access/audit_queue.h"
#include "compat.h"
#include "core/hash.h"
#include "node/demand.h"
#include "node/settings.h"
#include "node/shared.h"
#include "node/steady.h"

#define AUDIT_RING (64 * 1024)
#define AUDIT_SLICE 100			/* milliseconds between looks at what became of the worker */
#define AUDIT_PARTING 3000		/* milliseconds that a session waits which is told to go */
#define AUDIT_LOCKS "medchain audit"

/* Where a session leaves its channel for the worker to find it. */
typedef struct AuditPlace
{
	Oid			database;		/* InvalidOid: free */
	dsm_handle	handle;
} AuditPlace;

typedef struct AuditPlaces
{
	LWLock	   *lock;
	int			count;
	AuditPlace	places[FLEXIBLE_ARRAY_MEMBER];
} AuditPlaces;

/* This session's channel. */
typedef struct AuditSession
{
	dsm_segment *segment;		/* NULL: none */
	AuditChannel *channel;
	shm_mq	   *queue;
	shm_mq_handle *handle;
	uint64		asked;			/* for the worker: see shared_wake() */
	bool		taken;			/* the worker has the other end */
	bool		midway;			/* a message has begun that has to be completed */
	uint64		sent;			/* messages */
} AuditSession;

static AuditPlaces *places = NULL;
static AuditSession session;
static shmem_request_hook_type previous_request = NULL;
static shmem_startup_hook_type previous_startup = NULL;

/* ----- shared memory ----- */

static Size
audit_size(void)
{
	return add_size(offsetof(AuditPlaces, places),
					mul_size(sizeof(AuditPlace), (Size) MaxBackends));
}

static void
audit_request(void)
{
	if (previous_request)
		previous_request();
	RequestAddinShmemSpace(MAXALIGN(audit_size()));
	RequestNamedLWLockTranche(AUDIT_LOCKS, 1);
}

static void
audit_startup(void)
{
	bool		found;

	if (previous_startup)
		previous_startup();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	places = ShmemInitStruct(AUDIT_LOCKS, audit_size(), &found);
	if (!found)
	{
		memset(places, 0, audit_size());
		places->lock = &GetNamedLWLockTranche(AUDIT_LOCKS)->lock;
		places->count = MaxBackends;
	}
	LWLockRelease(AddinShmemInitLock);
}

void
audit_queue_install(void)
{
	previous_request = shmem_request_hook;
	shmem_request_hook = audit_request;
	previous_startup = shmem_startup_hook;
	shmem_startup_hook = audit_startup;
}

/* False: there is no room, for a moment. */
static bool
audit_leave(dsm_handle handle)
{
	bool		found = false;

	LWLockAcquire(places->lock, LW_EXCLUSIVE);
	for (int i = 0; i < places->count && !found; i++)
		if (!OidIsValid(places->places[i].database))
		{
			places->places[i].database = MyDatabaseId;
			places->places[i].handle = handle;
			found = true;
		}
	LWLockRelease(places->lock);
	return found;
}

dsm_handle
audit_queue_take(void)
{
	dsm_handle	handle = DSM_HANDLE_INVALID;

	LWLockAcquire(places->lock, LW_EXCLUSIVE);
	for (int i = 0; i < places->count && handle == DSM_HANDLE_INVALID; i++)
		if (places->places[i].database == MyDatabaseId)
		{
			handle = places->places[i].handle;
			places->places[i].database = InvalidOid;
		}
	LWLockRelease(places->lock);
	return handle;
}

/* ----- the channel ----- */

/* However this process ends. */
static void
audit_closed(dsm_segment *segment, Datum channel)
{
	pg_atomic_write_u32(&((AuditChannel *) DatumGetPointer(channel))->closed, 1);
}

static void
audit_close(void)
{
	if (session.segment == NULL)
		return;
	pg_atomic_write_u32(&session.channel->closed, 1);
	shm_mq_detach(session.handle);
	dsm_detach(session.segment);
	memset(&session, 0, sizeof(session));
}

static void
audit_open(void)
{
	Size		size = AUDIT_QUEUE_OFFSET + AUDIT_RING;
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	char	   *at;

	session.segment = dsm_create(size, 0);
	dsm_pin_mapping(session.segment);
	at = dsm_segment_address(session.segment);
	session.channel = (AuditChannel *) at;
	pg_atomic_init_u64(&session.channel->begun, 0);
	pg_atomic_init_u32(&session.channel->closed, 0);
	pg_atomic_init_u64(&session.channel->durable, 0);
	pg_atomic_init_u32(&session.channel->left, 0);
	session.queue = shm_mq_create(at + AUDIT_QUEUE_OFFSET, AUDIT_RING);
	shm_mq_set_sender(session.queue, MyProc);
	session.handle = shm_mq_attach(session.queue, session.segment, NULL);
	/* comes before what wakes the worker, as the last one is called first */
	on_dsm_detach(session.segment, audit_closed, PointerGetDatum(session.channel));
	MemoryContextSwitchTo(old);
	if (!audit_leave(dsm_segment_handle(session.segment)))
	{
		audit_close();
		return;
	}
	session.asked = shared_wake(shared_database(), WORKER_AUDITOR);
}

/* ----- waiting ----- */

typedef struct AuditWait
{
	TimestampTz since;
	bool		in_error;
} AuditWait;

/* False, or an ERROR: there is nothing to wait for. */
static bool
audit_fail(const AuditWait *wait, const DemandProblem *problem)
{
	if (session.midway || !session.taken)
		audit_close();
	if (wait->in_error)
		return false;
	ereport(ERROR,
			(errcode(problem ? problem->sqlstate : ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the access to protected rows cannot be recorded"),
			 problem ? errdetail("%s%s%s", problem->message, problem->detail ? ": " : "",
								 problem->detail ? problem->detail : "") :
			 errdetail("The audit worker of this database did not do so within %d ms.",
					   setting_read_audit_timeout),
		   errhint("%s", problem ? problem->hint : "See the server log. Rows are not shown until "
				   "it is on the ledger who has read them.")));
	return false;
}

/*
 * For how long to wait.  Who is told to go does not keep the server from shutting down, when there
 * may be no worker any more.
 */
static int
audit_limit(void)
{
	return ProcDiePending ? Min(setting_read_audit_timeout, AUDIT_PARTING) :
		setting_read_audit_timeout;
}

/*
 * Sleep for a while; false as above.  Until the message is in the queue nothing else ends the wait:
 * what a statement has read may have been kept, by a sequence or a lock, say, and is to be recorded
 * although it is cancelled.
 */
static bool
audit_sleep(const AuditWait *wait, bool handed_over)
{
	DemandProblem problem;
	TimestampTz now = steady_now();

	if (handed_over && !wait->in_error)
		CHECK_FOR_INTERRUPTS();
	else if (handed_over && ProcDiePending)
		return audit_fail(wait, NULL);
	if (TimestampDifferenceExceeds(wait->since, now, audit_limit()))
		return audit_fail(wait, NULL);
	if (!session.taken && session.segment != NULL && !wait->in_error &&
		demand_problem(shared_database(), WORKER_AUDITOR, &session.asked, wait->since, &problem))
		return audit_fail(wait, &problem);
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | WL_TIMEOUT, AUDIT_SLICE,
					 compat_wait_event("MedchainAudit"));
	ResetLatch(MyLatch);
	return true;
}

static bool
audit_worker_left(void)
{
	return pg_atomic_read_u32(&session.channel->left) != 0;
}

/* A channel whose other end somebody has. */
static bool
audit_connect(const AuditWait *wait)
{
	if (session.segment != NULL && (session.midway || audit_worker_left()))
	{
		uint64		lost = session.sent - pg_atomic_read_u64(&session.channel->durable);

		if (!wait->in_error && lost > 0 && !session.midway)
			ereport(WARNING,
					(errmsg("the last access records of this session may not be on the ledger"),
					 errdetail("The audit worker left before it had written them, and "
							   "medchain.read_audit was not \"strict\".")));
		audit_close();
	}
	while (session.segment == NULL || !session.taken)
	{
		if (session.segment == NULL)
			audit_open();
		if (session.segment != NULL && shm_mq_get_receiver(session.queue) != NULL)
			session.taken = true;
		else if (!audit_sleep(wait, false))
			return false;
	}
	return true;
}

/* Put it into the queue.  *gone: the worker is. */
static bool
audit_put(const StringInfoData *message, const AuditWait *wait, bool *gone)
{
	*gone = false;
	for (;;)
	{
		shm_mq_result result;

		if (!session.midway)
			(void) pg_atomic_fetch_add_u64(&session.channel->begun, 1);
		session.midway = true;
		result = shm_mq_send(session.handle, (Size) message->len, message->data, true, true);
		if (result == SHM_MQ_SUCCESS)
		{
			session.midway = false;
			session.sent++;
			return true;
		}
		if (result == SHM_MQ_DETACHED)
		{
			*gone = true;
			return true;
		}
		if (!audit_sleep(wait, false))
			return false;
	}
}

bool
audit_queue_send(const StringInfoData *message, bool durable, bool in_error)
{
	AuditWait	wait = {.since = steady_now(), .in_error = in_error};
	bool		gone = true;

	while (gone)
	{
		if (!audit_connect(&wait) || !audit_put(message, &wait, &gone))
			return false;
		if (gone)
		{
			audit_close();
			if (!audit_sleep(&wait, false))
				return false;
		}
		while (durable && !gone &&
			   pg_atomic_read_u64(&session.channel->durable) < session.sent)
		{
			/* what it had not told by then is not there */
			if (audit_worker_left() &&
				pg_atomic_read_u64(&session.channel->durable) < session.sent)
			{
				gone = true;
				audit_close();
			}
			else if (!audit_sleep(&wait, true))
				return false;
		}
	}
	return true;
}

void
audit_message_add(StringInfo message, const char *payload, const uint8 *subjects, uint32 nsubjects,
				  Size width, bool refused)
{
	AuditRecord record = {
		.payload_len = (uint32) strlen(payload), .nsubjects = nsubjects, .width = (uint32) width,
		.refused = refused
	};

	appendBinaryStringInfo(message, (char *) &record, sizeof(record));
	appendBinaryStringInfo(message, payload, (int) record.payload_len);
	if (nsubjects > 0)
		appendBinaryStringInfo(message, (const char *) subjects, (int) (nsubjects * width));
}
