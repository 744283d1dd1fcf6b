/*
 * row_capture.c: every insert, update and delete of a row of a ledger table goes on the ledger.
 *
 * The trigger is AFTER ROW and ENABLE ALWAYS, on the table and, cloned by PostgreSQL, on its
 * partitions.  The row's own lock orders the entries of one row as its versions are ordered.  An
 * entry with what the row has become also names the commitment to what the row was: if that is not
 * what the entry before says, it was changed in between.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "core/encode.h"
#include "ledger/append.h"
#include "ledger/chain.h"
#include "ledger/home.h"
#include "ledger/pseudonym.h"
#include "ledger/row_capture.h"
#include "ledger/row_commitment.h"
#include "ledger/row_order.h"
#include "ledger/row_scan.h"
#include "ledger/trusted.h"

#define CAPTURE_TRIGGER "medchain_capture"

Oid			row_capture_arriving = InvalidOid;

/* Which identity the pseudonym of a row's subject stands for. */
static void
capture_remember_subject(const RowImage *row, const uint8_t *subject)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[2] = {BYTEAOID, TEXTOID};
	Datum		values[2];
	TrustedScope scope;

	values[0] = chain_bytea(subject, HASH_LEN);
	values[1] = CStringGetTextDatum(row->identity);
	trusted_begin(&scope);
	trusted_execute(&plan, "INSERT INTO medchain.subject_identity (pseudonym, identity) VALUES "
					"($1, $2) "
					"ON CONFLICT (pseudonym) DO NOTHING", 2, types, values, NULL, false);
	trusted_end(&scope);
}

/*
 * Which key the id of a new row stands for.  The table has neither index nor trigger, and no use
 * for the executor.
 */
static void
capture_remember_key(const RowTable *table, const RowImage *row)
{
	Relation	keys = table_open(get_relname_relid("row_key",
										 get_namespace_oid("medchain", false)), RowExclusiveLock);
	Datum		values[3];
	bool		nulls[3] = {false};

	values[0] = ObjectIdGetDatum(table->root);
	values[1] = chain_bytea(row->id, HASH_LEN);
	values[2] = CStringGetTextDatum(row->key_text);
	simple_heap_insert(keys, heap_form_tuple(RelationGetDescr(keys), values, nulls));
	table_close(keys, NoLock);
}

static void
capture_hex(StringInfo body, const char *name, const uint8_t hash[HASH_LEN])
{
	char		hex[ENCODE_HEX_SIZE(HASH_LEN)];

	encode_hex(hash, HASH_LEN, hex);
	appendStringInfoString(body, ",\"");
	appendStringInfoString(body, name);
	appendStringInfoString(body, "\":\"");
	appendBinaryStringInfo(body, hex, 2 * HASH_LEN);
	appendStringInfoChar(body, '"');
}

/* One entry; now: what the row is, or NULL; was: what it was before, or NULL. */
static AppendedAt
capture_append(const RowTable *table, const char *kind, const RowImage *now, const RowImage *was)
{
	const RowImage *row = now ? now : was;
	StringInfoData body;
	uint8_t		pseudonym[HASH_LEN];
	const uint8_t *subject = NULL;

	if (row->identity != NULL)
	{
		pseudonym_of(row->identity, strlen(row->identity), pseudonym);
		subject = pseudonym;
	}
	if (now != NULL && was == NULL)
	{
		capture_remember_key(table, now);
		if (subject != NULL)
			capture_remember_subject(now, subject);
	}

	initStringInfo(&body);
	appendStringInfoString(&body, "{\"relation\":");
	escape_json(&body, table->name);
	capture_hex(&body, "row", row->id);
	appendStringInfo(&body, ",\"version\":%d", table->version);
	if (now != NULL)
		capture_hex(&body, "commitment", now->commitment);
	if (was != NULL)
		capture_hex(&body, "previous", was->commitment);
	appendStringInfoChar(&body, '}');
	return append_own_entry(kind, body.data, subject);
}

/*
 * The command of this transaction that the trigger was called for.  The tuple is as it is in the
 * table: an old one says who replaced it, a new one who made it.  One that COPY FREEZE has made
 * says so as well (but not for HeapTupleHeaderGetCmin()) until somebody replaces it; then, that it
 * came before him.
 */
static CommandId
capture_command(TriggerData *trigger)
{
	HeapTupleHeader header = trigger->tg_trigtuple->t_data;
	CommandId	command;

	if (!TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		return HeapTupleHeaderGetCmax(header);
	if (!HeapTupleHeaderXminFrozen(header))
		return HeapTupleHeaderGetCmin(header);
	command = HeapTupleHeaderGetRawCommandId(header);
	if ((header->t_infomask & HEAP_XMAX_INVALID) == 0 &&
		!HEAP_XMAX_IS_LOCKED_ONLY(header->t_infomask))
		command--;
	return command;
}

/* The entry for it. */
static void
capture_append_change(TriggerData *trigger, const RowTable *table, const char *kind,
					  const RowImage *now, const RowImage *was)
{
	AppendedAt	at = capture_append(table, kind, now, was);

	row_order_keep(trigger->tg_relation, TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ? NULL :
				   trigger->tg_trigtuple,
				   (now ? now : was)->id, capture_command(trigger), &at);
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
				 errmsg("medchain.capture() is called by AFTER ROW triggers alone")));
	if (strcmp(trigger->tg_trigger->tgname, CAPTURE_TRIGGER) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("trigger \"%s\" on table \"%s\" is not medchain's",
					  trigger->tg_trigger->tgname, RelationGetRelationName(trigger->tg_relation)),
				 errdetail("It calls medchain.capture(), as trigger \"%s\" alone should.",
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
		row_image(table, desc, trigger->tg_trigtuple, table->version, &was);
	if (!TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
		row_image(table, desc, TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ? trigger->tg_trigtuple :
				  trigger->tg_newtuple,
				  table->version, &now);
	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		capture_append_change(trigger, table, "row.insert", &now, NULL);
	else if (TRIGGER_FIRED_BY_DELETE(trigger->tg_event))
		capture_append_change(trigger, table, "row.delete", NULL, &was);
	else if (hash_equal(was.id, now.id) && capture_same_text(was.identity, now.identity))
		capture_append_change(trigger, table, "row.update", &now, &was);
	else
	{
		/*
		 * moved to another key, or another subject: the end of one history and the start of
		 * another
		 */
		capture_append_change(trigger, table, "row.delete", NULL, &was);
		capture_append_change(trigger, table, "row.insert", &now, NULL);
	}
	return PointerGetDatum(NULL);
}

/* How row_record() goes over the rows. */
typedef struct CaptureRecord
{
	const char *kind;
	const RowTable *table;		/* of the relation that is read */
	bool		leaving;
	bool		filled;
	int64		count;
} CaptureRecord;

static void
capture_record_row(Relation part, HeapTuple row, void *arg)
{
	CaptureRecord *record = (CaptureRecord *) arg;
	const RowTable *table = record->table;
	TupleDesc	desc = RelationGetDescr(part);
	RowImage	now;
	RowImage	before;

	row_image(table, desc, row, table->version, &now);
	if (record->filled)
		row_image(table, desc, row, table->version - 1, &before);
	capture_append(table, record->kind, record->leaving ? NULL : &now,
				   record->leaving ? &now : record->filled ? &before : NULL);
	record->count++;
}

PG_FUNCTION_INFO_V1(medchain_row_record);

/*
 * row_record(kind text, source regclass, root regclass) -> bigint: an entry for every row that
 * source and the partitions below it have now, as one of the ledger table root: row.baseline for
 * rows that came with it, row.delete for those that leave, row.update for those that DDL has just
 * given a new column with something in it, which the table's version before knew nothing of.
 */
Datum
medchain_row_record(PG_FUNCTION_ARGS)
{
	CaptureRecord record = {.kind = text_to_cstring(PG_GETARG_TEXT_PP(0))};
	ListCell   *cell;

	record.leaving = strcmp(record.kind, "row.delete") == 0;
	record.filled = strcmp(record.kind, "row.update") == 0;

	/*
	 * the caller has locked the table: what it holds is what the newest snapshot sees, not what
	 * the transaction's does
	 */
	PushActiveSnapshot(GetLatestSnapshot());
	foreach(cell, row_scan_parts(PG_GETARG_OID(1), AccessShareLock))
	{
		Relation	part = table_open(lfirst_oid(cell), NoLock);

		record.table = row_table_as(part, PG_GETARG_OID(2));
		row_scan(part, GetActiveSnapshot(), capture_record_row, &record);
		table_close(part, NoLock);
	}
	PopActiveSnapshot();
	PG_RETURN_INT64(record.count);
}
