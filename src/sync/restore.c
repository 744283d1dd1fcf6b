/*
 * restore.c: what pg_dump brings to another database, and what it must not bring to a node.
 *
 * A restore is a series of commands that nobody stops at the first error, so each is refused, or
 * made harmless, where it begins:
 *
 * - COPY into medchain's tables in a database that is a node, or that has been restored into.  The
 *   triggers on the tables say the same to INSERT.
 * - COPY into a partition that is empty, where this is not the node: pg_restore -j makes the
 *   triggers of a partitioned table when it likes, as its own rows are none, and not behind those
 *   of its partitions.  They let such rows pass.
 * - DISABLE TRIGGER ALL, with which --disable-triggers begins, is not for our triggers: on our own
 *   tables they keep a dump out, or tell a copy; on a ledger table of a node they put what comes
 *   with a dump on the ledger.  Who means them, a superuser who tampers or tests, names them.
 *   Elsewhere (a copy, on its way) those of ledger tables are off until ENABLE TRIGGER ALL, after
 *   which they have to be ENABLE ALWAYS again.
 * - CREATE SUBSCRIPTION: pg_dump carries those of the node, with the node's slots at its peers;
 *   with the copy, the slots would be dropped.  The command does nothing, in any database of a
 *   server that has the library.
 * - DROP SUBSCRIPTION and DROP PUBLICATION, of pg_restore --clean in the node itself.
 *
 * pg_upgrade moves a whole cluster; nothing of this concerns it.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_subscription.h"
#include "catalog/pg_trigger.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/bufmgr.h"
#include "tcop/cmdtag.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "ledger/home.h"
#include "node/trusted.h"
#include "rows/row_capture.h"
#include "sync/restore.h"

#define RESTORE_PREFIX "medchain_"	/* of our subscriptions and slots: slot_name(), in peer.sql */
#define RESTORE_PUBLICATION "medchain"	/* and what those of parts, and of relays, begin with */

static ProcessUtility_hook_type previous_utility_hook = NULL;

static bool
restore_ours(const Trigger *trigger, Oid schema)
{
	Oid			called = get_func_namespace(trigger->tgfoid);

	return !trigger->tgisinternal &&
		(called == schema || called == get_namespace_oid("medchain_internal", true));
}

/* COPY ... FROM into the ledger: not in a node, and not twice. */
static void
restore_check_copy(const CopyStmt *copy, Oid schema)
{
	Relation	relation;

	if (!copy->is_from || copy->relation == NULL)
		return;
	relation = table_openrv_extended(copy->relation, RowExclusiveLock, true);
	if (relation == NULL)
		return;					/* COPY says so itself */
	if (RelationGetNamespace(relation) == schema)
	{
		if (home_status() == HOME_HERE)
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("table \"medchain.%s\" of node \"%s\" takes no rows from a dump",
							RelationGetRelationName(relation), home_require()),
					 errhint("Restore into a database of its own; see medchain.take_over().")));
		home_require_empty(relation, true);
	}
	table_close(relation, NoLock);
}

/* The partition with a trigger of ours that COPY ... FROM fills from nothing, or InvalidOid. */
static Oid
restore_fills(const CopyStmt *copy, Oid schema)
{
	Relation	relation;
	Oid			filled = InvalidOid;

	if (!copy->is_from || copy->relation == NULL || home_status() == HOME_HERE)
		return InvalidOid;
	relation = table_openrv_extended(copy->relation, RowExclusiveLock, true);
	if (relation == NULL)
		return InvalidOid;
	for (int i = 0; relation->trigdesc != NULL && i < relation->trigdesc->numtriggers; i++)
		if (relation->rd_rel->relispartition && RELKIND_HAS_STORAGE(relation->rd_rel->relkind) &&
			restore_ours(&relation->trigdesc->triggers[i], schema) &&
			RelationGetNumberOfBlocks(relation) == 0)
			filled = RelationGetRelid(relation);
	table_close(relation, NoLock);
	return filled;
}

static AlterTableCmd *
restore_always(const char *trigger)
{
	AlterTableCmd *command = makeNode(AlterTableCmd);

	command->subtype = AT_EnableAlwaysTrig;
	command->name = pstrdup(trigger);
	return command;
}

/* Are all of ours to stay on, whatever DISABLE TRIGGER ALL on this table says? */
static bool
restore_keeps_triggers(Relation relation, Oid schema)
{
	bool		here = home_status() == HOME_HERE;

	if (RelationGetNamespace(relation) != schema)
		return here;
	if (here)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			  errmsg("triggers of table \"medchain.%s\" of node \"%s\" cannot be disabled all at "
					 "once", RelationGetRelationName(relation), home_require()),
				 errdetail("They keep the rows of a dump out."),
				 errhint("Restore into a database of its own; see medchain.take_over().")));
	return true;
}

/* ALTER TABLE ... ENABLE or DISABLE TRIGGER ALL or USER: with ours set to ENABLE ALWAYS. */
static PlannedStmt *
restore_alter_table(PlannedStmt *statement, Oid schema)
{
	AlterTableStmt *alter = (AlterTableStmt *) statement->utilityStmt;
	List	   *added = NIL;
	bool		enables = false;
	bool		disables = false;
	ListCell   *cell;
	Relation	relation;

	if (alter->objtype != OBJECT_TABLE)
		return statement;
	foreach(cell, alter->cmds)
	{
		AlterTableType type = lfirst_node(AlterTableCmd, cell)->subtype;

		enables = enables || type == AT_EnableTrigAll || type == AT_EnableTrigUser;
		disables = disables || type == AT_DisableTrigAll || type == AT_DisableTrigUser;
	}
	if (!enables && !disables)
		return statement;
	relation = table_openrv_extended(alter->relation, AccessShareLock, true);
	if (relation == NULL)
		return statement;
	disables = disables && restore_keeps_triggers(relation, schema);
	for (int i = 0; relation->trigdesc != NULL && i < relation->trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &relation->trigdesc->triggers[i];

		if ((enables || disables) && restore_ours(trigger, schema))
			added = lappend(added, restore_always(trigger->tgname));
	}
	if (added != NIL && disables && RelationGetNamespace(relation) != schema)
		ereport(NOTICE,
				(errmsg("triggers of medchain on table \"%s\" stay enabled",
						RelationGetRelationName(relation)),
				 errdetail("Its rows are on the ledger.")));
	table_close(relation, NoLock);
	if (added == NIL)
		return statement;

	/* a plan that is kept must not be changed */
	statement = copyObject(statement);
	alter = (AlterTableStmt *) statement->utilityStmt;
	alter->cmds = list_concat(alter->cmds, added);
	return statement;
}

/* CREATE SUBSCRIPTION as pg_dump writes one of ours; subscribe_to() connects. */
static bool
restore_is_dumped(const CreateSubscriptionStmt *create)
{
	bool		connects = true;
	bool		slot = false;
	ListCell   *cell;

	if (list_length(create->publication) != 1 ||
		strncmp(strVal(linitial(create->publication)), RESTORE_PUBLICATION,
				strlen(RESTORE_PUBLICATION)) != 0)
		return false;
	foreach(cell, create->options)
	{
		DefElem    *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, "connect") == 0)
			connects = defGetBoolean(option);
		else if (strcmp(option->defname, "slot_name") == 0)
			slot = strncmp(defGetString(option), RESTORE_PREFIX, strlen(RESTORE_PREFIX)) == 0;
	}
	return !connects && slot;
}

/* Is this what pg_dump has to say of a subscription that was left out? */
static bool
restore_is_about_missing(ObjectType type, Node *object)
{
	return type == OBJECT_SUBSCRIPTION &&
		strncmp(strVal(object), RESTORE_PREFIX, strlen(RESTORE_PREFIX)) == 0 &&
		!OidIsValid(get_subscription_oid(strVal(object), true));
}

/* True: the command is not to be run. */
static bool
restore_leaves_out(Node *node)
{
	switch (nodeTag(node))
	{
		case T_CreateSubscriptionStmt:
			if (!restore_is_dumped((CreateSubscriptionStmt *) node))
				return false;
			ereport(NOTICE,
					(errmsg("subscription \"%s\" of the node that was dumped is left out",
							((CreateSubscriptionStmt *) node)->subname),
					 OidIsValid(trusted_schema(true)) ? errhint("See medchain.take_over().") : 0));
			return true;
		case T_AlterOwnerStmt:
			return restore_is_about_missing(((AlterOwnerStmt *) node)->objectType,
											((AlterOwnerStmt *) node)->object);
		case T_CommentStmt:
			return restore_is_about_missing(((CommentStmt *) node)->objtype,
											((CommentStmt *) node)->object);
		case T_SecLabelStmt:
			return restore_is_about_missing(((SecLabelStmt *) node)->objtype,
											((SecLabelStmt *) node)->object);
		default:
			return false;
	}
}

/* The peer whose chain comes through this subscription, or NULL. */
static char *
restore_peer_of(const char *subscription)
{
	static SPIPlanPtr plan = NULL;
	MemoryContext context = CurrentMemoryContext;
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(subscription)};
	TrustedScope scope;
	char	   *member = NULL;

	trusted_begin(&scope);
	trusted_read(&plan, "SELECT member FROM medchain.peer WHERE subscription = $1", 1, types,
				 values);
	if (SPI_processed > 0)
		member = MemoryContextStrdup(context,
								   SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
	trusted_end(&scope);
	return member;
}

/* DROP SUBSCRIPTION or PUBLICATION by somebody else than our functions, in a node. */
static void
restore_check_drop(Node *node)
{
	if (InLocalUserIdChange() || home_status() != HOME_HERE)
		return;
	if (IsA(node, DropSubscriptionStmt))
	{
		const char *name = ((DropSubscriptionStmt *) node)->subname;
		char	   *member = restore_peer_of(name);

		if (member != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
					 errmsg("subscription \"%s\" is how node \"%s\" follows \"%s\"",
							name, home_require(), member),
					 errhint("Call medchain.disconnect_peer(%s).", quote_literal_cstr(member))));
	}
	else
	{
		ListCell   *cell;

		foreach(cell, ((DropStmt *) node)->objects)
			if (strcmp(strVal(lfirst(cell)), RESTORE_PUBLICATION) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
					 errmsg("publication \"%s\" is how the others follow node \"%s\"",
							RESTORE_PUBLICATION, home_require()),
					 errhint("Call medchain.leave_alliance().")));
	}
}

/* Does it concern us at all?  Without looking at anything but the command. */
static bool
restore_concerns(Node *node)
{
	switch (nodeTag(node))
	{
		case T_CopyStmt:
		case T_AlterTableStmt:
		case T_CreateSubscriptionStmt:
		case T_AlterOwnerStmt:
		case T_CommentStmt:
		case T_SecLabelStmt:
		case T_DropSubscriptionStmt:
			return true;
		case T_DropStmt:
			return ((DropStmt *) node)->removeType == OBJECT_PUBLICATION;
		default:
			return false;
	}
}

/*
 * Here, or, of what is about the server's peers, in any database: pg_dump -N medchain leaves the
 * extension out, and the subscriptions, which are in no schema, it does not.
 */
static bool
restore_is_near(Node *node)
{
	switch (nodeTag(node))
	{
		case T_CreateSubscriptionStmt:
		case T_AlterOwnerStmt:
		case T_CommentStmt:
		case T_SecLabelStmt:
			return true;
		default:
			return OidIsValid(trusted_schema(true));
	}
}

#define RESTORE_PARAMETERS PlannedStmt *statement, const char *query, bool read_only_tree, \
	ProcessUtilityContext context, ParamListInfo params, QueryEnvironment *environment, \
	DestReceiver *dest, QueryCompletion *completion
#define RESTORE_ARGUMENTS statement, query, read_only_tree, context, params, environment, dest, \
	completion

static void
restore_next(RESTORE_PARAMETERS)
{
	if (previous_utility_hook)
		previous_utility_hook(RESTORE_ARGUMENTS);
	else
		standard_ProcessUtility(RESTORE_ARGUMENTS);
}

/* COPY that fills this partition. */
static void
restore_fill(Oid partition, RESTORE_PARAMETERS)
{
	Oid			before = row_capture_arriving;

	row_capture_arriving = partition;
	PG_TRY();
	{
		restore_next(RESTORE_ARGUMENTS);
	}
	PG_FINALLY();
	{
		row_capture_arriving = before;
	}
	PG_END_TRY();
}

static void
restore_utility(RESTORE_PARAMETERS)
{
	Node	   *node = statement->utilityStmt;
	Oid			arriving = InvalidOid;

	if (!IsBinaryUpgrade && restore_concerns(node) && OidIsValid(MyDatabaseId) &&
		restore_is_near(node) && !creating_extension)
	{
		if (IsA(node, CopyStmt))
		{
			restore_check_copy((CopyStmt *) node, trusted_schema(false));
			arriving = restore_fills((CopyStmt *) node, trusted_schema(false));
		}
		else if (IsA(node, AlterTableStmt))
			statement = restore_alter_table(statement, trusted_schema(false));
		else if (IsA(node, DropSubscriptionStmt) || IsA(node, DropStmt))
			restore_check_drop(node);
		else if (restore_leaves_out(node))
		{
			if (completion)
				SetQueryCompletion(completion, CreateCommandTag(node), 0);
			return;
		}
	}
	if (OidIsValid(arriving))
		restore_fill(arriving, RESTORE_ARGUMENTS);
	else
		restore_next(RESTORE_ARGUMENTS);
}

void
restore_install(void)
{
	previous_utility_hook = ProcessUtility_hook;
	ProcessUtility_hook = restore_utility;
}
