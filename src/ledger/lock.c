/*
 * lock.c: the locks that the workers of a database take against each other (see lock.h).
 */
#include "postgres.h"

#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "fmgr.h"
#include "storage/lmgr.h"

#include "ledger/lock.h"

void
lock_take(LedgerLock lock)
{
	LockDatabaseObject(ExtensionRelationId, get_extension_oid("medchain", false), lock,
					   ExclusiveLock);
}

PG_FUNCTION_INFO_V1(medchain_lock_fold);

/* lock_fold() -> void */
Datum
medchain_lock_fold(PG_FUNCTION_ARGS)
{
	lock_take(LEDGER_LOCK_FOLD);
	PG_RETURN_VOID();
}
