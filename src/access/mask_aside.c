/*
 * mask_aside.c: which conditions of a query are of row security.
 *
 * Where columns are not granted (column_mask.c), the conditions of row security see them
 * nevertheless, so they are set aside meanwhile.  What stands beside them in the same lists is of
 * views through which a table is changed, which anybody makes: it stays, and sees what the rest of
 * the query does.
 */
#include "postgres.h"

#include "access/table.h"
#include "nodes/parsenodes.h"
#include "rewrite/rewriteHandler.h"
#include "utils/rel.h"

#include "access/mask_aside.h"

/*
 * Of the conditions of a table that is changed through views with security_barrier, the last ones
 * are theirs, one each: the rewriter puts those of row security in front.
 */
static int
mask_view_conditions(const Query * query)
{
	int			count = 0;
	ListCell   *cell;

	foreach(cell, query->rtable)
	{
		const RangeTblEntry *entry = lfirst_node(RangeTblEntry, cell);
		Relation	view;

		if (entry->rtekind != RTE_RELATION || entry->relkind != RELKIND_VIEW)
			continue;
		view = table_open(entry->relid, NoLock);
		if (RelationIsSecurityView(view) && get_view_query(view)->jointree->quals != NULL)
			count++;
		table_close(view, NoLock);
	}
	return count;
}

List *
mask_aside(Query * query, int masked, List **options)
{
	List	   *conditions = NIL;
	List	   *views = NIL;
	ListCell   *cell;
	int			varno = 0;

	foreach(cell, query->rtable)
	{
		RangeTblEntry *entry = lfirst_node(RangeTblEntry, cell);
		List	   *own = list_copy(entry->securityQuals);

		entry->securityQuals = NIL;
		if (++varno == masked && varno == query->resultRelation)
		{
			int			count = Max(list_length(own) - mask_view_conditions(query), 0);

			entry->securityQuals = list_copy_tail(own, count);
			own = list_truncate(own, count);
		}
		conditions = lappend(conditions, own);
	}
	*options = NIL;
	foreach(cell, query->withCheckOptions)
	{
		WithCheckOption *option = lfirst_node(WithCheckOption, cell);

		if (option->kind == WCO_VIEW_CHECK)
			views = lappend(views, option);
		else
			*options = lappend(*options, option);
	}
	query->withCheckOptions = views;
	return conditions;
}
