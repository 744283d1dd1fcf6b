/*
 * row_statement.c: noticing which statements that change rows are at work, and where they end.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/executor.h"
#include "tcop/utility.h"

#include "compat.h"
#include "rows/row_order.h"
#include "rows/row_run.h"
#include "rows/row_statement.h"

static ExecutorRun_hook_type previous_executor_run = NULL;
static ExecutorFinish_hook_type previous_executor_finish = NULL;
static ProcessUtility_hook_type previous_utility = NULL;

static bool
statement_changes_rows(const QueryDesc *query)
{
	return query->operation != CMD_SELECT || query->plannedstmt->hasModifyingCTE;
}

/* Does it do anything but adding rows? */
static bool
statement_replaces_rows(const QueryDesc *query)
{
	const Plan *plan = query->plannedstmt->planTree;

	return query->operation != CMD_INSERT || query->plannedstmt->hasModifyingCTE ||
		!IsA(plan, ModifyTable) ||
		((const ModifyTable *) plan)->onConflictAction == ONCONFLICT_UPDATE;
}

static void
statement_enter(RowStatement *statement, const QueryDesc *query)
{
	row_order_enter(statement, query->estate->es_output_cid, statement_replaces_rows(query));
}

static void
statement_execute(COMPAT_EXECUTOR_RUN_PARAMETERS)
{
	if (previous_executor_run)
		previous_executor_run(COMPAT_EXECUTOR_RUN_ARGUMENTS);
	else
		standard_ExecutorRun(COMPAT_EXECUTOR_RUN_ARGUMENTS);
}

/* What is captured meanwhile, by statements within this one, is appended when it has finished. */
static void
statement_executor_run(COMPAT_EXECUTOR_RUN_PARAMETERS)
{
	RowStatement statement;

	if (!statement_changes_rows(queryDesc))
	{
		statement_execute(COMPAT_EXECUTOR_RUN_ARGUMENTS);
		return;
	}
	statement_enter(&statement, queryDesc);
	PG_TRY();
	{
		statement_execute(COMPAT_EXECUTOR_RUN_ARGUMENTS);
	}
	PG_FINALLY();
	{
		row_order_leave(&statement);
	}
	PG_END_TRY();
}

static void
statement_finish(QueryDesc *query)
{
	if (previous_executor_finish)
		previous_executor_finish(query);
	else
		standard_ExecutorFinish(query);
}

static void
statement_executor_finish(QueryDesc *query)
{
	RowStatement statement;

	/* no trigger of its own fires: those of statements in functions have fired */
	if (!statement_changes_rows(query))
	{
		statement_finish(query);
		return;
	}
	statement_enter(&statement, query);
	PG_TRY();
	{
		statement_finish(query);
	}
	PG_FINALLY();
	{
		row_order_leave(&statement);
	}
	PG_END_TRY();
	row_run_statement_ended();
}

static void
statement_process(PlannedStmt *statement, const char *query, bool read_only_tree,
			   ProcessUtilityContext context, ParamListInfo params, QueryEnvironment *environment,
				  DestReceiver *dest, QueryCompletion *completion)
{
	if (previous_utility)
		previous_utility(statement, query, read_only_tree, context, params, environment, dest,
						 completion);
	else
		standard_ProcessUtility(statement, query, read_only_tree, context, params, environment,
								dest, completion);
}

static void
statement_copy(PlannedStmt *statement, const char *query, bool read_only_tree,
			   ProcessUtilityContext context, ParamListInfo params,
			   QueryEnvironment *environment, DestReceiver *dest, QueryCompletion *completion)
{
	RowStatement copy;

	row_order_enter(&copy, GetCurrentCommandId(false), false);
	PG_TRY();
	{
		statement_process(statement, query, read_only_tree, context, params, environment, dest,
						  completion);
	}
	PG_FINALLY();
	{
		row_order_leave(&copy);
	}
	PG_END_TRY();
}

static void
statement_utility(PlannedStmt *statement, const char *query, bool read_only_tree,
				  ProcessUtilityContext context, ParamListInfo params,
				  QueryEnvironment *environment, DestReceiver *dest, QueryCompletion *completion)
{
	if (IsA(statement->utilityStmt, CopyStmt) && ((CopyStmt *) statement->utilityStmt)->is_from)
		statement_copy(statement, query, read_only_tree, context, params, environment, dest,
					   completion);
	else
		statement_process(statement, query, read_only_tree, context, params, environment, dest,
						  completion);
	row_run_statement_ended();
}

void
row_statement_install(void)
{
	previous_executor_run = ExecutorRun_hook;
	ExecutorRun_hook = statement_executor_run;
	previous_executor_finish = ExecutorFinish_hook;
	ExecutorFinish_hook = statement_executor_finish;
	previous_utility = ProcessUtility_hook;
	ProcessUtility_hook = statement_utility;
}
