/*
 * guard.c: rows of the ledger are not changed or removed by SQL.
 *
 * The triggers are ENABLE ALWAYS, so session_replication_role does not switch
 * them off.  A superuser can still disable them by ALTER TABLE; that is what
 * verify(), and everybody else's copy, are for.
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/rel.h"

#include "ledger/block_row.h"
#include "ledger/home.h"

PG_FUNCTION_INFO_V1(medchain_guard);

Datum
medchain_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	const char *relation;

	if (!CALLED_AS_TRIGGER(fcinfo))
		elog(ERROR, "medchain_guard: not called as a trigger");
	relation = RelationGetRelationName(trigger->tg_relation);

	if (!ledger_writing)
	{
		if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("table \"medchain.%s\" is part of the ledger and cannot be truncated",
							relation)));
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			   errmsg("rows of \"medchain.%s\" are part of the ledger and cannot be %s", relation,
					  TRIGGER_FIRED_BY_DELETE(trigger->tg_event) ? "removed" : "changed"),
				 errhint("Append a new entry instead.")));
	}
	if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event))
		return PointerGetDatum(trigger->tg_newtuple);
	return PointerGetDatum(trigger->tg_trigtuple);
}

PG_FUNCTION_INFO_V1(medchain_guard_insert);

/*
 * BEFORE INSERT, statement: the tables of a node are written by medchain's own functions, which run
 * with their owner's rights.  What comes in another way belongs to a dump, and has no place in a
 * database that is a node, nor twice in another one.
 */
Datum
medchain_guard_insert(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		elog(ERROR, "medchain_guard_insert: not called as a trigger");
	if (InLocalUserIdChange())
		return PointerGetDatum(NULL);
	if (home_status() == HOME_HERE)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("rows of \"medchain.%s\" are written by medchain alone",
						RelationGetRelationName(trigger->tg_relation)),
				 errhint("A dump is restored into a database of its own; see "
						 "medchain.take_over().")));
	home_require_empty(trigger->tg_relation, false);
	return PointerGetDatum(NULL);
}
