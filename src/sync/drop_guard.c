/*
 * drop_guard.c: DROP EXTENSION medchain only once nothing of it is left outside of it.
 *
 * Subscriptions, slots and the publication are no members of the extension, and a
 * slot that nobody drops holds back WAL until the disk is full.  The schema goes
 * with the extension.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_namespace.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"

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
				" UNION ALL SELECT format('replication slot \"%s\"', slot_name) FROM "
				"pg_replication_slots"
				"  WHERE database = current_database() AND plugin = 'pgoutput' AND slot_name ^@ "
				"'medchain_') x",
				true, 1);
	left = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	if (left != NULL)
		left = MemoryContextStrdup(context, left);
	trusted_end(&scope);
	return left;
}

/* Does anything depend on this schema, as what is in it does? */
static bool
drop_guard_is_used(Oid schema)
{
	Relation	depend = table_open(DependRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	bool		used;

	ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(NamespaceRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(schema));
	scan = systable_beginscan(depend, DependReferenceIndexId, true, NULL, 2, keys);
	used = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
	return used;
}

/*
 * CREATE EXTENSION made the schema and, as PostgreSQL does, did not make it a member: it would stay
 * behind, empty.  If somebody put objects of his own into it, it stays.
 */
static void
drop_guard_schema(void)
{
	ObjectAddress schema;

	ObjectAddressSet(schema, NamespaceRelationId, get_namespace_oid("medchain", true));
	if (!OidIsValid(schema.objectId) || OidIsValid(get_extension_oid("medchain", true)))
		return;
	CommandCounterIncrement();
	if (drop_guard_is_used(schema.objectId))
		return;
	performDeletion(&schema, DROP_RESTRICT, PERFORM_DELETION_INTERNAL);
}

static void
drop_guard_utility(PlannedStmt *statement, const char *query, bool read_only_tree,
				   ProcessUtilityContext context,
				   ParamListInfo params, QueryEnvironment *environment, DestReceiver *dest,
				   QueryCompletion *completion)
{
	bool		concerns = drop_guard_concerns(statement->utilityStmt);

	if (concerns)
	{
		char	   *left = drop_guard_left(CurrentMemoryContext);

		if (left != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_IN_USE),
					 errmsg("extension \"medchain\" cannot be dropped while it takes part in an "
							"alliance"),
					 errdetail("Left outside of the extension: %s.", left),
					 errhint("Call medchain.leave_alliance() first.")));
	}
	if (previous_utility_hook)
		previous_utility_hook(statement, query, read_only_tree, context, params, environment, dest,
							  completion);
	else
		standard_ProcessUtility(statement, query, read_only_tree, context, params, environment,
								dest, completion);
	if (concerns)
		drop_guard_schema();
}

void
drop_guard_install(void)
{
	previous_utility_hook = ProcessUtility_hook;
	ProcessUtility_hook = drop_guard_utility;
}
