/*
 * lock.c: the locks that the workers of a database take against each other (see lock.h).
 */
#include "postgres.h"

#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "storage/lmgr.h"

#include "node/lock.h"

void
lock_take(LedgerLock lock)
{
	LockDatabaseObject(ExtensionRelationId, get_extension_oid("medchain", false), lock,
					   ExclusiveLock);
}
