/*
 * heirs.c: what a query of a table may read in those that inherit from it.
 *
 * PostgreSQL asks the policies of the table that a query names, and not those of its heirs.  Where
 * both are protected, that is as it should be: the same question is asked.  Where the one that is
 * named is not, the rows of an heir would be open to whoever may read that one.  So the planner,
 * when it comes to such an heir, refuses the query of a user to whom the heir's policies apply.
 * There is no place where it could ask them instead.
 */
#include "postgres.h"

#include "access/table.h"
#include "miscadmin.h"
#include "nodes/pathnodes.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"

#include "access/heirs.h"
#include "compat.h"
#include "rows/row_table.h"

static compat_rel_hook_type previous_hook = NULL;

static bool
heirs_protected(Oid oid)
{
	Relation	relation = table_open(oid, NoLock);
	const RowTable *table = row_table_get(relation);

	table_close(relation, NoLock);
	return table != NULL && table->subject != InvalidAttrNumber;
}

/* Of the rows of an heir that are to be read by way of another table. */
static void
heirs_check(PlannerInfo *root, RelOptInfo *rel)
{
	Oid			heir = planner_rt_fetch(rel->relid, root)->relid;
	RangeTblEntry *named = planner_rt_fetch(root->append_rel_array[rel->relid]->parent_relid, root);

	/* partitions are part of the table itself; what inherits from one that is protected is, too */
	if (named->rtekind != RTE_RELATION || get_rel_relispartition(heir) ||
		!heirs_protected(heir) || heirs_protected(named->relid))
		return;
	/* what is planned for one role is not for another */
	root->glob->dependsOnRole = true;
	if (check_enable_rls(heir, compat_check_as_user(root, named), true) != RLS_ENABLED)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("table \"%s\" is protected, and \"%s\", from which it inherits, is not",
					get_rel_name(heir), get_rel_name(named->relid)),
			 errdetail("Queries of the latter would pass by the protection of the former."),
			 errhint("Name table \"%s\" itself, or read ONLY \"%s\".",
					 get_rel_name(heir), get_rel_name(named->relid))));
}

static void
heirs_planned(COMPAT_REL_HOOK_PARAMETERS)
{
	if (previous_hook)
		previous_hook(COMPAT_REL_HOOK_ARGUMENTS);
	if (rel->reloptkind == RELOPT_OTHER_MEMBER_REL &&
		planner_rt_fetch(rel->relid, root)->rtekind == RTE_RELATION)
		heirs_check(root, rel);
}

void
heirs_install(void)
{
	previous_hook = compat_rel_hook;
	compat_rel_hook = heirs_planned;
}
