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
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/shmem.h"
#include "utils/wait_event.h"

#include "ledger/shared.h"

SharedState *shared_state = NULL;

static shmem_request_hook_type previous_shmem_request_hook = NULL;
static shmem_startup_hook_type previous_shmem_startup_hook = NULL;
static SharedDatabase *my_slot = NULL;
static bool state_changed = false;
static bool callback_registered = false;

static void
shared_request(void)
{
	if (previous_shmem_request_hook)
		previous_shmem_request_hook();
	RequestAddinShmemSpace(MAXALIGN(sizeof(SharedState)));
	RequestNamedLWLockTranche("medchain", 1);
}

static void
shared_startup(void)
{
	bool		found;

	if (previous_shmem_startup_hook)
		previous_shmem_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared_state = ShmemInitStruct("medchain", sizeof(SharedState), &found);
	if (!found)
	{
		memset(shared_state, 0, sizeof(SharedState));
		shared_state->lock = &GetNamedLWLockTranche("medchain")->lock;
		for (int i = 0; i < SHARED_DATABASES; i++)
		{
			SharedDatabase *slot = &shared_state->databases[i];

			pg_atomic_init_u64(&slot->tickets, 0);
			pg_atomic_init_u64(&slot->sealed, 0);
			pg_atomic_init_u32(&slot->dirty, 1);
			pg_atomic_init_u64(&slot->grant_generation, 1);
			pg_atomic_init_u64(&slot->blocks, 0);
			pg_atomic_init_u64(&slot->entries, 0);
			pg_atomic_init_u64(&slot->dirty_since, 0);
			pg_atomic_init_u64(&slot->bytes, 0);
			pg_atomic_init_u64(&slot->latency_max, 0);
			for (int n = 0; n < SHARED_LATENCIES; n++)
				pg_atomic_init_u64(&slot->latency[n], 0);
			ConditionVariableInit(&slot->changed);
		}
		for (int i = 0; i < SHARED_VERIFICATIONS; i++)
		{
			SharedVerification *verification = &shared_state->verifications[i];

			pg_atomic_init_u64(&verification->entries, 0);
			pg_atomic_init_u64(&verification->blocks, 0);
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
	if (shared_database() == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("medchain serves at most %d databases of one server", SHARED_DATABASES)));
}

SharedDatabase *
shared_database(void)
{
	SharedDatabase *unused = NULL;

	if (my_slot != NULL || shared_state == NULL || !OidIsValid(MyDatabaseId))
		return my_slot;

	LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
	for (int i = 0; i < SHARED_DATABASES && my_slot == NULL; i++)
	{
		SharedDatabase *slot = &shared_state->databases[i];

		if (slot->database == MyDatabaseId)
			my_slot = slot;
		else if (slot->database == InvalidOid && unused == NULL)
			unused = slot;
	}
	if (my_slot == NULL && unused != NULL)
	{
		unused->database = MyDatabaseId;
		my_slot = unused;
	}
	LWLockRelease(shared_state->lock);
	return my_slot;
}

void
shared_wake(SharedDatabase *slot, WorkerKind kind)
{
	LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
	if (slot->worker_latch[kind] != NULL)
		SetLatch(slot->worker_latch[kind]);
	else
	{
		slot->wanted = true;
		if (shared_state->launcher_latch != NULL)
			SetLatch(shared_state->launcher_latch);
	}
	LWLockRelease(shared_state->lock);
}

static void
shared_xact_callback(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PARALLEL_COMMIT:
			if (state_changed)
			{
				SharedDatabase *slot = shared_database();

				pg_atomic_fetch_add_u64(&slot->grant_generation, 1);

				/* what changed may be what a held chain waited for */
				shared_wake(slot, WORKER_KEEPER);
			}
			state_changed = false;
			break;
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PARALLEL_ABORT:
			state_changed = false;
			break;
		case XACT_EVENT_PREPARE:

			/*
			 * COMMIT PREPARED happens elsewhere, without us.  Bump now and let the caches look
			 * again; a grant that becomes visible later is only found at the next change, which
			 * errs on the side of refusing.
			 */
			if (state_changed)
				pg_atomic_fetch_add_u64(&shared_database()->grant_generation, 1);
			state_changed = false;
			break;
		default:
			break;
	}
}

void
shared_state_changed(void)
{
	if (shared_database() == NULL)
		return;
	if (!callback_registered)
	{
		RegisterXactCallback(shared_xact_callback, NULL);
		callback_registered = true;
	}
	state_changed = true;
}
