/*
 * planner_support.c: tells the planner what may_query() and may_update() mean.
 *
 * A policy's function is opaque to the planner.  Its support function offers
 * "subject = ANY (medchain_internal.granted_subjects_as(...))" as an index condition, and says how
 * many rows will pass and what asking costs (PostgreSQL documentation, "Function Optimization
 * Information").
 */
#include "postgres.h"

#include "access/stratnum.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_opfamily.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "nodes/supportnodes.h"
#include "optimizer/optimizer.h"
#include "optimizer/paths.h"
#include "parser/parse_func.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"

#include "access/cursor.h"
#include "access/grant_cache.h"
#include "access/statement.h"
#include "node/shared.h"

/*
 * An index scan for each granted subject pays off up to about here, and beyond, up to many, where
 * theirs are few of the rows; otherwise one pass with a hash lookup per row does.
 */
#define SUPPORT_SUBJECTS_ALWAYS 2000
#define SUPPORT_SUBJECTS_MAX 20000
#define SUPPORT_ROWS_MAX 0.1

/* More than these are nothing to be gone through again for each row of an outer relation. */
#define SUPPORT_SUBJECTS_AGAIN 100

/* A lookup in the session's hash, in units of cpu_operator_cost. */
#define SUPPORT_LOOKUP_COST 4.0

static double
support_selectivity(PlannerInfo *root, List *args, int varrelid)
{
	double		granted = grant_cache_estimate();
	VariableStatData variable;
	double		distinct;
	bool		is_default;

	examine_variable(root, linitial(args), varrelid, &variable);
	distinct = get_variable_numdistinct(&variable, &is_default);
	ReleaseVariableStats(variable);
	return distinct < 1.0 ? 1.0 : Min(1.0, granted / distinct);
}

/* The values that the index of a column of this type is asked for; InvalidOid: it is not asked. */
static Oid
support_element_type(Oid type)
{
	switch (type)
	{
		case TEXTOID:
		case UUIDOID:
			return type;
		case INT2OID:
		case INT4OID:
		case INT8OID:
			return INT8OID;
		default:
			return InvalidOid;
	}
}

/*
 * medchain_internal.granted_subjects_as(operation, relation, null of the type).  It is volatile, or
 * the planner would evaluate it for its estimates, and have all grants loaded for a query that
 * reads one row.
 */
static Expr *
support_granted(const char *operation, Node *relation, Oid element_type)
{
	Oid			types[3] = {TEXTOID, REGCLASSOID, ANYELEMENTOID};
	Oid			function = LookupFuncName(list_make2(makeString("medchain_internal"),
													 makeString("granted_subjects_as")),
										  3, types, true);
	Oid			collation = get_typcollation(element_type);

	if (!OidIsValid(function))
		return NULL;
	return (Expr *) makeFuncExpr(function, get_array_type(element_type),
								 list_make3(makeConst(TEXTOID, -1, DEFAULT_COLLATION_OID, -1,
													CStringGetTextDatum(operation), false, false),
											relation, makeNullConst(element_type, -1, collation)),
								 collation, DEFAULT_COLLATION_OID, COERCE_EXPLICIT_CALL);
}

static bool
support_is_column(PlannerInfo *root, RelOptInfo *rel, EquivalenceClass * ec, EquivalenceMember * em,
				  void *arg)
{
	SupportRequestIndexCondition *request = arg;

	return match_index_to_operand((Node *) em->em_expr, request->indexcol, request->index);
}

/* Is one of them "column = something", or "column = ANY (some)"? */
static bool
support_is_equality(SupportRequestIndexCondition *request, List *clauses)
{
	ListCell   *cell;

	foreach(cell, clauses)
	{
		Node	   *clause = (Node *) lfirst_node(RestrictInfo, cell)->clause;
		Oid			operator = InvalidOid;
		List	   *args = NIL;

		if (is_opclause(clause))
		{
			operator = ((OpExpr *) clause)->opno;
			args = ((OpExpr *) clause)->args;
		}
		else if (IsA(clause, ScalarArrayOpExpr) && ((ScalarArrayOpExpr *) clause)->useOr)
		{
			operator = ((ScalarArrayOpExpr *) clause)->opno;
			args = ((ScalarArrayOpExpr *) clause)->args;
		}
		if (list_length(args) == 2 &&
			get_op_opfamily_strategy(operator, request->opfamily) == BTEqualStrategyNumber &&
			(match_index_to_operand(linitial(args), request->indexcol, request->index) ||
			 match_index_to_operand(lsecond(args), request->indexcol, request->index)))
			return true;
	}
	return false;
}

/*
 * Does something else say whose rows these are, a constant or another relation?  The index would
 * be asked for that and for all subjects each time, and sort them before.
 */
static bool
support_is_known(SupportRequestIndexCondition *request)
{
	RelOptInfo *rel = request->index->rel;

	return support_is_equality(request, rel->baserestrictinfo) ||
		support_is_equality(request, rel->joininfo) ||
		(rel->has_eclass_joins &&
		 generate_implied_equalities_for_column(request->root, rel, support_is_column, request,
												rel->lateral_referencers) != NIL);
}

/* Is a search for each subject better than a look at each row? */
static bool
support_few(SupportRequestIndexCondition *request, List *args)
{
	double		granted = grant_cache_estimate();

	if (granted > SUPPORT_SUBJECTS_AGAIN && support_is_known(request))
		return false;
	return granted <= SUPPORT_SUBJECTS_ALWAYS ||
		(granted <= SUPPORT_SUBJECTS_MAX &&
		 support_selectivity(request->root, args, (int) request->index->rel->relid) <=
		 SUPPORT_ROWS_MAX);
}

static List *
support_index_condition(SupportRequestIndexCondition *request, const char *operation)
{
	Oid			type = request->index->opcintype[request->indexcol];
	Oid			element_type = support_element_type(type);
	List	   *args;
	Node	   *subject;
	Node	   *relation;
	Expr	   *array;
	Oid			operator;
	ScalarArrayOpExpr *condition;

	if (!is_funcclause(request->node) || request->indexarg != 0)
		return NIL;
	args = ((FuncExpr *) request->node)->args;
	if (list_length(args) != 2)
		return NIL;
	subject = linitial(args);
	relation = lsecond(args);
	if (request->index->relam != BTREE_AM_OID || !OidIsValid(element_type) ||
		!IsA(relation, Const))
		return NIL;
	operator = get_opfamily_member(request->opfamily, type, element_type, BTEqualStrategyNumber);
	if (!OidIsValid(operator) || !support_few(request, args))
		return NIL;
	array = support_granted(operation, relation, element_type);
	if (array == NULL)
		return NIL;
	if (exprType(subject) != type)
		subject = (Node *) makeRelabelType((Expr *) subject, type, -1, request->indexcollation,
										   COERCE_IMPLICIT_CAST);

	condition = makeNode(ScalarArrayOpExpr);
	condition->opno = operator;
	condition->opfuncid = get_opcode(operator);
	condition->useOr = true;
	condition->inputcollid = request->indexcollation;
	condition->args = list_make2(subject, array);
	condition->location = -1;

	/* the function itself still judges each row */
	request->lossy = true;
	return list_make1(condition);
}

static Node *
support_answer(Node *raw, const char *operation)
{
	if (shared_state == NULL)
		return NULL;			/* the function will say what is missing */
	statement_track(cursor_check);

	if (IsA(raw, SupportRequestSelectivity))
	{
		SupportRequestSelectivity *request = (SupportRequestSelectivity *) raw;

		if (request->is_join)
			return NULL;
		request->selectivity = support_selectivity(request->root, request->args, request->varRelid);
		return raw;
	}
	if (IsA(raw, SupportRequestCost))
	{
		SupportRequestCost *request = (SupportRequestCost *) raw;

		request->startup = 0;
		request->per_tuple = SUPPORT_LOOKUP_COST * cpu_operator_cost;
		return raw;
	}
	if (IsA(raw, SupportRequestIndexCondition))
		return (Node *) support_index_condition((SupportRequestIndexCondition *) raw, operation);
	return NULL;
}

PG_FUNCTION_INFO_V1(medchain_may_query_support);

Datum
medchain_may_query_support(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(support_answer((Node *) PG_GETARG_POINTER(0), "query"));
}

PG_FUNCTION_INFO_V1(medchain_may_update_support);

Datum
medchain_may_update_support(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(support_answer((Node *) PG_GETARG_POINTER(0), "update"));
}
