/*
 * row_utility.c: DDL on ledger tables that no event trigger tells of, or too late.
 *
 * DROP INDEX CONCURRENTLY has committed half of what it does when an event trigger hears of it: an
 * index that names the rows of a ledger table is not dropped in the first place.
 *
 * What is in a partition has to be put on the ledger before DROP TABLE drops it, and one that is a
 * ledger table by itself must not be one any more when ATTACH PARTITION gives it the triggers of
 * the other.  Both look at what the command names, take the locks that it takes itself, in the same
 * order, and leave what may not be done to PostgreSQL, which refuses it, and undoes what was done
 * here.
 */
#include "postgres.h"

#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/lmgr.h"
#include "tcop/utility.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "node/lookup.h"
#include "node/trusted.h"
#include "rows/row_utility.h"

static ProcessUtility_hook_type previous_utility_hook = NULL;

/* Is it a ledger table, or a partition of one? */
static bool
utility_is_known(Oid relation)
{
	Lookup		tables;
	bool		known;

	if (get_rel_relispartition(relation))
		relation = llast_oid(get_partition_ancestors(relation));
	if (!lookup_open(&tables, "row_table"))
		return false;
	known = lookup_find(&tables, relation);
	lookup_close(&tables);
	return known;
}

static void
utility_attach(RangeVar *parent_name, RangeVar *part_name)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[2] = {OIDOID, OIDOID};
	Datum		values[2];
	TrustedScope scope;
	Oid			parent = RangeVarGetRelid(parent_name, NoLock, true);
	Oid			part = RangeVarGetRelid(part_name, NoLock, true);

	if (!OidIsValid(parent) || !OidIsValid(part) ||
		!compat_relation_ownercheck(parent, GetUserId()) ||
		!compat_relation_ownercheck(part, GetUserId()) || !utility_is_known(parent))
		return;
	LockRelationOid(parent, ShareUpdateExclusiveLock);
	LockRelationOid(part, AccessExclusiveLock);
	values[0] = ObjectIdGetDatum(part);
	values[1] = ObjectIdGetDatum(parent);
	trusted_begin(&scope);
	trusted_execute(&plan, "SELECT medchain_internal.prepare_attach($1, $2)", 2, types, values,
					NULL, false);
	trusted_end(&scope);
}

static void
utility_alter(AlterTableStmt *alter)
{
	ListCell   *cell;

	if (alter->objtype != OBJECT_TABLE)
		return;
	foreach(cell, alter->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, cell);

		if (command->subtype == AT_AttachPartition)
			utility_attach(alter->relation, ((PartitionCmd *) command->def)->name);
	}
}

static void
utility_drop_partition(Oid part)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[1] = {OIDOID};
	Datum		values[1] = {ObjectIdGetDatum(part)};
	TrustedScope scope;

	LockRelationOid(get_partition_parent(part, true), AccessExclusiveLock);
	LockRelationOid(part, AccessExclusiveLock);
	trusted_begin(&scope);
	trusted_execute(&plan, "SELECT medchain_internal.prepare_drop($1)", 1, types, values, NULL,
					false);
	trusted_end(&scope);
}

static void
utility_drop_index(Oid index)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[2] = {OIDOID, OIDOID};
	Datum		values[2];
	TrustedScope scope;
	Lookup		tables;
	Oid			relation = IndexGetRelation(index, true);
	bool		known;

	if (!OidIsValid(relation) || !lookup_open(&tables, "row_index"))
		return;
	known = lookup_find(&tables, relation);
	lookup_close(&tables);
	if (!known)
		return;
	values[0] = ObjectIdGetDatum(relation);
	values[1] = ObjectIdGetDatum(index);
	trusted_begin(&scope);
	trusted_execute(&plan, "SELECT medchain_internal.require_row_keys(ARRAY[$1], $2)", 2, types,
					values,
					NULL, true);
	trusted_end(&scope);
}

static void
utility_drop(DropStmt *drop)
{
	ListCell   *cell;

	if (drop->removeType != OBJECT_TABLE &&
		!(drop->removeType == OBJECT_INDEX && drop->concurrent))
		return;
	foreach(cell, drop->objects)
	{
		Oid			table = RangeVarGetRelid(makeRangeVarFromNameList(lfirst(cell)), NoLock, true);

		/* what may not be dropped is refused by PostgreSQL */
		if (!OidIsValid(table) ||
			(!compat_relation_ownercheck(table, GetUserId()) &&
			 !compat_schema_ownercheck(get_rel_namespace(table), GetUserId())))
			continue;
		if (drop->removeType == OBJECT_INDEX)
			utility_drop_index(table);
		else if (get_rel_relispartition(table) && utility_is_known(table))
			utility_drop_partition(table);
	}
}

static void
utility_process(PlannedStmt *statement, const char *query, bool read_only_tree,
				ProcessUtilityContext context, ParamListInfo params, QueryEnvironment *environment,
				DestReceiver *dest, QueryCompletion *completion)
{
	Node	   *node = statement->utilityStmt;

	if (IsA(node, AlterTableStmt))
		utility_alter((AlterTableStmt *) node);
	else if (IsA(node, DropStmt))
		utility_drop((DropStmt *) node);

	if (previous_utility_hook)
		previous_utility_hook(statement, query, read_only_tree, context, params, environment, dest,
							  completion);
	else
		standard_ProcessUtility(statement, query, read_only_tree, context, params, environment,
								dest,
								completion);
}

void
utility_install(void)
{
	previous_utility_hook = ProcessUtility_hook;
	ProcessUtility_hook = utility_process;
}
