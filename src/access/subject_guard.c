/*
 * subject_guard.c: the column that says whose record a row is stays as it is.
 *
 * PostgreSQL refuses to change its type, even to the one that it has, because policies use it, and
 * does not say how to get on; to who drops it, it advises CASCADE, which takes the policies along
 * and is refused only after that.  Tools that migrate schemas do both.  So both are refused before,
 * with what to do.  What a command does by another way, through a type for instance, is seen
 * afterwards, when it is put on the ledger.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "access/subject_guard.h"
#include "compat.h"
#include "node/lookup.h"

static ProcessUtility_hook_type previous_utility_hook = NULL;

/* Column that a table, which is no partition, is protected by; NULL: it is not protected. */
static char *
subject_guard_column(Oid relation)
{
	Lookup		tables;
	char	   *column = NULL;

	if (!lookup_open(&tables, "row_table"))
		return NULL;
	if (lookup_find(&tables, relation))
		column = lookup_text(&tables, "subject_column");
	lookup_close(&tables);
	return column;
}

static void
subject_guard_refuse(Oid relation, const char *column, bool dropped)
{
	char	   *table = quote_qualified_identifier(get_namespace_name(get_rel_namespace(relation)),
												   get_rel_name(relation));

	ereport(ERROR,
			(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			 dropped ? errmsg("column \"%s\" of %s cannot be dropped", column, table) :
			 errmsg("type of column \"%s\" of %s cannot be changed", column, table),
			 errdetail("It says whose record a row is."),
			 dropped ? errhint("Call medchain.unprotect(%s) first.", quote_literal_cstr(table)) :
			 errhint("Call medchain.unprotect(%s) first, and medchain.protect() behind it, in "
					 "the same transaction.", quote_literal_cstr(table))));
}

static void
subject_guard_alter(AlterTableStmt *alter)
{
	Oid			relation = InvalidOid;
	char	   *subject = NULL;
	ListCell   *cell;

	if (alter->objtype != OBJECT_TABLE)
		return;
	foreach(cell, alter->cmds)
	{
		AlterTableCmd *command = lfirst_node(AlterTableCmd, cell);

		if (command->subtype != AT_AlterColumnType && command->subtype != AT_DropColumn)
			continue;
		if (!OidIsValid(relation))
		{
			relation = RangeVarGetRelid(alter->relation, NoLock, true);
			if (!OidIsValid(relation) || !compat_relation_ownercheck(relation, GetUserId()))
				return;			/* PostgreSQL says so */
			subject = subject_guard_column(relation);
			if (subject == NULL)
				return;
		}
		if (strcmp(command->name, subject) == 0)
			subject_guard_refuse(relation, subject, command->subtype == AT_DropColumn);
	}
}

static void
subject_guard_process(PlannedStmt *statement, const char *query, bool read_only_tree,
					  ProcessUtilityContext context, ParamListInfo params,
					  QueryEnvironment *environment, DestReceiver *dest,
					  QueryCompletion *completion)
{
	if (IsA(statement->utilityStmt, AlterTableStmt))
		subject_guard_alter((AlterTableStmt *) statement->utilityStmt);

	if (previous_utility_hook)
		previous_utility_hook(statement, query, read_only_tree, context, params, environment, dest,
							  completion);
	else
		standard_ProcessUtility(statement, query, read_only_tree, context, params, environment,
								dest, completion);
}

void
subject_guard_install(void)
{
	previous_utility_hook = ProcessUtility_hook;
	ProcessUtility_hook = subject_guard_process;
}
