/*
 * shared.c: shared memory, and the tickets by which a session waits for the sealer.
 *
 * A session draws a ticket after its commit is visible; the sealer reads the
 * counter before it takes its snapshot, and when a round has emptied
 * medchain.pending it publishes that number as served.  Hence "served >= my ticket"
 * implies that everything I committed is sealed, without either side knowing
 * the other's transactions.
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "nodes/bitmapset.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/shmem.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/wait_event.h"

#include "node/settings.h"
#include "node/shared.h"
#include "node/steady.h"

SharedState *shared_state = NULL;

static shmem_request_hook_type previous_shmem_request_hook = NULL;
static shmem_startup_hook_type previous_shmem_startup_hook = NULL;
static SharedDatabase *my_slot = NULL;
static bool state_changed = false;
static Bitmapset * members_changed = NULL;	/* by the places of their generations */
static bool all_members_changed = false;
static bool identities_changed = false;
static bool callback_registered = false;

static Size
shared_size(void)
{
	return add_size(offsetof(SharedState, databases),
					mul_size(setting_max_databases, sizeof(SharedDatabase)));
}

static void
shared_request(void)
{
	if (previous_shmem_request_hook)
		previous_shmem_request_hook();
	RequestAddinShmemSpace(MAXALIGN(shared_size()));
	RequestNamedLWLockTranche("medchain", 1);
}

/* A slot as new.  Nobody can be waiting for it: who did was in the database that had it. */
static void
shared_reset_slot(SharedDatabase *slot, Oid database)
{
	memset(slot, 0, sizeof(SharedDatabase));
	pg_atomic_init_u64(&slot->tickets, 0);
	pg_atomic_init_u64(&slot->sealed, 0);
	pg_atomic_init_u32(&slot->dirty, 1);
	pg_atomic_init_u64(&slot->pending_blocks, SHARED_ALL_BLOCKS);
	pg_atomic_init_u64(&slot->grant_generation, 1);
	pg_atomic_init_u64(&slot->identity_generation, 1);
	for (int i = 0; i < SHARED_MEMBERS; i++)
		pg_atomic_init_u64(&slot->member_generations[i], 1);
	pg_atomic_init_u64(&slot->keeper_rounds, 0);
	pg_atomic_init_u32(&slot->recovered, 0);
	pg_atomic_init_u64(&slot->blocks, 0);
	pg_atomic_init_u64(&slot->entries, 0);
	pg_atomic_init_u64(&slot->dirty_since, 0);
	pg_atomic_init_u64(&slot->bytes, 0);
	pg_atomic_init_u64(&slot->latency_max, 0);
	for (int n = 0; n < SHARED_LATENCIES; n++)
		pg_atomic_init_u64(&slot->latency[n], 0);
	ConditionVariableInit(&slot->changed);
	for (int kind = 0; kind < WORKER_KINDS; kind++)
		slot->workers[kind].gone = steady_now();
	slot->database = database;
}

static void
shared_startup(void)
{
	bool		found;

	if (previous_shmem_startup_hook)
		previous_shmem_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared_state = ShmemInitStruct("medchain", shared_size(), &found);
	if (!found)
	{
		memset(shared_state, 0, offsetof(SharedState, databases));
		shared_state->lock = &GetNamedLWLockTranche("medchain")->lock;
		shared_state->launcher_gone = steady_now();
		pg_atomic_init_u32(&shared_state->reserved, 0);
		shared_state->slots = setting_max_databases;
		for (int i = 0; i < shared_state->slots; i++)
			shared_reset_slot(&shared_state->databases[i], InvalidOid);
		for (int i = 0; i < SHARED_VERIFICATIONS; i++)
		{
			SharedVerification *verification = &shared_state->verifications[i];

			pg_atomic_init_u64(&verification->entries, 0);
			pg_atomic_init_u64(&verification->blocks, 0);
			pg_atomic_init_u64(&verification->items, 0);
			pg_atomic_init_u64(&verification->faults, 0);
		}
	}
	LWLockRelease(AddinShmemInitLock);
}

void
shared_install_hooks(void)
{
	previous_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = shared_request;
	previous_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = shared_startup;
}

void
shared_require(void)
{
	if (shared_state == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("medchain's workers are not available"),
				 errdetail("The library was not loaded when the server started."),
			   errhint("Add shared_preload_libraries = 'medchain' to postgresql.conf and restart "
					   "the server.")));
	if (shared_database() != NULL)
		return;
	if (IsTransactionState())
		shared_sweep();
	if (shared_database() == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("medchain has no room for another database"),
				 errdetail("%d databases of this server use it.", shared_state->slots),
			 errhint("Raise medchain.max_databases in postgresql.conf and restart the server.")));
}

SharedDatabase *
shared_slot(Oid database, bool make)
{
	SharedDatabase *unused = NULL;

	Assert(LWLockHeldByMeInMode(shared_state->lock, LW_EXCLUSIVE));
	for (int i = 0; i < shared_state->slots; i++)
	{
		SharedDatabase *slot = &shared_state->databases[i];

		if (slot->database == database)
			return slot;
		if (slot->database == InvalidOid && unused == NULL)
			unused = slot;
	}
	if (!make || unused == NULL)
		return NULL;
	shared_reset_slot(unused, database);
	return unused;
}

void
shared_release(SharedDatabase *slot, bool dropped)
{
	Assert(LWLockHeldByMeInMode(shared_state->lock, LW_EXCLUSIVE));
	if ((slot->used && !dropped) || slot->barred > 0)
		return;
	for (int kind = 0; kind < WORKER_KINDS; kind++)
		if (slot->workers[kind].pid != 0)
			return;
	if (!dropped && slot->wanted)
		return;
	for (int i = 0; i < SHARED_SIGN_REQUESTS; i++)
		if (slot->sign[i].state != SIGN_FREE && slot->sign[i].room >= 0)
			shared_state->sign_texts[slot->sign[i].room].used = false;
	slot->database = InvalidOid;
}

void
shared_sweep(void)
{
	Oid		   *databases = palloc(shared_state->slots * sizeof(Oid));

	LWLockAcquire(shared_state->lock, LW_SHARED);
	for (int i = 0; i < shared_state->slots; i++)
		databases[i] = shared_state->databases[i].database;
	LWLockRelease(shared_state->lock);

	for (int i = 0; i < shared_state->slots; i++)
	{
		if (!OidIsValid(databases[i]) ||
			SearchSysCacheExists1(DATABASEOID, ObjectIdGetDatum(databases[i])))
			continue;
		LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
		if (shared_state->databases[i].database == databases[i])
			shared_release(&shared_state->databases[i], true);
		LWLockRelease(shared_state->lock);
	}
	pfree(databases);
}

SharedDatabase *
shared_database(void)
{
	if (my_slot != NULL || shared_state == NULL || !OidIsValid(MyDatabaseId))
		return my_slot;

	LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
	my_slot = shared_slot(MyDatabaseId, true);
	if (my_slot != NULL)
		my_slot->used = true;
	LWLockRelease(shared_state->lock);
	return my_slot;
}

uint64
shared_wake(SharedDatabase *slot, WorkerKind kind)
{
	SharedWorker *worker = &slot->workers[kind];
	uint64		number = 0;

	LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
	slot->wanted = true;
	if (worker->latch != NULL)
	{
		slot->calls++;
		SetLatch(worker->latch);
	}
	else
	{
		number = ++worker->asked;
		if (shared_state->launcher_latch != NULL)
			SetLatch(shared_state->launcher_latch);
	}
	LWLockRelease(shared_state->lock);
	return number;
}

/* What this transaction has changed can be seen, or soon will: whoever asks next looks again. */
static void
shared_bump(SharedDatabase *slot)
{
	int			member = -1;

	if (all_members_changed)
		for (int i = 0; i < SHARED_MEMBERS; i++)
			pg_atomic_fetch_add_u64(&slot->member_generations[i], 1);
	else
		while ((member = bms_next_member(members_changed, member)) >= 0)
			pg_atomic_fetch_add_u64(&slot->member_generations[member], 1);
	pg_atomic_fetch_add_u64(&slot->grant_generation, 1);
}

static void
shared_unmark(void)
{
	state_changed = false;
	identities_changed = false;
	all_members_changed = false;
	bms_free(members_changed);
	members_changed = NULL;
}

static void
shared_xact_callback(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PARALLEL_COMMIT:
			if (identities_changed)
				pg_atomic_fetch_add_u64(&shared_database()->identity_generation, 1);
			if (state_changed)
			{
				SharedDatabase *slot = shared_database();

				shared_bump(slot);

				/* what changed may be what a held chain waited for */
				(void) shared_wake(slot, WORKER_KEEPER);
			}
			shared_unmark();
			break;
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PARALLEL_ABORT:
			shared_unmark();
			break;
		case XACT_EVENT_PREPARE:

			/*
			 * COMMIT PREPARED happens elsewhere, without us.  Bump now and let the caches look
			 * again; a grant that becomes visible later is only found at the next change, which
			 * errs on the side of refusing.
			 */
			if (state_changed)
				shared_bump(shared_database());
			shared_unmark();
			break;
		default:
			break;
	}
}

/* Is there something to be told, and will the end of the transaction be heard of? */
static bool
shared_listen(void)
{
	if (shared_database() == NULL)
		return false;
	if (!callback_registered)
	{
		RegisterXactCallback(shared_xact_callback, NULL);
		callback_registered = true;
	}
	return true;
}

void
shared_state_changed(void)
{
	state_changed = shared_listen();
}

void
shared_identities_changed(void)
{
	identities_changed = shared_listen();
}

static uint32
shared_member_place(const char *member)
{
	return hash_bytes((const unsigned char *) member, (int) strlen(member)) % SHARED_MEMBERS;
}

void
shared_member_changed(const char *member)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	shared_state_changed();
	members_changed = bms_add_member(members_changed, (int) shared_member_place(member));
	MemoryContextSwitchTo(old);
}

void
shared_members_changed(void)
{
	shared_state_changed();
	all_members_changed = true;
}

uint64
shared_member_generation(const char *member)
{
	/* behind whatever was read before */
	pg_read_barrier();
	return pg_atomic_read_u64(&shared_database()->member_generations[shared_member_place(member)]);
}
