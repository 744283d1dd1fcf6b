/*
 * row_capture.c: every insert, update and delete of a row of a ledger table goes on the ledger.
 *
 * The trigger is AFTER ROW and ENABLE ALWAYS, on the table and, cloned by PostgreSQL, on its
 * partitions.  The row's own lock orders the entries of one row as its versions are ordered.  An
 * entry with what the row has become also names the commitment to what the row was: if that is not
 * what the entry before says, it was changed in between.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#include "ledger/home.h"
#include "rows/row_capture.h"
#include "rows/row_commitment.h"
#include "rows/row_run.h"

#define CAPTURE_TRIGGER "medchain_capture"

Oid			row_capture_arriving = InvalidOid;

/*
 * The command of this transaction that the trigger was called for.  The tuple is as it is in the
 * table: an old one says who replaced it, a new one who made it.
 */
static CommandId
capture_command(TriggerData *trigger)
{
	HeapTupleHeader header = trigger->tg_trigtuple->t_data;

	return TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ? row_order_maker(header) :
		HeapTupleHeaderGetCmax(header);
}

/* A row is different now: now, unless it is gone; was, unless it is new. */
static void
capture_change(TriggerData *trigger, const RowTable *table, RowOperation operation,
			   RowImage *now, RowImage *was)
{
	HeapTuple	old = TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ? NULL : trigger->tg_trigtuple;
	HeapTuple	new = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? trigger->tg_newtuple :
	trigger->tg_trigtuple;
	RowChange	change;
	RowOrder	order;

	row_change_of(table, operation, now, was, &change);
	row_order_look(trigger->tg_relation, was == NULL ? NULL : old, now == NULL ? NULL : new,
				   capture_command(trigger), &order);
	row_run_add(trigger->tg_relation, &change, NULL, &order);
}

/* The same row is about somebody else: the end of one history and the start of another. */
static void
capture_other_subject(TriggerData *trigger, const RowTable *table, RowImage *now, RowImage *was)
{
	RowChange	end;
	RowChange	start;
	RowOrder	order;

	row_change_of(table, ROW_DELETE, NULL, was, &end);
	row_change_of(table, ROW_INSERT, now, NULL, &start);
	row_order_look(trigger->tg_relation, trigger->tg_trigtuple, trigger->tg_newtuple,
				   capture_command(trigger), &order);
	row_run_add(trigger->tg_relation, &end, &start, &order);
}

/*
 * Anybody may put the trigger's function on a table of his own, or on one that he may put triggers
 * on.  A change is on the ledger once, so that of the triggers of a table only one does it, known
 * by a name that no other has.
 */
static void
capture_require_trigger(FunctionCallInfo fcinfo)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_AFTER(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("medchain_internal.capture() is called by AFTER ROW triggers alone")));
	if (strcmp(trigger->tg_trigger->tgname, CAPTURE_TRIGGER) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("trigger \"%s\" on table \"%s\" is not medchain's",
					  trigger->tg_trigger->tgname, RelationGetRelationName(trigger->tg_relation)),
				 errdetail("It calls medchain_internal.capture(), as trigger \"%s\" alone should.",
						   CAPTURE_TRIGGER),
				 errhint("DROP TRIGGER %s ON %s;", quote_identifier(trigger->tg_trigger->tgname),
						 row_table_sql_name(trigger->tg_relation))));
}

static bool
capture_same_text(const char *a, const char *b)
{
	return (a == NULL) == (b == NULL) && (a == NULL || strcmp(a, b) == 0);
}

/* Our trigger came with a dump, and what the ledger says of the table has not, or not yet. */
static void
capture_refuse_unknown(Relation relation)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("table \"%s\" has a trigger of medchain, which knows nothing of the table",
					RelationGetRelationName(relation)),
			 home_status() == HOME_HERE ?
			 errhint("Call medchain.end_ledger_table('%s') to take the triggers off, or "
					 "medchain.ledger_table() or medchain.protect() to put it on this ledger.",
					 row_table_sql_name(relation)) :
			 errhint("Call medchain.end_ledger_table('%s') to take the triggers off, or "
					 "medchain.ledger_table() or medchain.protect() to put it on this ledger. The "
					 "data of a dump alone are restored with --disable-triggers.",
					 row_table_sql_name(relation))));
}

PG_FUNCTION_INFO_V1(medchain_capture);

Datum
medchain_capture(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	Relation	relation;
	const RowTable *table;
	TupleDesc	desc;
	RowImage	was;
	RowImage	now;

	capture_require_trigger(fcinfo);
	relation = trigger->tg_relation;
	desc = RelationGetDescr(relation);
	if (RelationGetRelid(relation) == row_capture_arriving)
		return PointerGetDatum(NULL);
	table = row_table_get(relation);
	if (table == NULL)
		capture_refuse_unknown(relation);
	(void) home_require();		/* before the lack of a key, which a copy does not need either */
	if (table->append_only && !TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("table \"%s\" is append-only", RelationGetRelationName(relation)),
				 errdetail("Its rows are on the ledger and are neither changed nor deleted.")));

	if (!TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		row_image_texts(table, desc, trigger->tg_trigtuple, table->version, &was);
	if (!TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
		row_image_texts(table, desc, TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ?
						trigger->tg_trigtuple : trigger->tg_newtuple, table->version, &now);
	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		capture_change(trigger, table, ROW_INSERT, &now, NULL);
	else if (TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
		capture_change(trigger, table, ROW_DELETE, NULL, &was);
	else if (!row_image_same_key(&was, &now))
	{
		/* moved to another key */
		capture_change(trigger, table, ROW_DELETE, NULL, &was);
		capture_change(trigger, table, ROW_INSERT, &now, NULL);
	}
	else if (!capture_same_text(was.identity, now.identity))
		capture_other_subject(trigger, table, &now, &was);
	else
		capture_change(trigger, table, ROW_UPDATE, &now, &was);
	return PointerGetDatum(NULL);
}
