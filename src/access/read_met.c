/*
 * read_met.c: rows that INSERT ... ON CONFLICT DO UPDATE meets are read, too.
 *
 * They come out of no scan, and need not end in a change: its WHERE, and the values that it sets,
 * may tell of them what they like.  So when such a query is planned its WHERE begins with a call
 * that is told whose row has been met.  Row security has been asked by then.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "nodes/makefuncs.h"
#include "optimizer/planner.h"
#include "parser/parse_func.h"
#include "parser/parsetree.h"
#include "utils/rel.h"

#include "access/protection.h"
#include "access/read_audit.h"
#include "access/read_met.h"
#include "access/read_scan.h"
#include "compat.h"

static planner_hook_type previous_hook = NULL;

/* ----- planning ----- */

/*
 * Nobody can write such a call, whose form the parser has for its own functions alone: so nobody
 * puts subjects into a record whom he has not met.
 */
static Node *
met_call(Relation relation, AttrNumber subject, int varno)
{
	Oid			types[2] = {ANYELEMENTOID, REGCLASSOID};
	Form_pg_attribute column = TupleDescAttr(RelationGetDescr(relation), subject - 1);
	Oid			function = LookupFuncName(list_make2(makeString("medchain_internal"),
													 makeString("read_met")), 2, types, true);
	Var		   *var;
	Const	   *table;

	if (!OidIsValid(function))
		return NULL;
	var = makeVar(varno, subject, column->atttypid, column->atttypmod, column->attcollation, 0);
	table = makeConst(REGCLASSOID, -1, InvalidOid, sizeof(Oid),
					  ObjectIdGetDatum(RelationGetRelid(relation)), false, true);
	return (Node *) makeFuncExpr(function, BOOLOID, list_make2(var, table), InvalidOid, InvalidOid,
								 COERCE_SQL_SYNTAX);
}

static void
met_query(Query * query)
{
	Relation	relation;
	AttrNumber	subject;
	Node	   *call;

	if (query->commandType != CMD_INSERT || query->onConflict == NULL ||
		query->onConflict->action != ONCONFLICT_UPDATE)
		return;
	relation = table_open(rt_fetch(query->resultRelation, query->rtable)->relid, NoLock);
	subject = read_scan_subject(RelationGetRelid(relation));
	call = subject == 0 ? NULL : met_call(relation, subject, query->resultRelation);
	if (call != NULL && query->onConflict->onConflictWhere == NULL)
		query->onConflict->onConflictWhere = call;
	else if (call != NULL)
	{
		/* first of all, whatever the rest costs */
		CaseExpr   *choice = makeNode(CaseExpr);
		CaseWhen   *when = makeNode(CaseWhen);

		when->expr = (Expr *) call;
		when->result = (Expr *) query->onConflict->onConflictWhere;
		when->location = -1;
		choice->casetype = BOOLOID;
		choice->args = list_make1(when);
		choice->defresult = (Expr *) makeBoolConst(false, false);
		choice->location = -1;
		query->onConflict->onConflictWhere = (Node *) choice;
	}
	table_close(relation, NoLock);
}

/* planner_hook */
static PlannedStmt *
met_plan(COMPAT_PLANNER_PARAMETERS)
{
	ListCell   *cell;

	met_query(parse);
	/* what changes rows stands in WITH of the outermost query, or nowhere */
	foreach(cell, parse->cteList)
	{
		Node	   *part = lfirst_node(CommonTableExpr, cell)->ctequery;

		if (IsA(part, Query))
			met_query((Query *) part);
	}
	return previous_hook ? previous_hook(COMPAT_PLANNER_ARGUMENTS) :
		standard_planner(COMPAT_PLANNER_ARGUMENTS);
}

void
read_met_install(void)
{
	previous_hook = planner_hook;
	planner_hook = met_plan;
}

/* ----- what it calls ----- */

typedef struct MetRow
{
	ReadColumn	column;
	TupleTableSlot *slot;		/* with that column alone */
} MetRow;

static MetRow *
met_row(FmgrInfo *function, bool padded)
{
	MemoryContext old = MemoryContextSwitchTo(function->fn_mcxt);
	MetRow	   *row = palloc(sizeof(MetRow));
	Oid			type = get_fn_expr_argtype(function, 0);
	TupleDesc	desc = CreateTemplateTupleDesc(1);

	TupleDescInitEntry(desc, 1, "subject", type, -1, 0);
	row->slot = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);
	read_column_init(&row->column, type, 1, padded);
	MemoryContextSwitchTo(old);
	function->fn_extra = row;
	return row;
}

PG_FUNCTION_INFO_V1(medchain_read_met);

/* read_met(subject anyelement, relation regclass) -> boolean */
Datum
medchain_read_met(PG_FUNCTION_ARGS)
{
	const FuncExpr *call = (const FuncExpr *) fcinfo->flinfo->fn_expr;
	const Protection *table = call != NULL && IsA(call, FuncExpr) &&
	call->funcformat == COERCE_SQL_SYNTAX ? protection_of(PG_GETARG_OID(1)) : NULL;
	MetRow	   *row = fcinfo->flinfo->fn_extra;

	if (table == NULL)
		PG_RETURN_BOOL(true);
	if (row == NULL)
		row = met_row(fcinfo->flinfo, table->padded);
	ExecClearTuple(row->slot);
	row->slot->tts_values[0] = PG_GETARG_DATUM(0);
	row->slot->tts_isnull[0] = PG_ARGISNULL(0);
	ExecStoreVirtualTuple(row->slot);
	read_audit_met(fcinfo->flinfo->fn_mcxt, table->root, &row->column, row->slot);
	PG_RETURN_BOOL(true);
}
