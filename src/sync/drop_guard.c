/*
 * drop_guard.c: DROP EXTENSION medchain only once nothing of it is left outside of it.
 *
 * Subscriptions, slots and the publication are no members of the extension, and a
 * slot that nobody drops holds back WAL until the disk is full.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"
#include "utils/builtins.h"

#include "ledger/trusted.h"
#include "sync/drop_guard.h"

static ProcessUtility_hook_type previous_utility_hook = NULL;

static bool
drop_guard_concerns(Node *node)
{
	DropStmt   *drop;
	ListCell   *cell;

	if (!IsA(node, DropStmt) || ((DropStmt *) node)->removeType != OBJECT_EXTENSION)
		return false;
	drop = (DropStmt *) node;
	foreach(cell, drop->objects)
		if (strcmp(strVal(lfirst(cell)), "medchain") == 0)
			return true;
	return false;
}

/* What is left, in words; NULL if nothing is. */
static char *
drop_guard_left(MemoryContext context)
{
	TrustedScope scope;
	char	   *left;

	if (!OidIsValid(trusted_schema(true)))
		return NULL;
	trusted_begin(&scope);
	SPI_execute("SELECT string_agg(what, ', ') FROM ("
				" SELECT format('subscription \"%s\"', subscription) AS what FROM medchain.peer"
				" UNION ALL SELECT format('publication \"%s\"', p.pubname) FROM pg_publication p"
				"  WHERE p.pubname = 'medchain' AND EXISTS (SELECT FROM medchain.local_node)"
				" UNION ALL SELECT format('replication slot \"%s\"', slot_name) FROM pg_replication_slots"
				"  WHERE database = current_database() AND plugin = 'pgoutput' AND slot_name ^@ 'medchain_') x",
				true, 1);
	left = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	if (left != NULL)
		left = MemoryContextStrdup(context, left);
	trusted_end(&scope);
	return left;
}

static void
drop_guard_utility(PlannedStmt *statement, const char *query, bool read_only_tree, ProcessUtilityContext context,
				   ParamListInfo params, QueryEnvironment *environment, DestReceiver *dest, QueryCompletion *completion)
{
	if (drop_guard_concerns(statement->utilityStmt))
	{
		char	   *left = drop_guard_left(CurrentMemoryContext);

		if (left != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_IN_USE),
					 errmsg("extension \"medchain\" cannot be dropped while it takes part in an alliance"),
					 errdetail("Left outside of the extension: %s.", left),
					 errhint("Call medchain.leave_alliance() first.")));
	}
	if (previous_utility_hook)
		previous_utility_hook(statement, query, read_only_tree, context, params, environment, dest, completion);
	else
		standard_ProcessUtility(statement, query, read_only_tree, context, params, environment, dest, completion);
}

void
drop_guard_install(void)
{
	previous_utility_hook = ProcessUtility_hook;
	ProcessUtility_hook = drop_guard_utility;
}
