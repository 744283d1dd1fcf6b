/*
 * column_mask.c: columns that are not granted are not seen by a query.
 *
 * Row security decides about rows.  Where examinees may grant columns, its condition has a mark in
 * it (columns_granted(), by question.c), and this is done before such a query is planned: either
 * each of the table's columns in it is put into a CASE that asks for the column of that row, and is
 * null otherwise, or the mark becomes the question for all columns that the query names, and the
 * row is absent otherwise.  Whatever reads the column, conditions, joins and functions too, gets
 * what the CASE has.  What says whose record a row is, and which, is seen with the row.
 *
 * The mark raises an error where it is evaluated, so a query that did not come by here shows
 * nothing: those of functions in SQL that the planner makes a part of others.
 *
 * UPDATE, MERGE and ON CONFLICT set columns: each that is set is asked for as well.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/planner.h"
#include "parser/parse_func.h"
#include "rewrite/rewriteManip.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "access/column_mask.h"
#include "access/mask_aside.h"
#include "access/protection.h"
#include "compat.h"
#include "rows/row_table.h"

bool		column_mask_needed = false;

static planner_hook_type previous_hook = NULL;

/* A table in a query, and the question that its mark stands for. */
typedef struct Mask
{
	Index		varno;
	int			level;			/* of the queries around what is looked at */
	Ungranted	ungranted;
	FuncExpr   *mark;			/* (subject, relation, row) */
	Oid			mark_function;
	Oid			ask_function;
	const char **columns;		/* by attribute number - 1; NULL: seen with the row */
	TupleDesc	desc;
	bool	   *named;			/* by the query; the same */
} Mask;

static Oid
mask_function(const char *name, int nargs)
{
	Oid			types[5] = {ANYELEMENTOID, REGCLASSOID, RECORDOID, TEXTARRAYOID, BOOLOID};
	Oid			schema = get_namespace_oid("medchain_internal", true);

	return !OidIsValid(schema) ? InvalidOid :
		LookupFuncName(list_make2(makeString("medchain_internal"), makeString(pstrdup(name))),
					   nargs, types, true);
}

/* ----- questions ----- */

static Const *
mask_names(const char **names, int count)
{
	Datum	   *elements = palloc((Size) Max(count, 1) * sizeof(Datum));

	for (int i = 0; i < count; i++)
		elements[i] = CStringGetTextDatum(names[i]);
	return makeConst(TEXTARRAYOID, -1, InvalidOid, -1,
					 PointerGetDatum(construct_array(elements, count, TEXTOID, -1, false,
													 TYPALIGN_INT)), false, false);
}

/* The mark's arguments are of the row that the column is of: also behind an outer join. */
typedef struct MaskArgs
{
	const Var  *like;
	int			level;
} MaskArgs;

static bool
mask_args_walker(Node *node, void *context)
{
	const MaskArgs *args = context;

	if (node == NULL)
		return false;
	if (IsA(node, Var))
	{
		compat_var_like((Var *) node, args->like);
		return false;
	}
	return expression_tree_walker(node, mask_args_walker, context);
}

static List *
mask_args(const Mask *mask, const Var *like, Node *more)
{
	List	   *args = copyObject(mask->mark->args);
	MaskArgs	context = {like, mask->level};

	if (like != NULL)
	{
		(void) mask_args_walker((Node *) args, &context);
		IncrementVarSublevelsUp((Node *) args, mask->level, 0);
	}
	return lappend(args, more);
}

/* Is this column of the row granted?  like: the column, where it stands. */
static Expr *
mask_question(const Mask *mask, const Var *like, const char **names, int count)
{
	return (Expr *) makeFuncExpr(mask->ask_function, BOOLOID,
								 mask_args(mask, like, (Node *) mask_names(names, count)),
								 InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
}

/* ----- null instead of a column ----- */

static Node *
mask_case(Expr *question, Node *result)
{
	CaseExpr   *choice = makeNode(CaseExpr);
	CaseWhen   *when = makeNode(CaseWhen);

	when->expr = question;
	when->result = (Expr *) result;
	when->location = -1;
	choice->casetype = exprType(result);
	choice->casecollid = exprCollation(result);
	choice->args = list_make1(when);
	choice->defresult = (Expr *) makeNullConst(choice->casetype, exprTypmod(result),
											   choice->casecollid);
	choice->location = -1;
	return (Node *) choice;
}

static Node *
mask_column(const Mask *mask, Var *column)
{
	const char *name = mask->columns[column->varattno - 1];

	return name == NULL ? (Node *) copyObject(column) :
		mask_case(mask_question(mask, column, &name, 1), (Node *) copyObject(column));
}

/* All of the row at once: made of its columns, but for one that an outer join has not found. */
static Node *
mask_row(const Mask *mask, Var *row)
{
	RowExpr    *made = makeNode(RowExpr);
	NullTest   *found = makeNode(NullTest);

	for (int i = 0; i < mask->desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(mask->desc, i);
		Var		   *column;

		made->colnames = lappend(made->colnames, makeString(pstrdup(NameStr(attribute->attname))));
		if (attribute->attisdropped)
		{
			made->args = lappend(made->args, makeNullConst(INT4OID, -1, InvalidOid));
			continue;
		}
		column = copyObject(row);
		column->varattno = attribute->attnum;
		column->vartype = attribute->atttypid;
		column->vartypmod = attribute->atttypmod;
		column->varcollid = attribute->attcollation;
		made->args = lappend(made->args, mask_column(mask, column));
	}
	made->row_typeid = row->vartype;
	made->row_format = COERCE_IMPLICIT_CAST;
	made->location = -1;
	found->arg = (Expr *) copyObject(row);
	found->nulltesttype = IS_NOT_NULL;
	found->location = -1;
	return mask_case((Expr *) found, (Node *) made);
}

static bool
mask_is_var(const Mask *mask, const Node *node)
{
	const Var  *var = (const Var *) node;

	return IsA(node, Var) && var->varno == (int) mask->varno &&
		(int) var->varlevelsup == mask->level && var->varattno >= 0;
}

static Node *
mask_mutator(Node *node, void *context)
{
	Mask	   *mask = context;

	if (node == NULL)
		return NULL;
	if (mask_is_var(mask, node))
		return ((Var *) node)->varattno == 0 ? mask_row(mask, (Var *) node) :
			mask_column(mask, (Var *) node);
	if (IsA(node, OnConflictExpr))
	{
		/* which index it is about is said of columns, not of what is in them */
		OnConflictExpr *result = makeNode(OnConflictExpr);

		*result = *(OnConflictExpr *) node;
		result->onConflictSet = (List *) mask_mutator((Node *) result->onConflictSet, context);
		result->onConflictWhere = mask_mutator(result->onConflictWhere, context);
		return (Node *) result;
	}
	if (IsA(node, Query))
	{
		Node	   *result;

		mask->level++;
		result = (Node *) query_tree_mutator((Query *) node, mask_mutator, context, 0);
		mask->level--;
		return result;
	}
	return expression_tree_mutator(node, mask_mutator, context);
}

/* ----- which columns a query names ----- */

static bool
mask_named_walker(Node *node, void *context)
{
	Mask	   *mask = context;

	if (node == NULL)
		return false;
	if (mask_is_var(mask, node))
	{
		int			attribute = ((Var *) node)->varattno;

		for (int i = 0; i < mask->desc->natts; i++)
			mask->named[i] |= attribute == 0 || attribute == i + 1;
		return false;
	}
	if (IsA(node, Query))
	{
		bool		result;

		mask->level++;
		result = query_tree_walker((Query *) node, mask_named_walker, context, 0);
		mask->level--;
		return result;
	}
	return expression_tree_walker(node, mask_named_walker, context);
}

/* ----- the mark ----- */

typedef struct MarkSearch
{
	Oid			function;
	Index		varno;
	FuncExpr   *found;
} MarkSearch;

static bool
mark_walker(Node *node, void *context)
{
	MarkSearch *search = context;

	if (node == NULL)
		return false;
	if (IsA(node, FuncExpr) && ((FuncExpr *) node)->funcid == search->function &&
		list_length(((FuncExpr *) node)->args) == 3)
	{
		Node	   *row = lthird(((FuncExpr *) node)->args);

		while (IsA(row, RelabelType) || IsA(row, ConvertRowtypeExpr))
			row = IsA(row, RelabelType) ? (Node *) ((RelabelType *) row)->arg :
				(Node *) ((ConvertRowtypeExpr *) row)->arg;
		if (IsA(row, Var) && ((Var *) row)->varno == (int) search->varno &&
			((Var *) row)->varlevelsup == 0)
		{
			search->found = (FuncExpr *) node;
			return true;
		}
	}
	return expression_tree_walker(node, mark_walker, context);
}

/* In the place of the mark: the question for what the query names, or that it was asked. */
static Node *
mark_mutator(Node *node, void *context)
{
	Mask	   *mask = context;
	MarkSearch	search = {mask->mark_function, mask->varno};

	if (node == NULL)
		return NULL;
	if (IsA(node, FuncExpr) && ((FuncExpr *) node)->funcid == mask->mark_function &&
		mark_walker(node, &search) && search.found == (FuncExpr *) node)
	{
		const char **names = palloc((Size) Max(mask->desc->natts, 1) * sizeof(char *));
		int			count = 0;

		for (int i = 0; mask->ungranted == UNGRANTED_ABSENT && i < mask->desc->natts; i++)
			if (mask->named[i] && mask->columns[i] != NULL)
				names[count++] = mask->columns[i];
		return count == 0 ? makeBoolConst(true, false) :
			(Node *) mask_question(mask, NULL, names, count);
	}
	return expression_tree_mutator(node, mark_mutator, context);
}

/* ----- columns that are set ----- */

typedef struct ReadSearch
{
	const Mask *mask;
	AttrNumber	attribute;
} ReadSearch;

/* Is the new value of a column made of the old one? */
static bool
mask_reads_walker(Node *node, void *context)
{
	const ReadSearch *search = context;

	if (node == NULL)
		return false;
	if (IsA(node, Var))
		return mask_is_var(search->mask, node) &&
			(((Var *) node)->varattno == search->attribute || ((Var *) node)->varattno == 0);
	return expression_tree_walker(node, mask_reads_walker, context);
}

static void
mask_set(const Mask *mask, List *targets)
{
	Oid			require = mask_function("require_update_of", 5);
	ListCell   *cell;

	foreach(cell, targets)
	{
		TargetEntry *target = lfirst_node(TargetEntry, cell);
		ReadSearch	search = {mask, target->resno};
		const char *name;
		List	   *args;

		if (target->resjunk || target->resno <= 0 || target->resno > mask->desc->natts)
			continue;
		/* whose record it is, and which, no part of its columns changes either */
		name = mask->columns[target->resno - 1] != NULL ? mask->columns[target->resno - 1] :
			pstrdup(NameStr(TupleDescAttr(mask->desc, target->resno - 1)->attname));
		args = lappend(mask_args(mask, NULL, (Node *) mask_names(&name, 1)),
					   makeBoolConst(mask_reads_walker((Node *) target->expr, &search), false));
		target->expr = (Expr *) mask_case((Expr *) makeFuncExpr(require, BOOLOID, args, InvalidOid,
																InvalidOid, COERCE_EXPLICIT_CALL),
										  (Node *) target->expr);
	}
}

/* ----- queries ----- */

/* What of the relation can be masked; false: it is not known as such a table any more. */
static bool
mask_describe(Mask *mask, Oid relation)
{
	Relation	opened = table_open(relation, NoLock);
	const Protection *protection = protection_get(opened);
	const RowTable *table = row_table_get(opened);
	bool		known = protection != NULL && table != NULL &&
	protection->ungranted != UNGRANTED_ALL;

	if (known)
	{
		mask->ungranted = protection->ungranted;
		mask->desc = CreateTupleDescCopy(RelationGetDescr(opened));
		mask->columns = palloc0((Size) Max(mask->desc->natts, 1) * sizeof(char *));
		mask->named = palloc0((Size) Max(mask->desc->natts, 1) * sizeof(bool));
		/* one that the ledger does not know nobody can grant by name */
		for (int i = 0; i < mask->desc->natts; i++)
			mask->columns[i] = "";
		for (int i = 0; i < table->ncolumns; i++)
		{
			const RowColumn *column = &table->columns[i];

			mask->columns[column->attribute - 1] = column->is_key ||
				column->attribute == protection->subject ? NULL : pstrdup(column->name);
		}
	}
	table_close(opened, NoLock);
	return known;
}

static bool
mask_find(const Query * query, const RangeTblEntry *entry, Mask *mask)
{
	MarkSearch	search = {mask->mark_function, mask->varno};

	if (entry->rtekind != RTE_RELATION ||
		!(mark_walker((Node *) entry->securityQuals, &search) ||
		  mark_walker((Node *) query->withCheckOptions, &search)))
		return false;
	mask->mark = copyObject(search.found);
	return mask_describe(mask, entry->relid);
}

/* One table of a query. */
static void
mask_table(Query * query, Mask *mask)
{
	List	   *options;
	List	   *conditions = mask_aside(query, (int) mask->varno, &options);
	ListCell   *cell;
	ListCell   *condition;

	if (mask->ungranted == UNGRANTED_ABSENT)
		(void) query_tree_walker(query, mask_named_walker, mask, 0);
	else
		memcpy(query, query_tree_mutator(query, mask_mutator, mask, 0), sizeof(Query));
	if (query->resultRelation == (int) mask->varno)
	{
		if (query->commandType == CMD_UPDATE)
			mask_set(mask, query->targetList);
		if (query->onConflict != NULL)
			mask_set(mask, query->onConflict->onConflictSet);
		foreach(cell, query->mergeActionList)
		{
			MergeAction *action = lfirst_node(MergeAction, cell);

			if (action->commandType == CMD_UPDATE)
				mask_set(mask, action->targetList);
		}
	}
	forboth(cell, query->rtable, condition, conditions)
	{
		RangeTblEntry *entry = lfirst_node(RangeTblEntry, cell);

		entry->securityQuals = list_concat((List *) mark_mutator((Node *) lfirst(condition), mask),
										   entry->securityQuals);
	}
	query->withCheckOptions = list_concat((List *) mark_mutator((Node *) options, mask),
										  query->withCheckOptions);
}

static bool mask_query(Query * query, void *mark);

static bool
mask_walker(Node *node, void *mark)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
		return mask_query((Query *) node, mark);
	return expression_tree_walker(node, mask_walker, mark);
}

/* A query, and those in it. */
static bool
mask_query(Query * query, void *mark)
{
	(void) query_tree_walker(query, mask_walker, mark, 0);
	for (int i = 1; i <= list_length(query->rtable); i++)
	{
		Mask		mask = {.varno = (Index) i, .mark_function = *(Oid *) mark};

		if (!mask_find(query, list_nth_node(RangeTblEntry, query->rtable, i - 1), &mask))
			continue;
		mask.ask_function = mask_function("may_query_columns", 4);
		mask_table(query, &mask);
	}
	return false;
}

/* planner_hook */
static PlannedStmt *
column_mask_plan(COMPAT_PLANNER_PARAMETERS)
{
	if (column_mask_needed)
	{
		Oid			mark = mask_function("columns_granted", 3);

		if (OidIsValid(mark))
			(void) mask_query(parse, &mark);
	}
	return previous_hook ? previous_hook(COMPAT_PLANNER_ARGUMENTS) :
		standard_planner(COMPAT_PLANNER_ARGUMENTS);
}

void
column_mask_install(void)
{
	previous_hook = planner_hook;
	planner_hook = column_mask_plan;
}
