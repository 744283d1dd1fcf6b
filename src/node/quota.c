/*
 * quota.c: nobody takes all the room that there is for locks.
 *
 * Locks are in a table of the server's that has room for max_locks_per_transaction of each process.
 * One session can fill it, by advisory locks or by temporary tables, and needs no right for that;
 * then no transaction that writes can begin, not even one of ours, and what was revoked elsewhere
 * keeps its effect here for as long as he likes.  So when there has been no room for a while, and
 * sessions of who is no superuser that have more than their share have taken most of it, the one
 * that has most is ended, as pg_terminate_backend() would.  As long as there is room, everybody may
 * take what he likes; and where nobody has more than his share, or a superuser's dump has much,
 * nobody is ended.  All connections together cannot fill the table with less than that each.
 */
#include "postgres.h"

#include <signal.h>

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_extension.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "node/quota.h"
#include "node/shared.h"
#include "node/steady.h"

#define QUOTA_PATIENCE 1000		/* milliseconds without room after which somebody has to go */
#define QUOTA_PROBES 32			/* locks that a transaction of ours may need at once, and more */

/* To read them takes locks, for which it is too late when we need to know. */
static List *superusers = NIL;
static bool superusers_known = false;

static void
quota_forget(Datum arg, int cache, uint32 hash)
{
	superusers_known = false;
}

static void
quota_read_superusers(void)
{
	MemoryContext context = CurrentMemoryContext;
	Relation	relation;
	TableScanDesc scan;
	HeapTuple	tuple;

	StartTransactionCommand();
	if (superusers_known)
	{
		CommitTransactionCommand();
		MemoryContextSwitchTo(context);
		return;
	}
	superusers_known = true;
	list_free(superusers);
	superusers = NIL;
	relation = table_open(AuthIdRelationId, AccessShareLock);
	scan = table_beginscan_catalog(relation, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_authid form = (Form_pg_authid) GETSTRUCT(tuple);
		MemoryContext old;

		if (!form->rolsuper)
			continue;
		old = MemoryContextSwitchTo(TopMemoryContext);
		superusers = lappend_oid(superusers, form->oid);
		MemoryContextSwitchTo(old);
	}
	table_endscan(scan);
	table_close(relation, AccessShareLock);
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
}

/* Is there room for what a transaction of ours takes?  Locks of ours, which nobody else takes. */
static bool
quota_has_room(void)
{
	LOCKTAG		tag;
	int			taken = 0;

	for (; taken < QUOTA_PROBES; taken++)
	{
		SET_LOCKTAG_OBJECT(tag, InvalidOid, ExtensionRelationId, InvalidOid, taken + 1);
		if (compat_lock_if_room(&tag, ExclusiveLock) == LOCKACQUIRE_NOT_AVAIL)
			break;
	}
	for (int i = 0; i < taken; i++)
	{
		SET_LOCKTAG_OBJECT(tag, InvalidOid, ExtensionRelationId, InvalidOid, i + 1);
		(void) LockRelease(&tag, ExclusiveLock, true);
	}
	return taken == QUOTA_PROBES;
}

/* Is there a node on this server at all? */
static bool
quota_concerns_us(void)
{
	bool		concerns = false;

	LWLockAcquire(shared_state->lock, LW_SHARED);
	for (int i = 0; i < shared_state->slots && !concerns; i++)
		concerns = OidIsValid(shared_state->databases[i].database) &&
			shared_state->databases[i].wanted;
	LWLockRelease(shared_state->lock);
	return concerns;
}

static int
quota_order(const void *a, const void *b)
{
	int			x = ((const LockInstanceData *) a)->leaderPid;
	int			y = ((const LockInstanceData *) b)->leaderPid;

	return x < y ? -1 : x > y;
}

/* May this process be ended?  Superusers may take what they like, and we do not take much. */
static bool
quota_may_end(int pid)
{
	PGPROC	   *process = BackendPidGetProc(pid);

	return process != NULL && OidIsValid(process->roleId) && compat_is_backend(process) &&
		!list_member_oid(superusers, process->roleId);
}

/*
 * Who has most locks, if those who have more than the server has room for each, and may be ended,
 * have more than half of all; 0: it is nobody's fault.
 */
static int
quota_greediest(int *most)
{
	LockData   *data = GetLockStatusData();
	int			greediest = 0;
	int			theirs = 0;
	int			all = 0;

	*most = 0;
	qsort(data->locks, data->nelements, sizeof(LockInstanceData), quota_order);
	for (int i = 0; i < data->nelements;)
	{
		int			pid = data->locks[i].leaderPid;
		int			count = 0;

		for (; i < data->nelements && data->locks[i].leaderPid == pid; i++)
			count += !data->locks[i].fastpath;
		all += count;
		if (count <= max_locks_per_xact || pid == 0 || !quota_may_end(pid))
			continue;
		theirs += count;
		if (count > *most)
		{
			*most = count;
			greediest = pid;
		}
	}
	return theirs > all / 2 ? greediest : 0;
}

TimestampTz
quota_watch(void)
{
	static bool registered = false;
	static TimestampTz full = 0;	/* since when there is no room; 0: there is */
	TimestampTz now = steady_now();
	MemoryContext context;
	MemoryContext old;
	int			pid;
	int			count;

	if (!registered)
		CacheRegisterSyscacheCallback(AUTHOID, quota_forget, (Datum) 0);
	registered = true;
	if (!quota_concerns_us())
		return DT_NOEND;
	if (quota_has_room())
	{
		full = 0;
		quota_read_superusers();
		return DT_NOEND;
	}
	if (full == 0)
		full = now;
	if (!TimestampDifferenceExceeds(full, now, QUOTA_PATIENCE))
		return TimestampTzPlusMilliseconds(full, QUOTA_PATIENCE);
	full = 0;
	context = AllocSetContextCreate(CurrentMemoryContext, "medchain locks", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	pid = quota_greediest(&count);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	if (pid != 0)
	{
		ereport(LOG,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("medchain: process %d is terminated, which has %d locks: there is no room "
						"for those of others, ours included", pid, count),
				 errhint("If it needs as many, raise max_locks_per_transaction, which is %d, and "
						 "restart the server.", max_locks_per_xact)));
		(void) kill(-pid, SIGTERM);
	}
	return TimestampTzPlusMilliseconds(now, QUOTA_PATIENCE);
}
