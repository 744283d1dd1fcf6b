/*
 * read_scan.c: watching the scans of protected tables.
 *
 * What is read of a table comes out of its scan nodes, after their filter (but see read_filter.c)
 * and before anything else is done with it: aggregates, joins and limits are above.  So the
 * function that each of them is called by is replaced by one that calls it, and looks at the row
 * that it has found: the whole row, whatever the node makes of it.  Rows that INSERT ... ON
 * CONFLICT meets come out of no scan: see read_met.c.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/parallel.h"
#include "access/relscan.h"
#include "access/transam.h"
#include "commands/extension.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/rls.h"

#include "access/protection.h"
#include "access/read_filter.h"
#include "access/read_row.h"
#include "access/read_scan.h"
#include "compat.h"

typedef struct ReadScan
{
	PlanState  *node;			/* hash key */
	ExecProcNodeMtd next;
	ReadQuery  *query;
	ReadTable  *table;
	Oid			relation;		/* whose rows the column is of */
	ReadColumn	column;
	bool		fetch;			/* the subject is not in the index: the row has to be fetched */
	bool		filtered;		/* its filter counts the rows: see read_filter.c */
	struct ReadScan *outer;		/* while it looks for a row: the one that does so for which it is */
} ReadScan;

static HTAB *scans = NULL;
static ReadScan *last = NULL;	/* the one that was called last */
static ReadScan *active = NULL; /* the innermost that is at work */
static bool looking = false;

/* ----- which ones ----- */

/* What is known of it, if it is protected; in a query of our own for that, nothing is. */
static const Protection *
scan_table(Relation relation)
{
	const Protection *volatile table = NULL;

	if (!relation->rd_rel->relrowsecurity && !relation->rd_rel->relhastriggers)
		return NULL;
	looking = true;
	PG_TRY();
	{
		table = protection_get(relation);
	}
	PG_FINALLY();
	{
		looking = false;
	}
	PG_END_TRY();
	return table;
}

AttrNumber
read_scan_subject(Oid oid)
{
	Relation	relation;
	const Protection *known;

	if (oid < FirstNormalObjectId || looking || creating_extension || IsBinaryUpgrade)
		return 0;
	relation = RelationIdGetRelation(oid);
	if (relation == NULL)
		return 0;
	known = scan_table(relation);
	RelationClose(relation);
	return known != NULL ? known->subject : 0;
}

bool
read_scan_protected(Oid oid)
{
	return read_scan_subject(oid) != 0;
}

bool
read_scan_concerned(const PlannedStmt *statement)
{
	ListCell   *cell;

	foreach(cell, statement->rtable)
	{
		RangeTblEntry *entry = lfirst_node(RangeTblEntry, cell);

		if (entry->rtekind == RTE_RELATION && entry->relkind == RELKIND_RELATION &&
			read_scan_protected(entry->relid))
			return true;
	}
	return false;
}

/*
 * Whose policies are asked for rows of this table, which is protected: an heir's are read by those
 * of the table that the query names, so that what this one grants is what it was decided on.
 */
static const Protection *
scan_asked(const ReadQuery *read, Index index, Relation relation, const Protection *own)
{
	Oid			oid = relation->rd_rel->relispartition ? InvalidOid :
	read_row_named(read->query->plannedstmt, index);
	Relation	named = OidIsValid(oid) ? RelationIdGetRelation(oid) : NULL;
	const Protection *asked;

	if (named == NULL)
		return own;
	asked = scan_table(named);
	RelationClose(named);
	return asked != NULL ? asked : own;
}

/* Does row security not apply to one by whom the table is read? */
static bool
scan_is_open(const ReadQuery *read, Oid root, Oid relation)
{
	ListCell   *cell;

	foreach(cell, read->query->plannedstmt->rtable)
	{
		RangeTblEntry *entry = lfirst_node(RangeTblEntry, cell);
		Oid			role;

		if (entry->rtekind == RTE_RELATION &&
			(entry->relid == root || entry->relid == relation) &&
			compat_executed_as(read->query->plannedstmt, entry, &role) &&
			check_enable_rls(entry->relid, role, true) != RLS_ENABLED)
			return true;
	}
	return false;
}

static ReadTable *
scan_read_table(ReadQuery *read, const Protection *known, Oid relation)
{
	MemoryContext context = read->query->estate->es_query_cxt;
	MemoryContext old;
	ReadTable  *table;
	ListCell   *cell;

	foreach(cell, read->tables)
	{
		table = lfirst(cell);
		if (table->root == known->root)
			return table;
	}
	old = MemoryContextSwitchTo(context);
	table = palloc0(sizeof(ReadTable));
	table->root = known->root;
	table->name = pstrdup(known->name);
	table->is_open = scan_is_open(read, known->root, relation);
	table->set = read_set_create(context, table->name, !table->is_open);
	read->tables = lappend(read->tables, table);
	MemoryContextSwitchTo(old);
	return table;
}

/* ----- what comes out of them ----- */

static ReadScan *
scan_find(PlanState * node)
{
	if (last == NULL || last->node != node)
		last = hash_search(scans, &node, HASH_FIND, NULL);
	Assert(last != NULL);
	return last;
}

/* The slot with the row that a scan is at; NULL: it is not there any more. */
static TupleTableSlot *
scan_row(ReadScan *scan, TupleTableSlot *slot)
{
	IndexOnlyScanState *state;

	if (!scan->fetch)
		return read_row_at(scan->node, slot);
	state = castNode(IndexOnlyScanState, scan->node);
	return index_fetch_heap(state->ioss_ScanDesc, state->ioss_TableSlot) ?
		state->ioss_TableSlot : NULL;
}

/* A row has been found.  ERROR if it cannot be seen whose it is. */
static void
scan_found(ReadScan *scan, TupleTableSlot *slot)
{
	TupleTableSlot *row = scan_row(scan, slot);

	if (row == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("a row of table \"%s\" is gone while it is read",
						get_rel_name(scan->relation)),
				 errhint("Run the query again.")));
	if (!read_set_add(scan->table->set, &scan->column, row))
		scan->query->full(scan->query);
}

static void
scan_filtered(void *scan)
{
	scan_found(scan, NULL);
}

static TupleTableSlot *
scan_next(PlanState * node)
{
	ReadScan   *scan = scan_find(node);
	TupleTableSlot *slot;

	scan->outer = active;
	active = scan;
	slot = scan->next(node);
	active = scan->outer;
	if (!TupIsNull(slot) && !scan->filtered)
		scan_found(scan, slot);
	return slot;
}

void
read_scan_midway(const ReadQuery *read)
{
	for (ReadScan *scan = active; scan != NULL; scan = scan->outer)
	{
		TupleTableSlot *row = ((ScanState *) scan->node)->ss_ScanTupleSlot;

		if (scan->query != read || TupIsNull(row))
			continue;
		row = scan_row(scan, row);
		if (row != NULL)
			(void) read_set_add(scan->table->set, &scan->column, row);
	}
}

/* Whose policies are asked of rows that are changed in that one of the node's tables. */
static const Protection *
scan_changed(const ReadScan *scan, Relation relation, const Protection *own)
{
	const		ModifyTableState *state = castNode(ModifyTableState, scan->node);

	for (int i = 0; i < state->mt_nrels; i++)
	{
		const ResultRelInfo *target = &state->resultRelInfo[i];

		if (RelationGetRelid(target->ri_RelationDesc) == RelationGetRelid(relation))
			return scan_asked(scan->query, target->ri_RangeTableIndex, relation, own);
	}
	return own;
}

/* Rows that are returned belong to one of several tables: partitions, heirs. */
static bool
scan_returned_from(ReadScan *scan, Oid oid)
{
	Relation	relation;
	const Protection *known;

	if (scan->relation == oid)
		return true;
	relation = OidIsValid(oid) ? RelationIdGetRelation(oid) : NULL;
	if (relation == NULL)
		return false;
	known = scan_table(relation);
	if (known != NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(scan->query->query->estate->es_query_cxt);

		scan->table = scan_read_table(scan->query,
									  scan_changed(scan, relation, known), oid);
		scan->relation = oid;
		read_column_init(&scan->column, TupleDescAttr(RelationGetDescr(relation),
													  known->subject - 1)->atttypid,
						 known->subject, known->padded);
		MemoryContextSwitchTo(old);
	}
	RelationClose(relation);
	return known != NULL;
}

static TupleTableSlot *
scan_returning(PlanState * node)
{
	ReadScan   *scan = scan_find(node);
	TupleTableSlot *slot = scan->next(node);
	TupleTableSlot *row = node->ps_ExprContext ? node->ps_ExprContext->ecxt_scantuple : NULL;

	if (!TupIsNull(slot) && !TupIsNull(row) && scan_returned_from(scan, row->tts_tableOid) &&
		!read_set_add(scan->table->set, &scan->column, row))
		scan->query->full(scan->query);
	return slot;
}

/* ----- putting it there ----- */

/* NULL: it is watched already, as what is used in two places is met twice. */
static ReadScan *
scan_wrap(ReadQuery *read, PlanState * node, ExecProcNodeMtd function)
{
	MemoryContext old = MemoryContextSwitchTo(read->query->estate->es_query_cxt);
	bool		found;
	ReadScan   *scan;

	if (scans == NULL)
	{
		HASHCTL		control = {0};

		control.keysize = sizeof(PlanState *);
		control.entrysize = sizeof(ReadScan);
		control.hcxt = TopMemoryContext;
		scans = hash_create("medchain watched scans", 32, &control,
							HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	scan = hash_search(scans, &node, HASH_ENTER, &found);
	if (found)
	{
		MemoryContextSwitchTo(old);
		return NULL;
	}
	read->nodes = lappend(read->nodes, node);
	memset((char *) scan + sizeof(PlanState *), 0, sizeof(ReadScan) - sizeof(PlanState *));
	scan->query = read;
	scan->next = node->ExecProcNodeReal;
	ExecSetExecProcNode(node, function);
	MemoryContextSwitchTo(old);
	return scan;
}

static void
scan_watch_relation(ReadQuery *read, ScanState * state)
{
	Relation	relation = state->ss_currentRelation;
	const Protection *known = relation ? scan_table(relation) : NULL;
	AttrNumber	attribute;
	ReadScan   *scan;
	MemoryContext old;

	if (known == NULL)
		return;
	attribute = known->subject;
	scan = scan_wrap(read, &state->ps, scan_next);
	if (scan == NULL)
		return;
	scan->relation = RelationGetRelid(relation);
	scan->table = scan_read_table(read, scan_asked(read, ((Scan *) state->ps.plan)->scanrelid,
												   relation, known), scan->relation);
	if (IsA(state, IndexOnlyScanState))
	{
		attribute = read_row_indexed((IndexOnlyScan *) state->ps.plan, attribute);
		scan->fetch = attribute == 0;
		if (scan->fetch)
			attribute = known->subject;
	}
	else if (IsA(state, BitmapHeapScanState))
		compat_read_all_rows((BitmapHeapScanState *) state);
	old = MemoryContextSwitchTo(read->query->estate->es_query_cxt);
	read_column_init(&scan->column, TupleDescAttr(RelationGetDescr(relation),
												  known->subject - 1)->atttypid,
					 attribute, known->padded);
	if (!IsA(state, CustomScanState))
		scan->filtered = read_filter_watch(state, !scan->table->is_open, scan_filtered, scan);
	MemoryContextSwitchTo(old);
}

/* Rows that it is about to change it has from scans. */
static void
scan_watch_changes(ReadQuery *read, ModifyTableState * state)
{
	ModifyTable *plan = (ModifyTable *) state->ps.plan;

	for (int i = 0; i < state->mt_nrels; i++)
	{
		Relation	relation = state->resultRelInfo[i].ri_RelationDesc;
		const Protection *known = scan_table(relation);
		ReadTable  *table;

		if (known == NULL)
			continue;
		table = scan_read_table(read, scan_asked(read, state->resultRelInfo[i].ri_RangeTableIndex,
												 relation, known), RelationGetRelid(relation));
		table->written = true;
		read_set_written(table->set);
		if (plan->returningLists != NIL && plan->operation != CMD_INSERT)
		{
			(void) scan_wrap(read, &state->ps, scan_returning);
			return;
		}
	}
}

static bool
scan_walk(PlanState * node, void *arg)
{
	switch (nodeTag(node))
	{
		case T_SeqScanState:
		case T_SampleScanState:
		case T_IndexScanState:
		case T_IndexOnlyScanState:
		case T_BitmapHeapScanState:
		case T_TidScanState:
		case T_TidRangeScanState:
		case T_CustomScanState:
			scan_watch_relation((ReadQuery *) arg, (ScanState *) node);
			break;
		case T_ModifyTableState:
			scan_watch_changes((ReadQuery *) arg, (ModifyTableState *) node);
			((ReadQuery *) arg)->again = lappend(((ReadQuery *) arg)->again, node);
			break;
		case T_LockRowsState:
			((ReadQuery *) arg)->again = lappend(((ReadQuery *) arg)->again, node);
			break;
		default:
			break;
	}
	return planstate_tree_walker(node, scan_walk, arg);
}

void
read_scan_watch(ReadQuery *read)
{
	MemoryContext old = MemoryContextSwitchTo(read->query->estate->es_query_cxt);
	bool		subqueries;
	ListCell   *cell;

	foreach(cell, read->query->estate->es_subplanstates)
	{
		if (lfirst(cell) != NULL)
			(void) scan_walk(lfirst(cell), read);
	}
	/* what is no subquery has the rows of the first time */
	subqueries = read->nodes != NIL;
	(void) scan_walk(read->query->planstate, read);
	if (!subqueries)
		read->again = NIL;
	MemoryContextSwitchTo(old);
}

void
read_scan_again(ReadQuery *read)
{
	MemoryContext old = MemoryContextSwitchTo(read->query->estate->es_query_cxt);
	List	   *nodes = read->again;
	ListCell   *cell;

	read->again = NIL;
	foreach(cell, nodes)
		read_row_again(lfirst(cell), scan_walk, read);
	read->again = NIL;
	MemoryContextSwitchTo(old);
}

void
read_scan_forget(ReadQuery *read)
{
	ReadScan  **at = &active;
	ListCell   *cell;

	/* after an error it has not returned */
	while (*at != NULL)
	{
		if ((*at)->query == read)
			*at = (*at)->outer;
		else
			at = &(*at)->outer;
	}
	foreach(cell, read->nodes)
	{
		PlanState  *node = lfirst(cell);

		(void) hash_search(scans, &node, HASH_REMOVE, NULL);
	}
	read->nodes = NIL;
	last = NULL;
}
