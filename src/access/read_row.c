/*
 * read_row.c: where the row is that a scan is at, and the scans of rows that are looked at again.
 *
 * UPDATE, DELETE, MERGE and FOR UPDATE that meet a row which somebody else has just changed run
 * their plan for it once more (EvalPlanQual): a second tree of nodes, with subqueries of its own,
 * which may read other rows than the first.  PostgreSQL makes it when it needs it, and tells
 * nobody; so it is made before that, and is watched as the first one.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "parser/parsetree.h"

#include "access/read_row.h"

Oid
read_row_named(const PlannedStmt *statement, Index index)
{
	Oid			named = InvalidOid;

	/* a table stands in front of its heirs: the way up is one from the end */
	for (int i = list_length(statement->appendRelations) - 1; i >= 0; i--)
	{
		const AppendRelInfo *heir = list_nth(statement->appendRelations, i);
		const RangeTblEntry *parent = rt_fetch(heir->parent_relid, statement->rtable);

		/* the parent of a part of UNION ALL is no table */
		if (heir->child_relid == index && parent->rtekind == RTE_RELATION)
		{
			index = heir->parent_relid;
			named = parent->relid;
		}
	}
	return named;
}

AttrNumber
read_row_indexed(const IndexOnlyScan * plan, AttrNumber attribute)
{
	ListCell   *cell;

	foreach(cell, plan->indextlist)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, cell);

		if (!entry->resjunk && IsA(entry->expr, Var) &&
			((Var *) entry->expr)->varattno == attribute)
			return entry->resno;
	}
	return 0;
}

/* A row that is looked at again is put in the scan's place: it comes out of none. */
TupleTableSlot *
read_row_at(PlanState * node, TupleTableSlot *slot)
{
	if (node->state->es_epq_active == NULL)
		return ((ScanState *) node)->ss_ScanTupleSlot;
	if (node->qual == NULL && node->ps_ProjInfo == NULL)
		return slot;
	return node->ps_ExprContext->ecxt_scantuple;
}

void
read_row_again(PlanState * node, bool (*walk) (PlanState * node, void *arg), void *arg)
{
	EPQState   *again = IsA(node, LockRowsState) ? &((LockRowsState *) node)->lr_epqstate :
	&((ModifyTableState *) node)->mt_epqstate;
	ListCell   *cell;

	if (node->state->es_epq_active != NULL || again->plan == NULL ||
		(IsA(node, ModifyTableState) && ((ModifyTableState *) node)->operation == CMD_INSERT))
		return;
	EvalPlanQualBegin(again);
	(void) walk(again->recheckplanstate, arg);
	foreach(cell, again->recheckestate->es_subplanstates)
	{
		if (lfirst(cell) != NULL)
			(void) walk(lfirst(cell), arg);
	}
}
