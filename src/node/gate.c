/*
 * gate.c: what somebody may not do is refused before it waits for a lock.
 *
 * Some commands lock what they name, in a mode that nobody else's goes together with, and look
 * only then whether their caller may do such a thing.  While one of them waits for somebody's
 * harmless lock, everybody who comes later waits behind it.  So a login without any right could
 * stop all that works with a table in a schema that is open to it: with one session that has
 * prepared a statement, and another one that asks for a rule on the table.  Of PostgreSQL's
 * catalogs, which our workers need as everybody does, that is as true as of our tables.
 *
 * For these, the caller's right is asked for first.  He is told what he would be told in any case.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_namespace.h"
#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "tcop/cmdtag.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "node/gate.h"
#include "node/trusted.h"

static ProcessUtility_hook_type next_utility = NULL;

/*
 * A table or index that the command locks for itself.  Owners alone have rights to what is ours and
 * to the catalogs that would do for these commands.
 */
static void
gate_relation(const RangeVar *name)
{
	Oid			relation = name ? RangeVarGetRelid(name, NoLock, true) : InvalidOid;
	Oid			schema;

	if (!OidIsValid(relation))
		return;
	schema = get_rel_namespace(relation);
	if (schema != PG_CATALOG_NAMESPACE && schema != trusted_schema(true))
		return;
	if (!compat_relation_ownercheck(relation, GetUserId()))
		aclcheck_error(ACLCHECK_NO_PRIV, get_relkind_objtype(get_rel_relkind(relation)),
					   get_rel_name(relation));
}

/* The tables that foreign keys refer to. */
static void
gate_constraints(const List *constraints)
{
	ListCell   *cell;

	foreach(cell, constraints)
		if (IsA(lfirst(cell), Constraint))
		gate_relation(lfirst_node(Constraint, cell)->pktable);
}

static void
gate_alter_table(const AlterTableStmt *alter)
{
	ListCell   *cell;

	foreach(cell, alter->cmds)
	{
		const AlterTableCmd *command = lfirst_node(AlterTableCmd, cell);

		if (command->def == NULL)
			continue;
		if (IsA(command->def, PartitionCmd))
			gate_relation(((PartitionCmd *) command->def)->name);
		else if (IsA(command->def, Constraint))
			gate_constraints(list_make1(command->def));
		else if (IsA(command->def, ColumnDef))
			gate_constraints(((ColumnDef *) command->def)->constraints);
	}
}

/* A partition locks what it is to be one of; foreign keys come as an ALTER TABLE of their own. */
static void
gate_create_table(const CreateStmt *create)
{
	ListCell   *cell;

	if (create->partbound != NULL)
		foreach(cell, create->inhRelations)
			gate_relation(lfirst_node(RangeVar, cell));
}

static void
gate_database(const char *name)
{
	Oid			database = get_database_oid(name, true);

	if (OidIsValid(database) && !compat_database_ownercheck(database, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_DATABASE, name);
}

static void
gate_alter_database(const AlterDatabaseStmt *alter)
{
	ListCell   *cell;

	foreach(cell, alter->options)
		if (strcmp(lfirst_node(DefElem, cell)->defname, "tablespace") == 0)
		gate_database(alter->dbname);
}

/*
 * DROP SUBSCRIPTION locks all of pg_subscription, whose it may be and whether there is such a one
 * or not.  True: there is nothing to do.
 */
static bool
gate_drop_subscription(const DropSubscriptionStmt *drop)
{
	Oid			subscription;

	if (superuser())
		return false;
	subscription = get_subscription_oid(drop->subname, true);
	if (OidIsValid(subscription))
	{
		if (!compat_subscription_ownercheck(subscription, GetUserId()))
			aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_SUBSCRIPTION, drop->subname);
		return false;
	}
	ereport(drop->missing_ok ? NOTICE : ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("there is no subscription \"%s\"", drop->subname)));
	return true;
}

/* Refuse it, or say by true that there is nothing to do. */
static bool
gate_look_at(Node *node)
{
	switch (nodeTag(node))
	{
		case T_RuleStmt:
			gate_relation(((RuleStmt *) node)->relation);
			break;
		case T_CreateTrigStmt:
			gate_relation(((CreateTrigStmt *) node)->relation);
			break;
		case T_AlterTableStmt:
			gate_alter_table((AlterTableStmt *) node);
			break;
		case T_CreateStmt:
		case T_CreateForeignTableStmt:	/* which begins with one */
			gate_create_table((CreateStmt *) node);
			break;
		case T_AlterObjectDependsStmt:
			gate_relation(((AlterObjectDependsStmt *) node)->relation);
			break;
		case T_DropdbStmt:
			gate_database(((DropdbStmt *) node)->dbname);
			break;
		case T_AlterDatabaseStmt:
			gate_alter_database((AlterDatabaseStmt *) node);
			break;
		case T_RenameStmt:
			if (((RenameStmt *) node)->renameType == OBJECT_DATABASE)
				gate_database(((RenameStmt *) node)->subname);
			break;
		case T_DropSubscriptionStmt:
			return gate_drop_subscription((DropSubscriptionStmt *) node);
		default:
			break;
	}
	return false;
}

static void
gate_utility(PlannedStmt *statement, const char *query, bool read_only_tree,
			 ProcessUtilityContext context, ParamListInfo params, QueryEnvironment *environment,
			 DestReceiver *dest, QueryCompletion *completion)
{
	Node	   *node = statement->utilityStmt;

	/* in an aborted transaction nobody may look into a catalog */
	if (!IsBinaryUpgrade && IsTransactionState() && OidIsValid(MyDatabaseId) && gate_look_at(node))
	{
		if (completion)
			SetQueryCompletion(completion, CreateCommandTag(node), 0);
		return;
	}
	if (next_utility)
		next_utility(statement, query, read_only_tree, context, params, environment, dest,
					 completion);
	else
		standard_ProcessUtility(statement, query, read_only_tree, context, params, environment,
								dest, completion);
}

void
gate_install(void)
{
	next_utility = ProcessUtility_hook;
	ProcessUtility_hook = gate_utility;
}
