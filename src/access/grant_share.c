/*
 * grant_share.c: all grants of a member, once for the sessions of a server.
 *
 * A query of many rows needs all that its member has been granted, which may be millions.  Whoever
 * has loaded them leaves an image of them in a segment of dynamic shared memory; there is a short
 * list of these in the memory of the server: whose they are, and as of which generation of what
 * that member may do (statement.c).  A session has one of them in its memory while it is in a
 * transaction (small ones longer), and only if it is as new as the state its statement is judged
 * by.  So nobody is ever answered by what was there before a revocation, and sessions that sleep
 * keep nothing large.
 *
 * Segments are dropped when a newer one comes, or when the least used of them have to make room
 * for another; medchain.grant_cache_size is what they have all together.  PostgreSQL gives the
 * memory back when nobody has it any more.  A member with more grants than that is not kept at all:
 * its sessions ask for one subject after the other.
 *
 * Generations count on a standby otherwise than on a primary, and those of an alliance are no other
 * one's: that is part of whose they are.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "catalog/namespace.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/lock.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "access/grant_share.h"
#include "compat.h"
#include "node/settings.h"
#include "node/shared.h"

#define SHARE_PLACES 128
#define SHARE_MAGIC 0x6d63677261747331
#define SHARE_LOCKS "medchain_grants"

/* A fourth part of advisory locks that no function of SQL has. */
#define SHARE_LOCK_CLASS 0x6d63

/* Whose. */
typedef struct ShareKey
{
	Oid			database;
	Oid			grants;			/* medchain.protocol_grant */
	bool		standby;
	char		member[SHARED_ORIGIN_LEN];
} ShareKey;

typedef struct SharePlace
{
	bool		used;
	ShareKey	key;
	GrantsAsOf	as_of;
	dsm_handle	handle;			/* DSM_HANDLE_INVALID: they are too many */
	Size		size;
	double		subjects;		/* with grants, and known here */
	uint64		turn;			/* of its last use */
} SharePlace;

typedef struct SharePlaces
{
	uint64		turns;
	Size		total;
	SharePlace	places[SHARE_PLACES];
} SharePlaces;

/* What a segment begins with. */
typedef struct ShareHeader
{
	uint64		magic;
	ShareKey	key;
	GrantsAsOf	as_of;
} ShareHeader;

#define SHARE_IMAGE MAXALIGN(sizeof(ShareHeader))

static shmem_request_hook_type previous_request = NULL;
static shmem_startup_hook_type previous_startup = NULL;
static SharePlaces *shared = NULL;
static LWLock *lock = NULL;

static void
share_request(void)
{
	if (previous_request)
		previous_request();
	RequestAddinShmemSpace(MAXALIGN(sizeof(SharePlaces)));
	RequestNamedLWLockTranche(SHARE_LOCKS, 1);
}

static void
share_startup(void)
{
	bool		found;

	if (previous_startup)
		previous_startup();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = ShmemInitStruct(SHARE_LOCKS, sizeof(SharePlaces), &found);
	lock = &GetNamedLWLockTranche(SHARE_LOCKS)->lock;
	if (!found)
		memset(shared, 0, sizeof(SharePlaces));
	LWLockRelease(AddinShmemInitLock);
}

void
grant_share_install(void)
{
	previous_request = shmem_request_hook;
	shmem_request_hook = share_request;
	previous_startup = shmem_startup_hook;
	shmem_startup_hook = share_startup;
}

/* False: nothing can be shared. */
static bool
share_key(ShareKey *key, const char *member)
{
	/* padding is compared, too */
	memset(key, 0, sizeof(ShareKey));
	if (shared == NULL || setting_grant_cache_size == 0 || strlen(member) >= sizeof(key->member))
		return false;
	key->database = MyDatabaseId;
	key->grants = get_relname_relid("protocol_grant", get_namespace_oid("medchain", false));
	key->standby = RecoveryInProgress();
	strlcpy(key->member, member, sizeof(key->member));
	return true;
}

/* With the lock; NULL: there is none. */
static SharePlace *
share_find(const ShareKey *key)
{
	for (int i = 0; i < SHARE_PLACES; i++)
	{
		SharePlace *place = &shared->places[i];

		if (place->used && memcmp(&place->key, key, sizeof(ShareKey)) == 0)
			return place;
	}
	return NULL;
}

/* With the lock, exclusively.  Who has it in memory keeps it until the end of his transaction. */
static void
share_drop(SharePlace *place)
{
	if (place->handle != DSM_HANDLE_INVALID)
		dsm_unpin_segment(place->handle);
	shared->total -= place->size;
	place->used = false;
}

/* The one that nobody has used for longest, but for that key's; NULL: there is none. */
static SharePlace *
share_oldest(const ShareKey *key, bool with_segment)
{
	SharePlace *oldest = NULL;

	for (int i = 0; i < SHARE_PLACES; i++)
	{
		SharePlace *place = &shared->places[i];

		if (place->used && (!with_segment || place->size > 0) &&
			memcmp(&place->key, key, sizeof(ShareKey)) != 0 &&
			(oldest == NULL || place->turn < oldest->turn))
			oldest = place;
	}
	return oldest;
}

/* A free place for that key, with the lock, exclusively. */
static SharePlace *
share_place(const ShareKey *key)
{
	SharePlace *place = share_find(key);

	if (place != NULL)
		share_drop(place);
	for (int i = 0; place == NULL && i < SHARE_PLACES; i++)
		if (!shared->places[i].used)
			place = &shared->places[i];
	if (place == NULL)
	{
		place = share_oldest(key, false);
		share_drop(place);
	}
	return place;
}

static void
share_fill(SharePlace *place, const ShareKey *key, const GrantsAsOf *as_of, dsm_handle handle,
		   Size size, double subjects)
{
	place->used = true;
	place->key = *key;
	place->as_of = *as_of;
	place->handle = handle;
	place->size = size;
	place->subjects = subjects;
	place->turn = ++shared->turns;
	shared->total += size;
}

Size
grant_share_room(void)
{
	return (Size) setting_grant_cache_size * 1024;
}

bool
grant_share_too_many(const char *member, uint64 generation)
{
	ShareKey	key;
	SharePlace *place;
	bool		too_many;

	if (!share_key(&key, member))
		return true;
	LWLockAcquire(lock, LW_SHARED);
	place = share_find(&key);
	too_many = place != NULL && place->handle == DSM_HANDLE_INVALID &&
		place->as_of.generation >= generation;
	LWLockRelease(lock);
	return too_many;
}

double
grant_share_subjects(const char *member)
{
	ShareKey	key;
	SharePlace *place;
	double		subjects = -1;

	if (!share_key(&key, member))
		return -1;
	LWLockAcquire(lock, LW_SHARED);
	place = share_find(&key);
	if (place != NULL && place->handle != DSM_HANDLE_INVALID)
		subjects = place->subjects;
	LWLockRelease(lock);
	return subjects;
}

static void
share_map(GrantShare *share, dsm_segment *segment)
{
	ShareHeader *header = dsm_segment_address(segment);

	share->table = grant_table_view(TopMemoryContext, (char *) header + SHARE_IMAGE);
	share->as_of = header->as_of;
	share->segment = segment;
	share->size = dsm_segment_map_length(segment);
	/* not the resource owner's of the moment, which may end before the transaction does */
	dsm_pin_mapping(segment);
}

bool
grant_share_attach(GrantShare *share, const char *member, uint64 generation, Size most)
{
	ShareKey	key;
	SharePlace *place;
	ShareHeader *header;
	dsm_handle	handle = DSM_HANDLE_INVALID;
	dsm_segment *segment;

	if (!share_key(&key, member))
		return false;
	LWLockAcquire(lock, LW_EXCLUSIVE);
	place = share_find(&key);
	if (place != NULL && place->as_of.generation >= generation && place->size <= most)
	{
		handle = place->handle;
		place->turn = ++shared->turns;
	}
	LWLockRelease(lock);
	if (handle == DSM_HANDLE_INVALID)
		return false;

	/* it may be gone by now, or be another one */
	segment = dsm_attach(handle);
	if (segment == NULL)
		return false;
	header = dsm_segment_address(segment);
	if (dsm_segment_map_length(segment) < SHARE_IMAGE || header->magic != SHARE_MAGIC ||
		memcmp(&header->key, &key, sizeof(ShareKey)) != 0 ||
		header->as_of.generation < generation)
	{
		dsm_detach(segment);
		return false;
	}
	share_map(share, segment);
	return true;
}

/*
 * Make a segment.  NULL: there is no more room for one, in the server's list of them or in the
 * memory that the system has for them, which is small in some containers; nobody's query has to
 * fail for that.
 */
static dsm_segment *
share_create(Size size)
{
	MemoryContext context = CurrentMemoryContext;
	dsm_segment *volatile segment = NULL;

	PG_TRY();
	{
		segment = dsm_create(size, DSM_CREATE_NULL_IF_MAXSEGMENTS);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		if (ERRCODE_TO_CATEGORY(geterrcode()) != ERRCODE_INSUFFICIENT_RESOURCES)
			PG_RE_THROW();
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		ereport(LOG,
				(errmsg("medchain: grants cannot be shared: %s", error->message),
				 errhint("Lower medchain.grant_cache_size, or see that there is more shared "
						 "memory.")));
		FreeErrorData(error);
	}
	PG_END_TRY();
	return segment;
}

bool
grant_share_leave(GrantShare *share, const char *member, const GrantsAsOf *as_of,
				  const GrantTable *table)
{
	Size		size = table ? SHARE_IMAGE + grant_table_image_size(table) : 0;
	Size		room = grant_share_room();
	dsm_segment *segment = NULL;
	SharePlace *place;
	SharePlace *oldest;
	ShareKey	key;

	if (!share_key(&key, member))
		return false;
	if (table != NULL && size <= room)
		segment = share_create(size);
	if (segment != NULL)
	{
		ShareHeader *header = dsm_segment_address(segment);

		header->magic = SHARE_MAGIC;
		header->key = key;
		header->as_of = *as_of;
		grant_table_write_image(table, (char *) header + SHARE_IMAGE);
		share_map(share, segment);
	}

	LWLockAcquire(lock, LW_EXCLUSIVE);
	place = share_place(&key);
	if (segment == NULL)
		share_fill(place, &key, as_of, DSM_HANDLE_INVALID, 0, -1);
	else
	{
		while (shared->total + size > room && (oldest = share_oldest(&key, true)) != NULL)
			share_drop(oldest);
		dsm_pin_segment(segment);
		share_fill(place, &key, as_of, dsm_segment_handle(segment), size,
				   (double) grant_table_identities(table));
	}
	LWLockRelease(lock);
	return segment != NULL;
}

void
grant_share_detach(GrantShare *share)
{
	grant_table_free(share->table);
	dsm_detach(share->segment);
	share->table = NULL;
	share->segment = NULL;
}

static void
share_lock_tag(LOCKTAG *tag, const char *member)
{
	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId,
						 hash_bytes((const unsigned char *) member, (int) strlen(member)), 0,
						 SHARE_LOCK_CLASS);
}

void
grant_share_lock(const char *member)
{
	LOCKTAG		tag;

	share_lock_tag(&tag, member);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
}

void
grant_share_unlock(const char *member)
{
	LOCKTAG		tag;

	share_lock_tag(&tag, member);
	(void) LockRelease(&tag, ExclusiveLock, false);
}
