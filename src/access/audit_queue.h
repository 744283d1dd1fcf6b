/*
 * audit_queue.h: the way of access records from a session to the audit worker, in shared memory.
 *
 * A session that reads protected rows has a channel of its own: a message queue, whose other end
 * the worker of the database holds, and a counter of what the worker has made durable.  What a
 * session has not been told to be durable is not: the worker tells it between two transactions.
 */
#ifndef MEDCHAIN_ACCESS_AUDIT_QUEUE_H
#define MEDCHAIN_ACCESS_AUDIT_QUEUE_H

#include "postgres.h"
#include "lib/stringinfo.h"
#include "port/atomics.h"
#include "storage/dsm.h"
#include "storage/shm_mq.h"

/* At the beginning of a channel's segment; the message queue is behind it. */
typedef struct AuditChannel
{
	pg_atomic_uint64 begun;		/* so many messages the session has begun to send */
	pg_atomic_uint32 closed;	/* the session has gone, and sends no more */
	pg_atomic_uint64 durable;	/* so many messages are */
	pg_atomic_uint32 left;		/* the worker has gone, and takes no more from here */
} AuditChannel;

#define AUDIT_QUEUE_OFFSET MAXALIGN(sizeof(AuditChannel))

/*
 * One record of a message, which has one or more: these lengths, the payload of the entry, and the
 * leaves of its subjects, each width bytes, in their order.
 */
typedef struct AuditRecord
{
	uint32		payload_len;
	uint32		nsubjects;
	uint32		width;
	bool		refused;
} AuditRecord;

/* From _PG_init, while preloading. */
extern void audit_queue_install(void);

/* Add a record to a message. */
extern void audit_message_add(StringInfo message, const char *payload, const uint8 *subjects,
							  uint32 nsubjects, Size width, bool refused);

/*
 * Hand a message over; durable: and wait until its records are.  ERROR if that cannot be had within
 * medchain.read_audit_timeout, with the reason; in_error: false instead, without a look at the
 * catalogues, and not to be cancelled.
 */
extern bool audit_queue_send(const StringInfoData *message, bool durable, bool in_error);

/* For the worker: the next channel of this database that nobody has taken yet; or invalid. */
extern dsm_handle audit_queue_take(void);

#endif
