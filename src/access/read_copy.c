/*
 * read_copy.c: COPY of a protected table is a query like any other.
 *
 * COPY table TO reads the table by itself where row security does not apply, past the executor and
 * so past who looks at what it reads.  Where it does apply PostgreSQL makes a query of it; we make
 * the same one of all others.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "nodes/makefuncs.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "access/read_audit.h"
#include "access/read_copy.h"
#include "access/read_scan.h"

static ProcessUtility_hook_type next_utility = NULL;

static ResTarget *
copy_column(const char *name)
{
	ResTarget  *target = makeNode(ResTarget);
	ColumnRef  *column = makeNode(ColumnRef);

	column->fields = list_make1(makeString(pstrdup(name)));
	column->location = -1;
	target->val = (Node *) column;
	target->location = -1;
	return target;
}

/* Those that are named, or all but what is computed, as COPY has it. */
static List *
copy_columns(const CopyStmt *copy, Relation relation)
{
	TupleDesc	desc = RelationGetDescr(relation);
	List	   *columns = NIL;
	ListCell   *cell;

	foreach(cell, copy->attlist)
		columns = lappend(columns, copy_column(strVal(lfirst(cell))));
	for (int i = 0; i < desc->natts && copy->attlist == NIL; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (!attribute->attisdropped && attribute->attgenerated == '\0')
			columns = lappend(columns, copy_column(NameStr(attribute->attname)));
	}
	return columns;
}

/* The same as a query; NULL: it is none of our business. */
static CopyStmt *
copy_as_query(CopyStmt *copy)
{
	Oid			oid = RangeVarGetRelid(copy->relation, AccessShareLock, true);
	CopyStmt   *result;
	SelectStmt *select;
	RangeVar   *from;
	Relation	relation;

	if (!OidIsValid(oid) || get_rel_relkind(oid) != RELKIND_RELATION || !read_scan_protected(oid))
		return NULL;
	relation = table_open(oid, NoLock);
	from = makeRangeVar(get_namespace_name(RelationGetNamespace(relation)),
						pstrdup(RelationGetRelationName(relation)), -1);
	from->inh = false;
	select = makeNode(SelectStmt);
	select->targetList = copy_columns(copy, relation);
	select->fromClause = list_make1(from);
	table_close(relation, NoLock);
	result = copyObject(copy);
	result->relation = NULL;
	result->attlist = NIL;
	result->query = (Node *) select;
	return result;
}

static void
copy_utility(PlannedStmt *statement, const char *query, bool read_only_tree,
			 ProcessUtilityContext context, ParamListInfo params, QueryEnvironment *environment,
			 DestReceiver *dest, QueryCompletion *completion)
{
	if (IsA(statement->utilityStmt, CopyStmt) && read_audit_is_on())
	{
		CopyStmt   *copy = (CopyStmt *) statement->utilityStmt;
		CopyStmt   *instead = copy->is_from || copy->relation == NULL ? NULL :
		copy_as_query(copy);

		if (instead != NULL)
		{
			statement = copyObject(statement);
			statement->utilityStmt = (Node *) instead;
		}
	}
	if (next_utility)
		next_utility(statement, query, read_only_tree, context, params, environment, dest,
					 completion);
	else
		standard_ProcessUtility(statement, query, read_only_tree, context, params, environment,
								dest, completion);
}

void
read_copy_install(void)
{
	next_utility = ProcessUtility_hook;
	ProcessUtility_hook = copy_utility;
}
