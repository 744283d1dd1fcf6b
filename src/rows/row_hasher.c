/*
 * row_hasher.c: a process beside a statement about many rows that hashes what it does to them.
 *
 * They share a piece of memory with two queues.  Through one go batches of records, each what is to
 * be hashed of one change, or its item, if that is known; through the other, for each batch, the
 * hashes of level 1 that it has completed, and its items.  When either process detaches from the
 * memory, be it because it has come to its end, the other one does so as well.
 *
 * The session does not wait for the other one as long as there is something to do: while the queue
 * has no room for a batch, it hashes what comes next itself.  So where no core is free, it is not
 * held up by a process that does not get to run.
 */
#include "postgres.h"

#include <openssl/crypto.h>

#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "storage/dsm.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/shm_mq.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/ps_status.h"

#include "compat.h"
#include "ledger/pseudonym.h"
#include "node/reserve.h"
#include "rows/row_hasher.h"

#define HASHER_KEY_MAX 1024

/* Several batches fit into a queue, and what is in it at the end of a part does not take long. */
#define HASHER_QUEUE (64 * 1024)
#define HASHER_BATCH (16 * 1024)

/* What both of them see; of the keys only until the worker has read them. */
typedef struct HasherShared
{
	uint8_t		id_key[HASHER_KEY_MAX]; /* of the alliance */
	uint8_t		salt_key[HASHER_KEY_MAX];	/* of the table */
	size_t		id_key_len;
	size_t		salt_key_len;
	TreeRange	tree;			/* what it takes over; then, as of the last batch that is back */
	char		jobs[HASHER_QUEUE];
	char		results[HASHER_QUEUE];
} HasherShared;

StaticAssertDecl(offsetof(HasherShared, jobs) % MAXIMUM_ALIGNOF == 0, "queues are aligned");

/* In front of the texts, or the item, of a change. */
typedef struct HasherRecord
{
	RowOperation operation;
	bool		is_item;
	uint32		key_len;
	uint32		now_len;
	uint32		was_len;
} HasherRecord;

typedef struct HasherBatch
{
	int			len;
	char		records[HASHER_BATCH];
} HasherBatch;

struct RowHasher
{
	dsm_segment *segment;
	HasherShared *shared;
	shm_mq_handle *jobs;
	shm_mq_handle *results;
	bool		has_taken_over;
	int			asked;			/* so often whether it has come up */
	StringInfo	items;
	StringInfo	hashes;
	int			outstanding;	/* batches whose items have yet to come */
	MemoryContextCallback callback;
	int			filling;		/* that batch; the other one is being sent, unless it is empty */
	HasherBatch batches[2];
};

/* One for a process: the sets of other tables that the same statement changes go without. */
static RowHasher *current = NULL;

PGDLLEXPORT void medchain_row_hasher(Datum handle);

/* ----- coming and going ----- */

static void
hasher_forget_keys(HasherShared *shared)
{
	OPENSSL_cleanse(shared->id_key, HASHER_KEY_MAX);
	OPENSSL_cleanse(shared->salt_key, HASHER_KEY_MAX);
}

/* The context of the hasher goes. */
static void
hasher_end(void *arg)
{
	RowHasher  *hasher = (RowHasher *) arg;

	hasher_forget_keys(hasher->shared);
	dsm_detach(hasher->segment);
	current = NULL;
}

static bool
hasher_set_key(const HashMac *mac, uint8_t key[HASHER_KEY_MAX], size_t *len)
{
	const void *bytes = hash_mac_key(mac, len);

	if (*len > HASHER_KEY_MAX)
		return false;
	memcpy(key, bytes, *len);
	return true;
}

static bool
hasher_register(dsm_handle handle)
{
	BackgroundWorker worker = {0};

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS;
	worker.bgw_start_time = BgWorkerStart_ConsistentState;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker.bgw_library_name, "medchain", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "medchain_row_hasher", BGW_MAXLEN);
	snprintf(worker.bgw_name, BGW_MAXLEN, "medchain row hasher for process %d", MyProcPid);
	strlcpy(worker.bgw_type, "medchain row hasher", BGW_MAXLEN);
	worker.bgw_main_arg = UInt32GetDatum(handle);
	return reserve_start(&worker);
}

RowHasher *
row_hasher_start(const RowTable *table, StringInfo items, StringInfo hashes,
				 MemoryContext context)
{
	MemoryContext old;
	RowHasher  *hasher;
	HasherShared *shared;
	dsm_segment *segment;

	if (current != NULL || !IsUnderPostmaster || table->keyless)
		return NULL;
	hasher = MemoryContextAllocZero(context, sizeof(RowHasher));
	segment = dsm_create(sizeof(HasherShared), DSM_CREATE_NULL_IF_MAXSEGMENTS);
	if (segment == NULL)
		return NULL;
	shared = dsm_segment_address(segment);
	if (!hasher_set_key(pseudonym_mac(), shared->id_key, &shared->id_key_len) ||
		!hasher_set_key(table->salts, shared->salt_key, &shared->salt_key_len))
	{
		dsm_detach(segment);
		return NULL;
	}
	old = MemoryContextSwitchTo(context);
	hasher->segment = segment;
	hasher->shared = shared;
	hasher->items = items;
	hasher->hashes = hashes;
	shm_mq_create(shared->jobs, HASHER_QUEUE);
	shm_mq_create(shared->results, HASHER_QUEUE);
	shm_mq_set_sender((shm_mq *) shared->jobs, MyProc);
	shm_mq_set_receiver((shm_mq *) shared->results, MyProc);
	hasher->jobs = shm_mq_attach((shm_mq *) shared->jobs, segment, NULL);
	hasher->results = shm_mq_attach((shm_mq *) shared->results, segment, NULL);
	MemoryContextSwitchTo(old);
	if (!hasher_register(dsm_segment_handle(segment)))
	{
		hasher_forget_keys(shared);
		dsm_detach(segment);
		return NULL;
	}
	/* it lasts as long as the set, which several subtransactions may add to */
	dsm_pin_mapping(segment);
	hasher->callback.func = hasher_end;
	hasher->callback.arg = hasher;
	MemoryContextRegisterResetCallback(context, &hasher->callback);
	current = hasher;
	return hasher;
}

/* Every row asks; a worker takes a millisecond to come up, or is waiting for others to go. */
bool
row_hasher_takes_over(RowHasher *hasher, const TreeRange *tree)
{
	if (hasher->has_taken_over)
		return true;
	if (++hasher->asked % 64 != 0 ||
		shm_mq_get_receiver((shm_mq *) hasher->shared->jobs) == NULL)
		return false;
	hasher->shared->tree = *tree;
	hasher->has_taken_over = true;
	return true;
}

/* ----- the session ----- */

static void
hasher_is_lost(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OPERATOR_INTERVENTION),
			 errmsg("the process that hashes the rows of this statement has ended"),
		   errhint("Run the statement again. After SET max_parallel_workers = 0 it does without, "
				   "and takes longer.")));
}

static void
hasher_wait(void)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH, -1,
					 compat_wait_event("MedchainRowHasher"));
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/* The items of a batch, if they are there. */
static bool
hasher_receive(RowHasher *hasher)
{
	Size		len;
	void	   *data;
	uint32		hashes_len;
	shm_mq_result result = shm_mq_receive(hasher->results, &len, &data, true);

	if (result == SHM_MQ_WOULD_BLOCK)
		return false;
	if (result != SHM_MQ_SUCCESS)
		hasher_is_lost();
	hasher->outstanding--;
	memcpy(&hashes_len, data, sizeof(hashes_len));
	appendBinaryStringInfo(hasher->hashes, (char *) data + sizeof(hashes_len), (int) hashes_len);
	appendBinaryStringInfo(hasher->items, (char *) data + sizeof(hashes_len) + hashes_len,
						   (int) (len - sizeof(hashes_len) - hashes_len));
	return true;
}

/* False: what is being sent has to wait for room, and must not change until there was. */
static bool
hasher_send(RowHasher *hasher)
{
	HasherBatch *batch = &hasher->batches[1 - hasher->filling];
	shm_mq_result result;

	if (batch->len == 0)
		return true;
	while (hasher_receive(hasher))
		;
	result = shm_mq_send(hasher->jobs, (Size) batch->len, batch->records, true, true);
	if (result == SHM_MQ_WOULD_BLOCK)
		return false;
	if (result != SHM_MQ_SUCCESS)
		hasher_is_lost();
	batch->len = 0;
	hasher->outstanding++;
	return true;
}

/* Start to send what was filled, and fill the other one. */
static void
hasher_turn(RowHasher *hasher)
{
	while (!hasher_send(hasher))
		hasher_wait();
	hasher->filling = 1 - hasher->filling;
	(void) hasher_send(hasher);
}

static void
hasher_put(RowHasher *hasher, const void *data, size_t len)
{
	HasherBatch *batch = &hasher->batches[hasher->filling];

	memcpy(batch->records + batch->len, data, len);
	batch->len += (int) len;
}

static void
hasher_put_content(RowHasher *hasher, const RowImage *image)
{
	hasher->batches[hasher->filling].len += ROW_COMMIT_ROOM;
	hasher_put(hasher, image->content, image->content_len);
}

static void
hasher_make_room(RowHasher *hasher, size_t len)
{
	if ((size_t) hasher->batches[hasher->filling].len + len > HASHER_BATCH)
		hasher_turn(hasher);
}

/* What was hashed before, is too long, or is hashed here. */
static void
hasher_add_item(RowHasher *hasher, const RowChange *change)
{
	HasherRecord record = {.operation = change->operation, .is_item = true};
	uint8_t		bytes[ROW_ITEM_MAX];
	size_t		len = row_change_item(change, bytes);

	hasher_make_room(hasher, sizeof(record) + len);
	hasher_put(hasher, &record, sizeof(record));
	hasher_put(hasher, bytes, len);
}

void
row_hasher_add(RowHasher *hasher, const RowChange *change)
{
	const RowImage *now = change->commitment != NULL ? change->now : NULL;
	const RowImage *was = change->previous != NULL ? change->was : NULL;
	const RowImage *row = now != NULL ? now : was;
	HasherRecord record = {.operation = change->operation};
	size_t		len = sizeof(record);

	if (!hasher_send(hasher) || row == NULL || row->hashed)
	{
		hasher_add_item(hasher, change);
		return;
	}
	len += row->key_len + (now == NULL ? 0 : ROW_COMMIT_ROOM + now->content_len) +
		(was == NULL ? 0 : ROW_COMMIT_ROOM + was->content_len);
	if (len > HASHER_BATCH)
	{
		hasher_add_item(hasher, change);
		return;
	}
	record.key_len = (uint32) row->key_len;
	record.now_len = now == NULL ? 0 : (uint32) now->content_len;
	record.was_len = was == NULL ? 0 : (uint32) was->content_len;
	hasher_make_room(hasher, len);
	hasher_put(hasher, &record, sizeof(record));
	hasher_put(hasher, row->key, row->key_len);
	if (now != NULL)
		hasher_put_content(hasher, now);
	if (was != NULL)
		hasher_put_content(hasher, was);
}

void
row_hasher_settle(RowHasher *hasher, TreeRange *tree)
{
	if (!hasher->has_taken_over)
		return;
	if (hasher->batches[hasher->filling].len > 0)
		hasher_turn(hasher);
	while (!hasher_send(hasher))
		hasher_wait();
	while (hasher->outstanding > 0)
		if (!hasher_receive(hasher))
			hasher_wait();
	*tree = hasher->shared->tree;
}

/* ----- the worker ----- */

typedef struct HasherWork
{
	HashMac    *ids;
	HashMac    *salts;
	TreeRange	tree;
	StringInfoData items;
	StringInfoData hashes;		/* behind their length */
} HasherWork;

/* From the texts at *at, behind which it stands then. */
static void
work_hash(const HasherWork *work, const HasherRecord *record, char **at, RowItem *item)
{
	uint8_t		salt[ROW_SALT_LEN];
	bool		fine;

	fine = hash_mac(work->ids, *at, record->key_len, item->row);
	*at += record->key_len;
	if (row_item_has_commitment(item->operation))
	{
		*at += ROW_COMMIT_ROOM;
		fine = fine && row_commit(work->salts, item->row, *at, record->now_len, salt,
								  item->commitment);
		*at += record->now_len;
	}
	if (row_item_has_previous(item->operation))
	{
		*at += ROW_COMMIT_ROOM;
		fine = fine && row_commit(work->salts, item->row, *at, record->was_len, salt,
								  item->previous);
		*at += record->was_len;
	}
	if (!fine)
		elog(ERROR, "could not compute SHA-256");
}

static void
work_append(HasherWork *work, const void *bytes, size_t len)
{
	uint8_t		leaf[HASH_LEN];

	if (!hash_leaf(bytes, len, leaf) || !tree_range_append(&work->tree, leaf))
		elog(ERROR, "could not compute SHA-256");
	appendBinaryStringInfo(&work->items, bytes, (int) len);
	if (work->tree.ncompleted > 0)
		appendBinaryStringInfo(&work->hashes, (char *) work->tree.completed[0], HASH_LEN);
}

static void
work_do(HasherWork *work, char *at, const char *end)
{
	resetStringInfo(&work->items);
	resetStringInfo(&work->hashes);
	while (at < end)
	{
		HasherRecord record;
		RowItem		item = {0};
		uint8_t		bytes[ROW_ITEM_MAX];

		memcpy(&record, at, sizeof(record));
		at += sizeof(record);
		if (record.is_item)
		{
			work_append(work, at, row_item_length((uint8_t) record.operation));
			at += row_item_length((uint8_t) record.operation);
			continue;
		}
		item.operation = record.operation;
		work_hash(work, &record, &at, &item);
		work_append(work, bytes, row_item_write(&item, bytes));
	}
}

static void
work_begin(HasherWork *work, HasherShared *shared)
{
	work->ids = hash_mac_new(shared->id_key, shared->id_key_len);
	work->salts = hash_mac_new(shared->salt_key, shared->salt_key_len);
	hasher_forget_keys(shared);
	if (work->ids == NULL || work->salts == NULL)
		elog(ERROR, "could not compute HMAC-SHA-256");
	initStringInfo(&work->items);
	initStringInfo(&work->hashes);
}

/* Until the session has no more for it. */
static void
work_run(HasherWork *work, HasherShared *shared, shm_mq_handle *jobs, shm_mq_handle *results)
{
	bool		has_begun = false;
	Size		len;
	void	   *data;

	while (shm_mq_receive(jobs, &len, &data, false) == SHM_MQ_SUCCESS)
	{
		uint32		hashes_len;
		shm_mq_iovec answer[3];

		if (!has_begun)
			work->tree = shared->tree;
		has_begun = true;
		work_do(work, data, (char *) data + len);
		shared->tree = work->tree;
		hashes_len = (uint32) work->hashes.len;
		answer[0].data = (char *) &hashes_len;
		answer[0].len = sizeof(hashes_len);
		answer[1].data = work->hashes.data;
		answer[1].len = hashes_len;
		answer[2].data = work->items.data;
		answer[2].len = (Size) work->items.len;
		if (shm_mq_sendv(results, answer, 3, false, true) != SHM_MQ_SUCCESS)
			return;
	}
}

void
medchain_row_hasher(Datum handle)
{
	HasherWork	work = {0};
	dsm_segment *segment;
	HasherShared *shared;

	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	segment = dsm_attach(DatumGetUInt32(handle));
	if (segment == NULL)
		return;					/* the statement was faster */
	shared = dsm_segment_address(segment);
	set_ps_display("hashing");
	work_begin(&work, shared);
	shm_mq_set_sender((shm_mq *) shared->results, MyProc);
	shm_mq_set_receiver((shm_mq *) shared->jobs, MyProc);
	work_run(&work, shared, shm_mq_attach((shm_mq *) shared->jobs, segment, NULL),
			 shm_mq_attach((shm_mq *) shared->results, segment, NULL));
	dsm_detach(segment);
}
