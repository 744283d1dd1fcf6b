/*
 * read_filter.c: rows that a scan's filter may tell of, and does not let pass, are read, too.
 *
 * A condition may call a function that keeps what it gets, or passes it on: set_config(), one that
 * writes, one of somebody's own.  So with such conditions a row counts as read as soon as row
 * security, and what stands in front of them, has let it pass, whatever becomes of it then.
 * PostgreSQL's own functions that are not volatile keep nothing, nor do those in C that a superuser
 * has made; with these alone the rows are read that pass.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "utils/syscache.h"

#include "access/read_filter.h"

typedef struct ReadFilter
{
	ExprState  *before;			/* conditions in front of the first one that may tell; or NULL */
	ExprState  *telling;		/* it, and the others */
	void		(*found) (void *arg);
	void	   *arg;
} ReadFilter;

/* ----- which conditions ----- */

static bool
filter_is_ours(Oid schema)
{
	return schema == get_namespace_oid("medchain", true) ||
		schema == get_namespace_oid("medchain_internal", true);
}

/* check_function_callback */
static bool
filter_tells(Oid function, void *arg)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc known;
	bool		tells = true;

	if (!HeapTupleIsValid(tuple))
		return true;
	known = (Form_pg_proc) GETSTRUCT(tuple);
	if (known->prolang == ClanguageId && filter_is_ours(known->pronamespace))
		tells = false;
	else if (known->provolatile != PROVOLATILE_VOLATILE)
		tells = function >= FirstNormalObjectId && known->prolang != ClanguageId &&
			known->prolang != INTERNALlanguageId;
	ReleaseSysCache(tuple);
	return tells;
}

/* check_function_callback */
static bool
filter_asks(Oid function, void *arg)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Form_pg_proc known;
	bool		asks;

	if (!HeapTupleIsValid(tuple))
		return false;
	known = (Form_pg_proc) GETSTRUCT(tuple);
	asks = strncmp(NameStr(known->proname), "may_", 4) == 0 && filter_is_ours(known->pronamespace);
	ReleaseSysCache(tuple);
	return asks;
}

static bool
filter_asks_walker(Node *node, void *arg)
{
	if (node == NULL)
		return false;
	return check_functions_in_node(node, filter_asks, arg) ||
		expression_tree_walker(node, filter_asks_walker, arg);
}

/* A query that gets something of the row may do with it what it likes; so may a domain's check. */
static bool
filter_tells_walker(Node *node, void *arg)
{
	if (node == NULL)
		return false;
	if (IsA(node, SubPlan) && ((SubPlan *) node)->parParam != NIL)
		return true;
	if (IsA(node, AlternativeSubPlan) || IsA(node, CoerceToDomain))
		return true;
	return check_functions_in_node(node, filter_tells, arg) ||
		expression_tree_walker(node, filter_tells_walker, arg);
}

/*
 * How many conditions are evaluated before one that may tell.  Row security's are first of
 * all, among them those of policies that the table's owner has added.
 */
static int
filter_quiet(const List *conditions, bool guarded)
{
	int			length = list_length(conditions);
	int			first = 0;

	while (guarded && first < length && !filter_asks_walker(list_nth(conditions, first), NULL))
		first++;
	if (!guarded || first == length)
		first = 0;
	while (first < length && !filter_tells_walker(list_nth(conditions, first), NULL))
		first++;
	return first;
}

/* ----- the filter ----- */

/* ExprStateEvalFunc */
static Datum
filter_row(ExprState * state, ExprContext * context, bool *is_null)
{
	ReadFilter *filter = state->evalfunc_private;

	*is_null = false;
	if (!ExecQual(filter->before, context))
		return BoolGetDatum(false);
	filter->found(filter->arg);
	return BoolGetDatum(ExecQual(filter->telling, context));
}

bool
read_filter_watch(ScanState * state, bool guarded, void (*found) (void *arg), void *arg)
{
	List	   *conditions = state->ps.plan->qual;
	int			quiet = filter_quiet(conditions, guarded);
	ReadFilter *filter;
	ExprState  *both;

	if (quiet == list_length(conditions))
		return false;
	filter = palloc0(sizeof(ReadFilter));
	filter->before = ExecInitQual(list_truncate(list_copy(conditions), quiet), &state->ps);
	filter->telling = ExecInitQual(list_copy_tail(conditions, quiet), &state->ps);
	filter->found = found;
	filter->arg = arg;
	both = makeNode(ExprState);
	both->flags = EEO_FLAG_IS_QUAL;
	both->parent = &state->ps;
	both->evalfunc = filter_row;
	both->evalfunc_private = filter;
	state->ps.qual = both;
	return true;
}
