/*
 * audit_worker.c: the worker that puts on the ledger who has read what, in transactions of its own.
 *
 * It has the other ends of all sessions' channels.  What is in them when it looks goes on the
 * ledger in one transaction, whatever becomes of those of the sessions; then they are told.  While
 * that is flushed, others write into their channels: so accesses share commits, the more of them
 * there are at a time.
 */
#include "postgres.h"

#include "access/xact.h"
#include "fmgr.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "access/audit_queue.h"
#include "access/read_store.h"
#include "core/hash.h"
#include "ledger/append.h"
#include "ledger/payload.h"
#include "node/notify.h"
#include "node/shared.h"
#include "node/worker.h"

#define AUDITOR_IDLE 10000		/* milliseconds */
#define AUDITOR_MESSAGES 64		/* of one channel in one transaction */
#define AUDITOR_BYTES (16 * 1024 * 1024)	/* in one transaction, from which on no more is taken */

PGDLLEXPORT void medchain_auditor_main(Datum database);

typedef struct AuditorChannel
{
	dlist_node	link;
	dsm_segment *segment;
	AuditChannel *channel;
	shm_mq	   *queue;
	shm_mq_handle *handle;
	uint64		received;		/* messages */
	uint64		taken;			/* ... of the transaction at work */
} AuditorChannel;

static dlist_head channels = DLIST_STATIC_INIT(channels);

/* However this process ends. */
static void
auditor_left(dsm_segment *segment, Datum channel)
{
	pg_atomic_write_u32(&((AuditChannel *) DatumGetPointer(channel))->left, 1);
}

static void
auditor_attach(dsm_handle handle)
{
	dsm_segment *segment = dsm_attach(handle);
	AuditorChannel *channel;
	char	   *at;

	if (segment == NULL)
		return;					/* the session is gone, and has left nothing */
	dsm_pin_mapping(segment);
	channel = palloc0(sizeof(AuditorChannel));
	at = dsm_segment_address(segment);
	channel->segment = segment;
	channel->channel = (AuditChannel *) at;
	channel->queue = (shm_mq *) (at + AUDIT_QUEUE_OFFSET);
	shm_mq_set_receiver(channel->queue, MyProc);
	channel->handle = shm_mq_attach(channel->queue, segment, NULL);
	/* comes before what wakes the session, as the last one is called first */
	on_dsm_detach(segment, auditor_left, PointerGetDatum(channel->channel));
	dlist_push_tail(&channels, &channel->link);
}

static void
auditor_detach(AuditorChannel *channel)
{
	dlist_delete(&channel->link);
	shm_mq_detach(channel->handle);
	dsm_detach(channel->segment);
	pfree(channel);
}

/* Those of sessions that are new here. */
static void
auditor_attach_new(void)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	dsm_handle	handle;

	while ((handle = audit_queue_take()) != DSM_HANDLE_INVALID)
		auditor_attach(handle);
	MemoryContextSwitchTo(old);
}

/* To look into an empty queue would wake its session, which waits for something else. */
static bool
auditor_has_news(const AuditorChannel *channel)
{
	return pg_atomic_read_u64(&channel->channel->begun) > channel->received ||
		pg_atomic_read_u32(&channel->channel->closed) != 0;
}

/* The messages of a channel that are there. */
static void
auditor_receive(AuditorChannel *channel, StringInfo batch, bool *gone)
{
	*gone = false;
	while (channel->taken < AUDITOR_MESSAGES && batch->len < AUDITOR_BYTES &&
		   auditor_has_news(channel))
	{
		Size		len;
		void	   *data;
		shm_mq_result result = shm_mq_receive(channel->handle, &len, &data, true);

		*gone = result == SHM_MQ_DETACHED;
		if (result != SHM_MQ_SUCCESS)
			return;
		appendBinaryStringInfo(batch, data, (int) len);
		channel->received++;
		channel->taken++;
	}
}

/* Applications hear of it. */
static void
auditor_tell_refused(const char *payload, size_t len, const pg_uuid_t *id)
{
	PayloadFields fields;
	const char *reason;

	if (payload_parse(pnstrdup(payload, len), len, &fields, &reason))
		notify_event("refused", "entry",
					 DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(id))), "member",
					 fields.actor, NULL);
}

/* Records, one behind the other. */
static void
auditor_write(const StringInfoData *batch)
{
	const char *at = batch->data;

	while (at < batch->data + batch->len)
	{
		AuditRecord record;
		pg_uuid_t	id;

		memcpy(&record, at, sizeof(record));
		at += sizeof(record);
		append_written(at, record.payload_len, &id);
		if (record.refused)
			auditor_tell_refused(at, record.payload_len, &id);
		at += record.payload_len;
		if (record.nsubjects > 0)
			read_store(&id, (const uint8 *) at, record.nsubjects, record.width);
		at += (Size) record.nsubjects * record.width;
	}
}

/* What is in the channels has become durable. */
static void
auditor_tell(void)
{
	dlist_iter	iter;

	dlist_foreach(iter, &channels)
	{
		AuditorChannel *channel = dlist_container(AuditorChannel, link, iter.cur);
		PGPROC	   *sender;

		if (channel->taken == 0)
			continue;
		pg_atomic_fetch_add_u64(&channel->channel->durable, channel->taken);
		channel->taken = 0;
		sender = shm_mq_get_sender(channel->queue);
		if (sender != NULL)
			SetLatch(&sender->procLatch);
	}
}

/* False: there was nothing. */
static bool
auditor_round(SharedDatabase *slot)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller, "medchain audit round",
												  ALLOCSET_DEFAULT_SIZES);
	StringInfoData batch;
	dlist_mutable_iter iter;

	MemoryContextSwitchTo(context);
	initStringInfo(&batch);
	dlist_foreach_modify(iter, &channels)
	{
		AuditorChannel *channel = dlist_container(AuditorChannel, link, iter.cur);
		bool		gone;

		auditor_receive(channel, &batch, &gone);
		if (gone && channel->taken == 0)
			auditor_detach(channel);
	}
	if (batch.len > 0)
	{
		worker_begin(slot, "recording who has read what");
		MemoryContextSwitchTo(context);
		auditor_write(&batch);
		worker_commit();
		auditor_tell();
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	return batch.len > 0;
}

static void
auditor_loop(SharedDatabase *slot)
{
	notify_start();
	for (;;)
	{
		bool		more;
		long		limit;

		auditor_attach_new();
		more = auditor_round(slot);
		limit = notify_send(slot, AUDITOR_IDLE);
		if (!more)
			(void) worker_sleep(slot, limit, NULL);
		CHECK_FOR_INTERRUPTS();
	}
}

void
medchain_auditor_main(Datum database)
{
	SharedDatabase *slot = worker_start(database, WORKER_AUDITOR, "medchain auditor");

	/* what is said to be durable is */
	if (synchronous_commit < SYNCHRONOUS_COMMIT_LOCAL_FLUSH)
		SetConfigOption("synchronous_commit", "local", PGC_USERSET, PGC_S_OVERRIDE);
	worker_run(slot, auditor_loop, NULL);
}
