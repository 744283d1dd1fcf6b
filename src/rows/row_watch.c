/*
 * row_watch.c: which ledger tables a DDL command has to do with.
 *
 * The event triggers run with every DDL command of the database, and nearly all of that is none
 * of ours.  So they go from what the command touched to the relations in question
 * (row_depend.c), ask which of these are ledger tables, and only those are looked at, by
 * medchain_internal.observe_table() and its kin in row_ddl.sql.  The question is put to the newest
 * contents of medchain.row_table (a transaction may have begun before a table was put on the
 * ledger), and leaves no lock there.
 *
 * What no event trigger tells of is in row_roles.c and row_utility.c.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/event_trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "tcop/cmdtag.h"
#include "tcop/deparse_utility.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"

#include "ledger/home.h"
#include "node/lookup.h"
#include "node/trusted.h"
#include "rows/row_depend.h"
#include "rows/row_roles.h"

static Oid
watch_oid(HeapTuple row, TupleDesc desc, int column)
{
	bool		isnull;

	return DatumGetObjectId(SPI_getbinval(row, desc, column, &isnull));
}

/*
 * Items of descriptions that a command names itself, as explained_items() in row_ddl.sql takes
 * them: the item, " on ", the oid of the relation.
 */
static ArrayBuildState *
watch_name(ArrayBuildState *named, const char *item, Oid relation)
{
	return accumArrayResult(named, CStringGetTextDatum(psprintf("%s on %u", item, relation)), false,
							TEXTOID, CurrentMemoryContext);
}

/* Keep those relations that are ledger tables; how many. */
static int
watch_ledger_tables(Oid *relations, bool *others, int count)
{
	Lookup		tables;
	int			kept = 0;

	if (count == 0 || !lookup_open(&tables, "row_table"))
		return 0;
	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!lookup_find(&tables, relations[i]))
			continue;
		relations[kept] = relations[i];
		others[kept++] = others[i];
	}
	lookup_close(&tables);
	return kept;
}

/* Look at the ledger tables that this walk leads to. */
static void
watch_observe(DependWalk *walk, const char *command, ArrayBuildState *named)
{
	static SPIPlanPtr find = NULL;
	static SPIPlanPtr observe = NULL;
	Oid			find_types[1] = {OIDARRAYOID};
	Oid			observe_types[4] = {OIDOID, TEXTOID, BOOLOID, TEXTARRAYOID};
	int			count;
	bool	   *others;
	Oid		   *relations = depend_relations(walk, &others, &count);
	Datum		values[4];
	SPITupleTable *found;
	uint64		n;

	/* a copy says nothing; take_over() looks at what became of its tables */
	if (count == 0 || home_status() != HOME_HERE)
		return;
	count = watch_ledger_tables(relations, others, count);
	if (count == 0)
		return;
	values[0] = lookup_oid_array(relations, count);
	trusted_execute(&find,
					"SELECT t.relation FROM medchain.row_table t WHERE t.relation = ANY ($1)"
					" ORDER BY t.ledger_name COLLATE \"C\"",
					1, find_types, values, NULL, true);
	found = SPI_tuptable;
	n = SPI_processed;
	values[1] = CStringGetTextDatum(command);
	values[3] = named ? makeArrayResult(named, CurrentMemoryContext) :
		PointerGetDatum(construct_empty_array(TEXTOID));
	for (uint64 i = 0; i < n; i++)
	{
		Oid			relation = watch_oid(found->vals[i], found->tupdesc, 1);

		values[0] = ObjectIdGetDatum(relation);
		values[2] = BoolGetDatum(false);
		for (int k = 0; k < count; k++)
			if (relations[k] == relation)
				values[2] = BoolGetDatum(others[k]);
		trusted_execute(&observe, "SELECT medchain_internal.observe_table($1, $2, $3, $4)",
						4, observe_types, values, NULL, false);
	}
}

static EventTriggerData *
watch_trigger(FunctionCallInfo fcinfo, const char *name)
{
	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("%s can only be called as an event trigger", name)));
	return (EventTriggerData *) fcinfo->context;
}

/*
 * What a command names of that which is in pg_class, whose rows are written anew for many
 * reasons, so that their xmin says nothing.  A table from which another one has ceased to inherit
 * is named by nothing but the command.
 */
static ArrayBuildState *
watch_command(DependWalk *walk, CollectedCommand *command, Oid relation, ArrayBuildState *named)
{
	ListCell   *cell;

	if (command->type == SCT_Simple)
	{
		Node	   *tree = command->parsetree;

		if ((IsA(tree, RenameStmt) && ((RenameStmt *) tree)->renameType == OBJECT_TABLE) ||
			(IsA(tree, AlterObjectSchemaStmt) &&
			 ((AlterObjectSchemaStmt *) tree)->objectType == OBJECT_TABLE))
			named = watch_name(named, "name", relation);
		return named;
	}
	if (command->type != SCT_AlterTable)
		return named;
	foreach(cell, command->d.alterTable.subcmds)
	{
		CollectedATSubcmd *part = lfirst(cell);

		switch (((AlterTableCmd *) part->parsetree)->subtype)
		{
			case AT_ChangeOwner:
				named = watch_name(named, "owner", relation);
				break;
			case AT_SetLogged:
			case AT_SetUnLogged:
				named = watch_name(named, "persistence", relation);
				break;
			case AT_EnableRowSecurity:
			case AT_DisableRowSecurity:
			case AT_ForceRowSecurity:
			case AT_NoForceRowSecurity:
				named = watch_name(named, "row security", relation);
				break;
			case AT_DropInherit:
				depend_touch(walk, RelationRelationId, part->address.objectId);
				break;
			default:
				break;
		}
	}
	return named;
}

PG_FUNCTION_INFO_V1(medchain_observe_ddl);

/* ddl_command_end */
Datum
medchain_observe_ddl(PG_FUNCTION_ARGS)
{
	static SPIPlanPtr plan = NULL;
	EventTriggerData *trigger = watch_trigger(fcinfo, "medchain_internal.observe_ddl()");
	const char *command = GetCommandTagName(trigger->tag);
	ArrayBuildState *named = NULL;
	DependWalk *walk;
	TrustedScope scope;

	trusted_begin(&scope);
	walk = depend_begin();
	trusted_execute(&plan,
		  "SELECT c.classid, c.objid, c.command FROM pg_catalog.pg_event_trigger_ddl_commands() c"
					" WHERE c.objid IS NOT NULL", 0, NULL, NULL, NULL, true);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		Oid			classid = watch_oid(row, desc, 1);
		Oid			objid = watch_oid(row, desc, 2);
		bool		isnull;

		depend_touch(walk, classid, objid);
		if (classid == RelationRelationId)
		{
			Datum		collected = SPI_getbinval(row, desc, 3, &isnull);

			named = watch_command(walk, (CollectedCommand *) DatumGetPointer(collected), objid,
								  named);
		}
	}
	watch_observe(walk, command, named);
	/* it takes the role out of policies that are for others as well, and names no such policy */
	if (trigger->tag == CMDTAG_DROP_OWNED)
		row_roles_observe(command);
	trusted_end(&scope);
	PG_RETURN_NULL();
}

/*
 * What a dropped trigger, policy or rule is in a description of the table it was on; of a
 * constraint, that it was one; NULL: nothing.
 */
static const char *
watch_dropped_item(Oid classid, const char *name)
{
	if (classid == TriggerRelationId)
		return psprintf("trigger %s", quote_identifier(name));
	if (classid == PolicyRelationId)
		return psprintf("policy %s", quote_identifier(name));
	if (classid == RewriteRelationId)
		return psprintf("rule %s", quote_identifier(name));
	if (classid == ConstraintRelationId)
		return "constraint";
	return NULL;
}

/* Does that table of ours, by its primary key, know one of these relations? */
static bool
watch_is_known(const char *table, const Oid *relations, int count)
{
	Lookup		lookup;
	bool		found = false;

	if (!lookup_open(&lookup, table))
		return false;
	for (int i = 0; i < count && !found; i++)
	{
		CHECK_FOR_INTERRUPTS();
		found = lookup_find(&lookup, relations[i]);
	}
	lookup_close(&lookup);
	return found;
}

/* Ledger tables that were dropped, and their partitions. */
static void
watch_gone(const Oid *relations, int count, const char *command)
{
	static SPIPlanPtr observe = NULL;
	Oid			types[2] = {OIDARRAYOID, TEXTOID};
	Datum		values[2] = {lookup_oid_array(relations, count), CStringGetTextDatum(command)};

	if (watch_is_known("row_table", relations, count) ||
		watch_is_known("row_part", relations, count))
		trusted_execute(&observe, "SELECT medchain_internal.observe_gone($1, $2)", 2, types, values,
						NULL,
						false);
}

/*
 * An index was dropped, and its table is told nowhere: those that are named by one must still have
 * one.
 */
static void
watch_indexes(void)
{
	static SPIPlanPtr check = NULL;
	Oid			types[1] = {OIDARRAYOID};
	Datum		values[1];
	Lookup		tables;
	Oid		   *relations = NULL;
	int			count = 0;
	bool		isnull;

	if (home_status() != HOME_HERE || !lookup_open(&tables, "row_index"))
		return;
	while (lookup_next(&tables))
	{
		relations = relations == NULL ? palloc(sizeof(Oid)) :
			repalloc(relations, sizeof(Oid) * (Size) (count + 1));
		relations[count++] = DatumGetObjectId(lookup_value(&tables, "relation", &isnull));
	}
	lookup_close(&tables);
	if (count == 0)
		return;
	values[0] = lookup_oid_array(relations, count);
	trusted_execute(&check, "SELECT medchain_internal.require_row_keys($1)", 1, types, values, NULL,
					false);
}

PG_FUNCTION_INFO_V1(medchain_observe_drop);

/*
 * sql_drop: what was dropped is in no catalog any more.  Relations are known by their oids;
 * what was on one that is still there is dropped under its name.
 */
Datum
medchain_observe_drop(PG_FUNCTION_ARGS)
{
	static SPIPlanPtr plan = NULL;
	EventTriggerData *trigger = watch_trigger(fcinfo, "medchain_internal.observe_drop()");
	const char *command = GetCommandTagName(trigger->tag);
	DependWalk *walk;
	TrustedScope scope;
	Oid		   *gone;
	int			ngone = 0;
	bool		indexes = false;
	ArrayBuildState *named = NULL;

	trusted_begin(&scope);
	walk = depend_begin();
	trusted_execute(&plan,
					"SELECT d.classid, d.objid, d.objsubid,"
					" d.address_names[1], d.address_names[2], d.address_names[3],"
					" d.object_type = 'index'"
				 " FROM pg_catalog.pg_event_trigger_dropped_objects() d WHERE NOT d.is_temporary",
					0, NULL, NULL, NULL, true);
	gone = palloc(sizeof(Oid) * (Size) Max(SPI_processed, 1));
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		Oid			classid = watch_oid(row, desc, 1);
		Oid			objid = watch_oid(row, desc, 2);
		bool		isnull;
		const char *item;
		Oid			relation;

		if (classid == RelationRelationId &&
			DatumGetInt32(SPI_getbinval(row, desc, 3, &isnull)) == 0)
		{
			gone[ngone++] = objid;
			indexes = indexes || DatumGetBool(SPI_getbinval(row, desc, 7, &isnull));
		}
		else if (classid == RelationRelationId)
			depend_touch(walk, classid, objid);
		else if ((classid == TriggerRelationId || classid == PolicyRelationId ||
				  classid == RewriteRelationId || classid == ConstraintRelationId) &&
				 SPI_getvalue(row, desc, 6) != NULL)
		{
			relation = get_relname_relid(SPI_getvalue(row, desc, 5),
										 get_namespace_oid(SPI_getvalue(row, desc, 4), true));
			if (!OidIsValid(relation))
				continue;		/* gone as well, or temporary */
			depend_touch(walk, RelationRelationId, relation);
			item = watch_dropped_item(classid, SPI_getvalue(row, desc, 6));
			if (item != NULL)
				named = watch_name(named, item, relation);
		}
	}
	if (ngone > 0)
		watch_gone(gone, ngone, command);
	watch_observe(walk, command, named);
	if (indexes)
		watch_indexes();
	trusted_end(&scope);
	PG_RETURN_NULL();
}

PG_FUNCTION_INFO_V1(medchain_observe_rewrite);

/* table_rewrite: remember that a ledger table, or a partition of one, is computed anew. */
Datum
medchain_observe_rewrite(PG_FUNCTION_ARGS)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[1] = {OIDARRAYOID};
	Datum		values[1];
	Oid			tables[2];
	int			count = 0;
	TrustedScope scope;

	(void) watch_trigger(fcinfo, "medchain_internal.observe_rewrite()");

	/* the other reasons leave what rows say as it is */
	if ((DatumGetInt32(DirectFunctionCall1(pg_event_trigger_table_rewrite_reason, (Datum) 0)) &
		 AT_REWRITE_COLUMN_REWRITE) == 0)
		PG_RETURN_NULL();
	tables[count++] = DatumGetObjectId(DirectFunctionCall1(pg_event_trigger_table_rewrite_oid,
														   (Datum) 0));
	if (get_rel_relispartition(tables[0]))
		tables[count++] = llast_oid(get_partition_ancestors(tables[0]));
	if (!watch_is_known("row_table", tables, count))
		PG_RETURN_NULL();

	trusted_begin(&scope);
	values[0] = lookup_oid_array(tables, count);
	trusted_execute(&plan,
					"UPDATE medchain.row_table SET rewritten = true"
					" WHERE relation = ANY ($1) AND description IS NOT NULL",
					1, types, values, NULL, false);
	trusted_end(&scope);
	PG_RETURN_NULL();
}

PG_FUNCTION_INFO_V1(medchain_own_change);

/* own_change(xid) -> boolean: has this transaction written what has that xmin? */
Datum
medchain_own_change(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(TransactionIdIsCurrentTransactionId(PG_GETARG_TRANSACTIONID(0)));
}
