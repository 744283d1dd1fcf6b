/*
 * row_expression.c: an expression of the catalogue as text, without touching its table.
 *
 * pg_get_expr() and pg_get_triggerdef() open the table whose columns an expression names, and so
 * wait for whoever alters it.  Two sessions that alter one partition each would wait for one
 * another when both describe the whole table.  The text here is to be compared, not to be run:
 * columns stand in it as constants with their names.  (Tables that a subquery names are opened all
 * the same.)
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"

typedef struct ExpressionContext
{
	Oid			relation;
	Index		depth;			/* of subqueries around the node */
} ExpressionContext;

static Node *
expression_column(Var *column, Oid relation)
{
	char	   *name = column->varattno == 0 ? "*" : get_attname(relation, column->varattno, true);

	/* a trigger's condition knows two rows, the old as 1, the new as 2 */
	return (Node *) makeConst(TEXTOID, -1, DEFAULT_COLLATION_OID, -1,
							  CStringGetTextDatum(psprintf("%d.%s", (int) column->varno,
														   name ? name : "?")),
							  false, false);
}

static Node *
expression_without_columns(Node *node, ExpressionContext *context)
{
	Node	   *result;

	if (node == NULL)
		return NULL;
	if (IsA(node, Var) && ((Var *) node)->varlevelsup == context->depth)
		return expression_column((Var *) node, context->relation);
	if (!IsA(node, Query))
		return expression_tree_mutator(node, expression_without_columns, context);
	context->depth++;
	result = (Node *) query_tree_mutator((Query *) node, expression_without_columns, context, 0);
	context->depth--;
	return result;
}

PG_FUNCTION_INFO_V1(medchain_row_expression);

/* row_expression(tree pg_node_tree, relation regclass) -> text */
Datum
medchain_row_expression(PG_FUNCTION_ARGS)
{
	ExpressionContext context = {.relation = PG_GETARG_OID(1)};
	Node	   *node = stringToNode(text_to_cstring(PG_GETARG_TEXT_PP(0)));

	node = expression_without_columns(node, &context);
	PG_RETURN_TEXT_P(cstring_to_text(deparse_expression(node, NIL, false, false)));
}
