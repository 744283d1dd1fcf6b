/*
 * planner_support.c: tells the planner what may_query() and may_update() mean.
 *
 * A policy's function is opaque to the planner.  Its support function offers
 * "subject = ANY (medchain_internal.granted_subjects_as(...))" as an index condition, and says how
 * many rows will pass and what asking costs (PostgreSQL documentation, "Function Optimization
 * Information").
 *
 * Of an array that it does not know the planner thinks that it has ten elements.  So what a search
 * for each of the member's subjects costs beyond that is said to be the cost of making the array,
 * and the planner compares with its other plans: up to how many subjects the index is better
 * depends on the table, and there is no limit of our own.
 */
#include "postgres.h"

#include <math.h>

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
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/paths.h"
#include "parser/parse_func.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/selfuncs.h"
#include "utils/spccache.h"

#include "access/cursor.h"
#include "access/grant_cache.h"
#include "access/statement.h"
#include "node/shared.h"

/* More than these are nothing to be gone through again for each row of an outer relation. */
#define SUPPORT_SUBJECTS_AGAIN 100

/* A lookup in the hash of grants, and making an element of an array, by cpu_operator_cost. */
#define SUPPORT_LOOKUP_COST 4.0
#define SUPPORT_ELEMENT_COST 8.0

/* Processing a page of an index, likewise: DEFAULT_PAGE_CPU_MULTIPLIER of selfuncs.c. */
#define SUPPORT_PAGE_COST 50.0

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

/* Of so many pages, some, in their order: cost_bitmap_heap_scan() of costsize.c. */
static Cost
support_pages_cost(Oid tablespace, double some, double all)
{
	double		random;
	double		sequential;

	all = Max(all, 1.0);
	some = Min(some, all);
	get_tablespace_page_costs(tablespace, &random, &sequential);
	return some * (random - (random - sequential) * sqrt(some / all));
}

/*
 * What it costs to ask the index for each of the member's subjects, and to fetch their rows, in the
 * order in which they lie, as far as that is known.
 */
static Cost
support_search_cost(PlannerInfo *root, IndexOptInfo *index, List *args)
{
	RelOptInfo *rel = index->rel;
	double		granted = grant_cache_estimate();
	double		rows = support_selectivity(root, args, (int) rel->relid) * rel->tuples;
	double		pages = index_pages_fetched(rows, rel->pages, (double) index->pages, root);
	Cost		descent = ceil(log(Max(index->tuples, 2.0)) / log(2.0)) * cpu_operator_cost +
	(Max(index->tree_height, 0) + 1) * SUPPORT_PAGE_COST * cpu_operator_cost;

	return granted * (descent + SUPPORT_ELEMENT_COST * cpu_operator_cost) +
		support_pages_cost(index->reltablespace, granted, (double) index->pages) +
		support_pages_cost(rel->reltablespace, pages, (double) rel->pages) +
		rows * (cpu_index_tuple_cost + cpu_tuple_cost);
}

/*
 * medchain_internal.granted_subjects_as(operation, relation, null of the type, cost).  It is
 * volatile, or the planner would evaluate it for its estimates, and have all grants loaded for a
 * query that reads one row.
 */
static Expr *
support_granted(const char *operation, Node *relation, Oid element_type, Cost cost)
{
	Oid			types[4] = {TEXTOID, REGCLASSOID, ANYELEMENTOID, INT8OID};
	Oid			function = LookupFuncName(list_make2(makeString("medchain_internal"),
													 makeString("granted_subjects_as")),
										  4, types, true);
	Oid			collation = get_typcollation(element_type);

	if (!OidIsValid(function))
		return NULL;
	return (Expr *) makeFuncExpr(function, get_array_type(element_type),
								 list_make4(makeConst(TEXTOID, -1, DEFAULT_COLLATION_OID, -1,
													CStringGetTextDatum(operation), false, false),
											relation, makeNullConst(element_type, -1, collation),
											makeConst(INT8OID, -1, InvalidOid, sizeof(int64),
													Int64GetDatum((int64) Min(cost, 1e15)), false,
													  FLOAT8PASSBYVAL)),
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
	if (!OidIsValid(operator) ||
		(grant_cache_estimate() > SUPPORT_SUBJECTS_AGAIN && support_is_known(request)))
		return NIL;
	array = support_granted(operation, relation, element_type,
							support_search_cost(request->root, request->index, args));
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

PG_FUNCTION_INFO_V1(medchain_granted_subjects_support);

/* granted_subjects_support(internal) -> internal: its last argument is what it costs */
Datum
medchain_granted_subjects_support(PG_FUNCTION_ARGS)
{
	Node	   *raw = (Node *) PG_GETARG_POINTER(0);
	SupportRequestCost *request = (SupportRequestCost *) raw;
	Node	   *cost;

	if (!IsA(raw, SupportRequestCost) || request->node == NULL || !is_funcclause(request->node))
		PG_RETURN_POINTER(NULL);
	cost = llast(((FuncExpr *) request->node)->args);
	if (!IsA(cost, Const) || ((Const *) cost)->constisnull)
		PG_RETURN_POINTER(NULL);
	request->startup = (Cost) DatumGetInt64(((Const *) cost)->constvalue);
	request->per_tuple = 0;
	PG_RETURN_POINTER(raw);
}
