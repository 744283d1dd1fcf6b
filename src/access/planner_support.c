/*
 * planner_support.c: tells the planner what may_query() and may_update() mean.
 *
 * A policy's function is opaque to the planner.  Its support function offers
 * "subject = ANY (medchain.granted_subjects(...))" as an index condition, and says how
 * many rows will pass and what asking costs (PostgreSQL documentation, "Function
 * Optimization Information").
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
#include "parser/parse_func.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"

#include "access/cursor.h"
#include "access/grant_cache.h"
#include "access/statement.h"
#include "node/shared.h"

/*
 * An index scan for each granted subject pays off up to about here; beyond, one pass with a hash
 * lookup per row does.
 */
#define SUPPORT_SUBJECTS_MAX 2000

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

/* medchain.granted_subjects(operation, relation) */
static Expr *
support_granted_subjects(const char *operation, Node *relation)
{
	Oid			types[2] = {TEXTOID, REGCLASSOID};
	Oid			function = LookupFuncName(list_make2(makeString("medchain"),
													 makeString("granted_subjects")),
										  2, types, true);

	if (!OidIsValid(function))
		return NULL;
	return (Expr *) makeFuncExpr(function, TEXTARRAYOID,
								 list_make2(makeConst(TEXTOID, -1, DEFAULT_COLLATION_OID, -1,
													CStringGetTextDatum(operation), false, false),
											relation),
								 InvalidOid, DEFAULT_COLLATION_OID, COERCE_EXPLICIT_CALL);
}

static List *
support_index_condition(SupportRequestIndexCondition *request, const char *operation)
{
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
	if (request->index->relam != BTREE_AM_OID || request->opfamily != TEXT_BTREE_FAM_OID ||
		!IsA(relation, Const) || grant_cache_estimate() > SUPPORT_SUBJECTS_MAX)
		return NIL;
	if (exprType(subject) != TEXTOID)
		subject = (Node *) makeRelabelType((Expr *) subject, TEXTOID, -1, request->indexcollation,
										   COERCE_IMPLICIT_CAST);
	array = support_granted_subjects(operation, relation);
	operator = get_opfamily_member(request->opfamily, TEXTOID, TEXTOID, BTEqualStrategyNumber);
	if (array == NULL || !OidIsValid(operator))
		return NIL;

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
