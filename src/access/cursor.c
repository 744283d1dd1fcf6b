/*
 * cursor.c: a revocation binds the next FETCH of an open cursor as well.
 *
 * Where a plan hands out each row as soon as the policy let it pass, the next
 * FETCH asks the policy anew and nothing has to be done here.  But a plan that
 * sorts, hashes or materialises has read its input at the first FETCH, and
 * would go on handing out rows whose grant is gone.  There is no way to ask again
 * for those, so such a cursor ends with an error once any grant of the member
 * was withdrawn or has run out, or the session states another purpose than that for which
 * the rows were read.  (A cursor WITH HOLD that was stored at commit is
 * a finished result, as if the client had fetched it all.)
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "lib/ilist.h"
#include "nodes/plannodes.h"
#include "parser/parse_func.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "access/cursor.h"
#include "access/grant_cache.h"
#include "node/settings.h"
#include "node/shared.h"

/* A query of a protected table that was run in part; lives, and dies, in its executor context. */
typedef struct OpenQuery
{
	dlist_node	link;
	QueryDesc  *query;
	uint64		withdrawals;	/* grant_cache_withdrawals() that it accounts for */
	uint64		purposes;		/* setting_purpose_changes, the same */
	char	   *purpose;		/* for which its rows were read */
	MemoryContextCallback closed;
} OpenQuery;

static dlist_head open_queries = DLIST_STATIC_INIT(open_queries);

static void
cursor_closed(void *arg)
{
	OpenQuery  *open = (OpenQuery *) arg;

	dlist_delete(&open->link);
	grant_cache_unwatch();
}

static OpenQuery *
cursor_find(QueryDesc *query)
{
	dlist_iter	iter;

	dlist_foreach(iter, &open_queries)
	{
		OpenQuery  *open = dlist_container(OpenQuery, link, iter.cur);

		if (open->query == query)
			return open;
	}
	return NULL;
}

static void
cursor_opened(QueryDesc *query)
{
	OpenQuery  *open = MemoryContextAllocZero(query->estate->es_query_cxt, sizeof(OpenQuery));

	open->query = query;
	grant_cache_watch();
	dlist_push_tail(&open_queries, &open->link);
	open->closed.func = cursor_closed;
	open->closed.arg = open;
	MemoryContextRegisterResetCallback(query->estate->es_query_cxt, &open->closed);

	/* from here on: what is withdrawn before the rows are read concerns nobody */
	open->withdrawals = grant_cache_withdrawals();
	open->purpose = MemoryContextStrdup(query->estate->es_query_cxt, setting_purpose);
	open->purposes = setting_purpose_changes;
}

/* Does the session state another purpose than that for which some of its rows may be open? */
static bool
cursor_purpose_is_gone(OpenQuery *open)
{
	bool		gone;

	if (open->purposes == setting_purpose_changes)
		return false;
	open->purposes = setting_purpose_changes;
	if (strcmp(open->purpose, setting_purpose) == 0)
		return false;
	gone = grant_cache_needs(open->purpose);
	open->purpose = MemoryContextStrdup(open->query->estate->es_query_cxt, setting_purpose);
	return gone;
}

/*
 * Does the policy of a protected table take part in this plan?  The planner notes every function
 * that a plan calls, so that it can be thrown away when the function changes.
 * (PlannedStmt.dependsOnRole is about foreign joins, and says nothing about row security.)
 */
static bool
cursor_asks_policy(PlannedStmt *statement)
{
	static const Oid subject_types[] = {TEXTOID, ANYELEMENTOID};
	ListCell   *lc;

	if (statement->invalItems == NIL)
		return false;
	for (size_t i = 0; i < lengthof(subject_types); i++)
	{
		Oid			types[2] = {subject_types[i], REGCLASSOID};
		Oid			function = LookupFuncName(list_make2(makeString("medchain"),
														 makeString("may_query")), 2, types, true);
		uint32		hash;

		if (!OidIsValid(function))
			continue;
		hash = GetSysCacheHashValue1(PROCOID, ObjectIdGetDatum(function));
		foreach(lc, statement->invalItems)
		{
			PlanInvalItem *item = lfirst_node(PlanInvalItem, lc);

			if (item->cacheId == PROCOID && item->hashValue == hash)
				return true;
		}
	}
	return false;
}

/*
 * Can this plan hand out a row that it read in an earlier run?  Scans, and what
 * passes their rows on one by one, can't; everything else is taken to.
 */
static bool
cursor_holds_rows(Plan *plan)
{
	List	   *children = NIL;
	ListCell   *lc;

	if (plan == NULL)
		return false;
	if (plan->initPlan != NIL)
		return true;

	switch (nodeTag(plan))
	{
		case T_SeqScan:
		case T_SampleScan:
		case T_IndexScan:
		case T_IndexOnlyScan:
		case T_BitmapHeapScan:	/* what is below it are row addresses, no rows */
		case T_TidScan:
		case T_TidRangeScan:
			return false;
		case T_Result:
		case T_Limit:
		case T_LockRows:
			return cursor_holds_rows(plan->lefttree);
		case T_SubqueryScan:
			return cursor_holds_rows(((SubqueryScan *) plan)->subplan);
		case T_Append:
			children = ((Append *) plan)->appendplans;
			break;
		default:
			return true;
	}
	foreach(lc, children)
	{
		if (cursor_holds_rows((Plan *) lfirst(lc)))
			return true;
	}
	return false;
}

void
cursor_check(QueryDesc *query, bool partial)
{
	OpenQuery  *open;
	uint64		withdrawals;
	bool		gone;

	if (query->operation != CMD_SELECT || shared_state == NULL)
		return;

	open = cursor_find(query);
	if (open == NULL)
	{
		if (partial && !query->already_executed && cursor_asks_policy(query->plannedstmt))
			cursor_opened(query);
		return;
	}

	withdrawals = grant_cache_withdrawals();
	gone = cursor_purpose_is_gone(open);
	if (withdrawals == open->withdrawals && !gone)
		return;
	if (query->plannedstmt->subplans != NIL || cursor_holds_rows(query->plannedstmt->planTree))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("access was withdrawn while this cursor was open"),
				 gone ? errdetail("The cursor holds rows that were read for another purpose "
								  "(medchain.purpose).") :
				 errdetail("The cursor holds rows that were read under grants of which some are "
						   "not valid any more."),
				 errhint("Run the query again.")));
	open->withdrawals = withdrawals;
}
