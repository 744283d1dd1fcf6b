/*
 * lock.c: the locks that the workers of a database take against each other (see lock.h).
 */
#include "postgres.h"

#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"

#include "node/lock.h"

static bool
lock_acquire(LedgerLock lock, bool wait)
{
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, ExtensionRelationId,
					   get_extension_oid("medchain", false), lock);
	return LockAcquire(&tag, ExclusiveLock, false, !wait) != LOCKACQUIRE_NOT_AVAIL;
}

void
lock_take(LedgerLock lock)
{
	(void) lock_acquire(lock, true);
}

PG_FUNCTION_INFO_V1(medchain_lock_peers);

/* lock_peers(wait boolean) -> boolean: false: somebody else has it */
Datum
medchain_lock_peers(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(lock_acquire(LEDGER_LOCK_PEERS, PG_GETARG_BOOL(0)));
}
