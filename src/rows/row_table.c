/*
 * row_table.c: what is said about a table whose rows are on the ledger: reading it, and noticing
 * that it changed.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/skey.h"
#include "access/table.h"
#include "catalog/partition.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "compat.h"
#include "node/trusted.h"
#include "rows/row_table.h"

typedef struct RowTableEntry
{
	Oid			relation;		/* hash key */
	RowTable   *table;			/* NULL: none */
	bool		fresh;			/* nothing has changed since it was looked up */
} RowTableEntry;

static HTAB *known = NULL;
static RowTableEntry *latest = NULL;	/* that was asked for: entries stay where they are */
static uint64 changes = 0;		/* messages that came */
static uint64 readings = 0;

/*
 * A relation changed, or any may have.  Nothing is freed here: an output function of somebody's
 * type may have run the statement that brought the message while we are using the table.
 */
static void
row_table_forget(Datum arg, Oid relation)
{
	HASH_SEQ_STATUS scan;
	RowTableEntry *entry;

	changes++;
	hash_seq_init(&scan, known);
	while ((entry = hash_seq_search(&scan)) != NULL)
		if (!OidIsValid(relation) || entry->relation == relation ||
			(entry->table != NULL && entry->table->root == relation))
			entry->fresh = false;
}

static void
row_table_start(void)
{
	HASHCTL		control = {0};

	control.keysize = sizeof(Oid);
	control.entrysize = sizeof(RowTableEntry);
	control.hcxt = TopMemoryContext;
	known = hash_create("medchain ledger tables", 32, &control,
						HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	CacheRegisterRelcacheCallback(row_table_forget, (Datum) 0);
}

/* The context of a table goes: its key as well. */
static void
row_table_free_salts(void *salts)
{
	hash_mac_free(salts);
}

static RowSettingsKind
row_table_type_settings(Oid type)
{
	switch (getBaseType(type))
	{
		case BOOLOID:
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case OIDOID:
		case NUMERICOID:
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
		case NAMEOID:
		case CHAROID:
		case UUIDOID:
		case JSONOID:
		case JSONBOID:
		case TIMEOID:
		case DATEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			return ROW_SETTINGS_NONE;
		case INTERVALOID:
		case FLOAT4OID:
		case FLOAT8OID:
		case BYTEAOID:
			return ROW_SETTINGS_FORMAT;
		default:
			return ROW_SETTINGS_ALL;
	}
}

/* Types whose output function does no more than this, under the settings that texts are made by. */
static RowTextKind
row_table_text_kind(Oid type)
{
	switch (getBaseType(type))
	{
		case INT2OID:
			return ROW_TEXT_INT2;
		case INT4OID:
			return ROW_TEXT_INT4;
		case INT8OID:
			return ROW_TEXT_INT8;
		case DATEOID:
			return ROW_TEXT_DATE;
		case TIMESTAMPOID:
			return ROW_TEXT_TIMESTAMP;
		case TIMESTAMPTZOID:
			return ROW_TEXT_TIMESTAMPTZ;
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
		case JSONOID:
			return ROW_TEXT_ITSELF;
		default:
			return ROW_TEXT_FUNCTION;
	}
}

void
row_table_call(RowTable *table, char *name)
{
	table->name = name;
	table->id_prefix = psprintf("row\n%s\n", name);
	table->id_prefix_len = (int) strlen(table->id_prefix);
}

void
row_table_call_column(RowColumn *column, const char *name, bool is_key)
{
	column->name = pstrdup(name);
	column->label = psprintf("%zu:%s", strlen(name), name);
	column->label_len = (int) strlen(column->label);
	column->is_key = is_key;
}

static void
row_table_add_column(RowTable *table, TupleDesc desc, const char *attribute, const char *name,
					 int since, bool is_key)
{
	RowColumn  *column = &table->columns[table->ncolumns++];
	Oid			output;
	bool		is_varlena;
	Oid			type;
	int			number = SPI_fnumber(desc, attribute);

	if (number <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of ledger table \"%s\" is gone", attribute, table->name),
				 errhint("It was changed past medchain. Take the table out of the ledger and put "
						 "it under it again.")));
	row_table_call_column(column, name, is_key);
	column->attribute = (AttrNumber) number;
	column->since = since;
	column->is_virtual = TupleDescAttr(desc, number - 1)->attgenerated ==
		COMPAT_ATTRIBUTE_GENERATED_VIRTUAL;
	type = TupleDescAttr(desc, number - 1)->atttypid;
	getTypeOutputInfo(type, &output, &is_varlena);
	fmgr_info_cxt(output, &column->output, CurrentMemoryContext);
	column->text = row_table_text_kind(type);
	table->settings = Max(table->settings, row_table_type_settings(type));
}

/* Fill a table in from what was found; in its context. */
static void
row_table_fill(RowTable *table, Relation relation, SPITupleTable *rows)
{
	TupleDesc	desc = rows->tupdesc;
	HeapTuple	first = rows->vals[0];
	bool		isnull;
	bytea	   *secret = DatumGetByteaPP(SPI_getbinval(first, desc, 5, &isnull));
	char	   *subject = SPI_getvalue(first, desc, 3);
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));

	row_table_call(table, SPI_getvalue(first, desc, 1));
	table->append_only = DatumGetBool(SPI_getbinval(first, desc, 2, &isnull));
	table->version = DatumGetInt32(SPI_getbinval(first, desc, 4, &isnull));
	table->columns = palloc0(sizeof(RowColumn) * rows->numvals);
	table->keyless = true;
	for (uint64 i = 0; i < rows->numvals; i++)
	{
		HeapTuple	row = rows->vals[i];
		char	   *attribute = SPI_getvalue(row, desc, 6);

		row_table_add_column(table, RelationGetDescr(relation), attribute,
							 SPI_getvalue(row, desc, 7),
							 DatumGetInt32(SPI_getbinval(row, desc, 8, &isnull)),
							 DatumGetBool(SPI_getbinval(row, desc, 9, &isnull)));
		table->keyless = table->keyless && !table->columns[i].is_key;
		if (subject != NULL && strcmp(subject, attribute) == 0)
		{
			table->subject = table->columns[i].attribute;
			table->subject_padded = getBaseType(TupleDescAttr(RelationGetDescr(relation),
													  table->subject - 1)->atttypid) == BPCHAROID;
		}
	}
	table->salts = hash_mac_new(VARDATA_ANY(secret), VARSIZE_ANY_EXHDR(secret));
	if (table->salts == NULL)
		elog(ERROR, "could not compute HMAC-SHA-256");
	callback->func = row_table_free_salts;
	callback->arg = table->salts;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
}

/*
 * Is there anything to be read about root?  Most tables that sessions ask for, as they have
 * triggers, are none of ours: no lock is to be left for these.
 */
static bool
row_table_listed(Oid root)
{
	Relation	tables = table_open(get_relname_relid("row_table", trusted_schema(false)),
									AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	bool		found;

	(void) RelationGetIndexList(tables);
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(root));
	scan = systable_beginscan(tables, tables->rd_pkindex, true, NULL, 1, &key);
	found = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	table_close(tables, AccessShareLock);
	return found;
}

/*
 * Read what is said about root, by the newest snapshot: a transaction may have begun before the
 * table was put under.
 */
static RowTable *
row_table_read(Relation relation, Oid root, MemoryContext parent)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[1] = {OIDOID};
	Datum		values[1] = {ObjectIdGetDatum(root)};
	TrustedScope scope;
	RowTable   *table = NULL;

	trusted_begin(&scope);
	trusted_execute(&plan,
					"SELECT t.ledger_name, t.append_only, t.subject_column, t.version, s.secret,"
					" c.attribute, c.name, c.since, c.attribute = ANY (t.key_columns)"
					" FROM medchain.row_table t JOIN medchain.row_secret s ON s.relation = "
					"t.relation"
					" JOIN medchain.row_column c ON c.relation = t.relation"
					" WHERE t.relation = $1 ORDER BY c.name COLLATE \"C\"",
					1, types, values, NULL, true);
	if (SPI_processed > 0)
	{
		MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "medchain ledger table",
													  ALLOCSET_SMALL_SIZES);
		MemoryContext old = MemoryContextSwitchTo(context);

		table = palloc0(sizeof(RowTable));
		table->relation = RelationGetRelid(relation);
		table->root = root;
		table->reading = ++readings;
		row_table_fill(table, relation, SPI_tuptable);
		MemoryContextSwitchTo(old);
		MemoryContextSetParent(context, parent);
	}
	trusted_end(&scope);
	return table;
}

/*
 * get_partition_ancestors() knows nothing of what is above a partition that DETACH ... CONCURRENTLY
 * has not finished with.
 */
Oid
row_table_root(Oid relation)
{
	while (get_rel_relispartition(relation))
		relation = get_partition_parent(relation, true);
	return relation;
}

Relation
row_table_open(Oid oid)
{
	Relation	relation = try_relation_open(oid, AccessShareLock);

	if (relation == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("there is no table with oid %u", oid)));
	return relation;
}

const RowTable *
row_table_get(Relation relation)
{
	Oid			oid = RelationGetRelid(relation);
	RowTableEntry *entry;
	bool		found;
	RowTable   *table = NULL;
	uint64		before;

	if (latest != NULL && latest->relation == oid && latest->fresh)
		return latest->table;
	if (known == NULL)
		row_table_start();
	entry = hash_search(known, &oid, HASH_FIND, NULL);
	if (entry != NULL && entry->fresh)
	{
		latest = entry;
		return entry->table;
	}
	before = changes;
	if (OidIsValid(trusted_schema(true)))
	{
		Oid			root = row_table_root(oid);

		if (row_table_listed(root))
			table = row_table_read(relation, root, TopMemoryContext);
	}
	entry = hash_search(known, &oid, HASH_ENTER, &found);
	if (found && entry->table != NULL)
		/* somebody up the stack may still be using it */
		MemoryContextSetParent(GetMemoryChunkContext(entry->table), TopTransactionContext);
	entry->table = table;
	/* what came while it was read may have been about it */
	entry->fresh = changes == before;
	return table;
}

const RowTable *
row_table_as(Relation relation, Oid root)
{
	RowTable   *table = row_table_read(relation, root, CurrentMemoryContext);

	if (table == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("rows of table \"%s\" are not on the ledger", get_rel_name(root))));
	return table;
}

const char *
row_table_sql_name(Relation relation)
{
	return quote_qualified_identifier(get_namespace_name(RelationGetNamespace(relation)),
									  RelationGetRelationName(relation));
}

const char *
row_table_whole(const char *alias, Relation relation)
{
	return psprintf("(%s.*)::%s", alias, row_table_sql_name(relation));
}

PG_FUNCTION_INFO_V1(medchain_partition_root);

/* partition_root(relation regclass) -> regclass */
Datum
medchain_partition_root(PG_FUNCTION_ARGS)
{
	PG_RETURN_OID(row_table_root(PG_GETARG_OID(0)));
}

PG_FUNCTION_INFO_V1(medchain_row_table_changed);

/*
 * AFTER ROW trigger of the tables that are read here, whose first column is the relation: every
 * session reads anew.
 */
Datum
medchain_row_table_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	bool		isnull;
	Oid			relation;

	if (!CALLED_AS_TRIGGER(fcinfo))
		elog(ERROR, "medchain_row_table_changed: not called as a trigger");
	relation = DatumGetObjectId(heap_getattr(trigger->tg_trigtuple, 1,
											 RelationGetDescr(trigger->tg_relation), &isnull));
	if (get_rel_relkind(relation) != '\0')
		CacheInvalidateRelcacheByRelid(relation);
	return PointerGetDatum(NULL);
}
