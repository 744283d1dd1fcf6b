/*
 * row_roles.c: who ledger tables belong to, and their policies are for, after commands that say it
 * of a role and name no table.
 *
 * No event trigger runs after REASSIGN OWNED, so that a utility hook has to; the one after DROP
 * OWNED does not tell that the role was taken out of policies which are for others as well.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"
#include "utils/builtins.h"

#include "ledger/home.h"
#include "node/lookup.h"
#include "node/trusted.h"
#include "rows/row_roles.h"

static ProcessUtility_hook_type previous_utility_hook = NULL;

/* A ledger table, and the roles that are part of its description as medchain knows it. */
typedef struct KnownRoles
{
	Oid			relation;
	Datum		roles;
} KnownRoles;

static List *
row_roles_known(void)
{
	Lookup		tables;
	List	   *known = NIL;

	if (!lookup_open(&tables, "row_table"))
		return NIL;
	while (lookup_next(&tables))
	{
		KnownRoles *table = palloc(sizeof(KnownRoles));
		bool		isnull;

		CHECK_FOR_INTERRUPTS();
		table->roles = lookup_value(&tables, "roles", &isnull);
		if (isnull)
			continue;			/* medchain itself is at work on it */
		table->roles = PointerGetDatum(PG_DETOAST_DATUM_COPY(table->roles));
		table->relation = DatumGetObjectId(lookup_value(&tables, "relation", &isnull));
		known = lappend(known, table);
	}
	lookup_close(&tables);
	return known;
}

void
row_roles_observe(const char *command)
{
	static SPIPlanPtr compare = NULL;
	static SPIPlanPtr observe = NULL;
	Oid			compare_types[2] = {OIDOID, JSONBOID};
	Oid			observe_types[2] = {OIDARRAYOID, TEXTOID};
	Datum		values[2];
	List	   *known;
	ListCell   *cell;
	Oid		   *others;
	int			count = 0;

	if (home_status() != HOME_HERE)
		return;
	known = row_roles_known();
	others = palloc(sizeof(Oid) * (Size) Max(list_length(known), 1));
	foreach(cell, known)
	{
		KnownRoles *table = lfirst(cell);

		values[0] = ObjectIdGetDatum(table->relation);
		values[1] = table->roles;
		trusted_execute(&compare,
						"SELECT WHERE medchain_internal.row_roles($1) IS DISTINCT FROM $2",
						2, compare_types, values, NULL, true);
		if (SPI_processed > 0)
			others[count++] = table->relation;
		SPI_freetuptable(SPI_tuptable);
	}
	if (count == 0)
		return;
	values[0] = lookup_oid_array(others, count);
	values[1] = CStringGetTextDatum(command);
	trusted_execute(&observe, "SELECT medchain_internal.observe_roles($1, $2)", 2, observe_types,
					values,
					NULL, false);
}

static void
row_roles_utility(PlannedStmt *statement, const char *query, bool read_only_tree,
			   ProcessUtilityContext context, ParamListInfo params, QueryEnvironment *environment,
				  DestReceiver *dest, QueryCompletion *completion)
{
	/* the tree may not outlive the command */
	bool		reassigns = IsA(statement->utilityStmt, ReassignOwnedStmt);

	if (previous_utility_hook)
		previous_utility_hook(statement, query, read_only_tree, context, params, environment, dest,
							  completion);
	else
		standard_ProcessUtility(statement, query, read_only_tree, context, params, environment,
								dest,
								completion);
	if (reassigns && OidIsValid(trusted_schema(true)))
	{
		TrustedScope scope;

		CommandCounterIncrement();
		trusted_begin(&scope);
		row_roles_observe("REASSIGN OWNED");
		trusted_end(&scope);
	}
}

void
row_roles_install(void)
{
	previous_utility_hook = ProcessUtility_hook;
	ProcessUtility_hook = row_roles_utility;
}
