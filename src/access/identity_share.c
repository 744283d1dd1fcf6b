/*
 * identity_share.c: which member a login role acts for, once for the sessions of a server.
 *
 * To find it takes three tables with their indexes, whose descriptions each new session would have
 * to read first: longer than the query of one row for which many of them are made.  Whoever has
 * found it leaves it in a place that the role's number points to; it is good for sessions that are
 * to be judged by the same state.  One that has written something itself sees what others must not,
 * and leaves nothing; on a standby each looks for itself, as there is no state with a number.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/lsyscache.h"

#include "access/identity_share.h"
#include "node/settings.h"
#include "node/shared.h"

#define IDENTITY_PLACES 1024	/* of roles that meet in one, each takes it from the other */
#define IDENTITY_LOCKS "medchain_identities"

typedef struct IdentityPlace
{
	Oid			bindings;		/* medchain.bound_role; 0: empty */
	Oid			database;
	Oid			role;
	uint64		generation;
	bool		is_member;
	bool		active;
	Validity	validity;
	char		member[SHARED_ORIGIN_LEN];
} IdentityPlace;

static shmem_request_hook_type previous_request = NULL;
static shmem_startup_hook_type previous_startup = NULL;
static IdentityPlace *places = NULL;
static LWLock *lock = NULL;

static void
identity_share_request(void)
{
	if (previous_request)
		previous_request();
	RequestAddinShmemSpace(MAXALIGN(IDENTITY_PLACES * sizeof(IdentityPlace)));
	RequestNamedLWLockTranche(IDENTITY_LOCKS, 1);
}

static void
identity_share_startup(void)
{
	bool		found;

	if (previous_startup)
		previous_startup();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	places = ShmemInitStruct(IDENTITY_LOCKS, IDENTITY_PLACES * sizeof(IdentityPlace), &found);
	lock = &GetNamedLWLockTranche(IDENTITY_LOCKS)->lock;
	if (!found)
		memset(places, 0, IDENTITY_PLACES * sizeof(IdentityPlace));
	LWLockRelease(AddinShmemInitLock);
}

void
identity_share_install(void)
{
	previous_request = shmem_request_hook;
	shmem_request_hook = identity_share_request;
	previous_startup = shmem_startup_hook;
	shmem_startup_hook = identity_share_startup;
}

/* NULL: nothing is shared.  bindings: those of another extension of the name are not ours. */
static IdentityPlace *
identity_share_place(Oid role, Oid *bindings)
{
	uint32		hash = hash_combine(murmurhash32(MyDatabaseId), murmurhash32(role));

	if (places == NULL || setting_grant_cache_size == 0 || RecoveryInProgress())
		return NULL;
	*bindings = get_relname_relid("bound_role", get_namespace_oid("medchain", true));
	return OidIsValid(*bindings) ? &places[hash % IDENTITY_PLACES] : NULL;
}

bool
identity_share_find(Oid role, uint64 generation, Acting *acting)
{
	Oid			bindings;
	const IdentityPlace *place = identity_share_place(role, &bindings);
	IdentityPlace found;

	if (place == NULL)
		return false;
	LWLockAcquire(lock, LW_SHARED);
	found = *place;
	LWLockRelease(lock);
	if (found.bindings != bindings || found.database != MyDatabaseId ||
		found.role != role || found.generation != generation)
		return false;
	acting->name = found.is_member ? pstrdup(found.member) : NULL;
	acting->active = found.active;
	acting->validity = found.validity;
	return true;
}

void
identity_share_leave(Oid role, uint64 generation, const Acting *acting)
{
	Oid			bindings;
	IdentityPlace *place = identity_share_place(role, &bindings);

	if (place == NULL || TransactionIdIsValid(GetTopTransactionIdIfAny()) ||
		(acting->name != NULL && strlen(acting->name) >= sizeof(place->member)))
		return;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	place->bindings = bindings;
	place->database = MyDatabaseId;
	place->role = role;
	place->generation = generation;
	place->is_member = acting->name != NULL;
	place->active = acting->active;
	place->validity = acting->validity;
	strlcpy(place->member, acting->name != NULL ? acting->name : "", sizeof(place->member));
	LWLockRelease(lock);
}
