/*
 * row_proof.c: rows of ledger tables for SQL: what stands for a row, the commitment to it, and the
 * proof of one row.
 *
 * row_digest() and row_id() are for medchain's own functions: who could ask for commitments to rows
 * of his own making could try out what somebody else's row holds.  row_proof() reads the row with
 * the rights of the caller, and opens the commitment of that row alone.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/jsonb.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/typcache.h"
#include "utils/uuid.h"

#include "compat.h"
#include "core/encode.h"
#include "ledger/chain.h"
#include "ledger/row_commitment.h"
#include "ledger/row_entry.h"
#include "ledger/trusted.h"

static const RowTable *
row_proof_table(Relation relation)
{
	const RowTable *table = row_table_get(relation);

	if (table == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("rows of table \"%s\" are not on the ledger",
						RelationGetRelationName(relation)),
				 errhint("Call medchain.ledger_table() or medchain.protect() first.")));
	return table;
}

/* A row that must be one of the relation's own type. */
static HeapTupleData
row_proof_row(Relation relation, HeapTupleHeader header)
{
	HeapTupleData row = {.t_len = HeapTupleHeaderGetDatumLength(header), .t_data = header};

	if (HeapTupleHeaderGetTypeId(header) != relation->rd_rel->reltype)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the row is not one of table \"%s\"", RelationGetRelationName(relation))));
	return row;
}

PG_FUNCTION_INFO_V1(medchain_row_digest);

/*
 * row_digest(relation regclass, "row" record, version int, OUT row_id bytea, OUT row_key text, OUT
 * commitment bytea)
 */
Datum
medchain_row_digest(PG_FUNCTION_ARGS)
{
	Relation	relation = table_open(PG_GETARG_OID(0), AccessShareLock);
	const RowTable *table = row_proof_table(relation);
	HeapTupleData row = row_proof_row(relation, PG_GETARG_HEAPTUPLEHEADER(1));
	RowImage	image;
	TupleDesc	desc;
	Datum		values[3];
	bool		nulls[3] = {false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	row_image(table, RelationGetDescr(relation), &row, PG_GETARG_INT32(2), &image);
	table_close(relation, NoLock);
	values[0] = chain_bytea(image.id, HASH_LEN);
	values[1] = CStringGetTextDatum(image.key_text);
	values[2] = chain_bytea(image.commitment, HASH_LEN);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}

/* The texts of an array of as many as the key has columns; none may be null. */
static char **
row_proof_key(const RowTable *table, ArrayType *array)
{
	Datum	   *elements;
	bool	   *nulls;
	int			count;
	int			wanted = 0;
	char	  **texts;

	for (int i = 0; i < table->ncolumns; i++)
		wanted += table->columns[i].is_key;
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
	texts = palloc(sizeof(char *) * (size_t) Max(count, 1));
	for (int i = 0; i < count; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("values of the primary key must not be null")));
		texts[i] = TextDatumGetCString(elements[i]);
	}
	if (count != wanted)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the primary key has %d columns, not %d", wanted, count)));
	return texts;
}

/* A primary key's type has an operator for equality. */
static const char *
row_proof_operator_schema(Oid operator)
{
	HeapTuple	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(operator));
	char	   *schema;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator %u", operator);
	schema = get_namespace_name(((Form_pg_operator) GETSTRUCT(tuple))->oprnamespace);
	ReleaseSysCache(tuple);
	return quote_identifier(schema);
}

/*
 * Find the row by its key as the caller, who needs the rights to read it, whole; its header is
 * palloc'd in context.
 */
static HeapTupleHeader
row_proof_find(Relation relation, const RowTable *table, char **key, MemoryContext context)
{
	StringInfoData query;
	Oid			types[INDEX_MAX_KEYS];
	Datum		values[INDEX_MAX_KEYS];
	int			n = 0;
	bool		isnull;
	HeapTupleHeader header = NULL;

	initStringInfo(&query);
	appendStringInfo(&query, "SELECT %s FROM %s x WHERE", row_table_whole("x", relation),
					 row_table_sql_name(relation));
	for (int i = 0; i < table->ncolumns; i++)
		if (table->columns[i].is_key)
		{
			Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(relation),
														table->columns[i].attribute - 1);
			Oid			equals = lookup_type_cache(attribute->atttypid, TYPECACHE_EQ_OPR)->eq_opr;

			appendStringInfo(&query, "%s x.%s OPERATOR(%s.%s) $%d::%s", n > 0 ? " AND" : "",
							 quote_identifier(NameStr(attribute->attname)),
							 row_proof_operator_schema(equals), get_opname(equals),
							 n + 1, format_type_with_typemod(attribute->atttypid,
															 attribute->atttypmod));
			types[n] = TEXTOID;
			values[n] = CStringGetTextDatum(key[n]);
			n++;
		}
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute_with_args(query.data, n, types, values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read the row");
	if (SPI_processed > 0)
	{
		MemoryContext old = MemoryContextSwitchTo(context);

		header = DatumGetHeapTupleHeaderCopy(SPI_getbinval(SPI_tuptable->vals[0],
														   SPI_tuptable->tupdesc, 1, &isnull));
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	return header;
}

/* The newest entry about the row, and its receipt; both NULL if there is none. */
static void
row_proof_entry(const RowImage *image, const char *relation, char **payload, char **receipt,
				bool *pending, MemoryContext context)
{
	static SPIPlanPtr newest = NULL;
	static SPIPlanPtr proof = NULL;
	Oid			types[3] = {INT8OID, TEXTOID, BYTEAOID};
	Oid			uuid[1] = {UUIDOID};
	Datum		values[3];
	TrustedScope scope;
	bool		isnull;

	values[0] = Int64GetDatum(row_id_bits(image->id));
	values[1] = CStringGetTextDatum(relation);
	values[2] = chain_bytea(image->id, HASH_LEN);
	trusted_begin(&scope);
	trusted_read(&newest, "SELECT id, payload, late FROM medchain.row_entries($1, $2, $3) ORDER BY "
				 "late DESC, seq DESC LIMIT 1",
				 3, types, values);
	*payload = *receipt = NULL;
	if (SPI_processed > 0)
	{
		Datum		id = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);

		*payload = MemoryContextStrdup(context,
								   SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2));
		*pending = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 3,
											  &isnull));
		if (!*pending)
		{
			values[0] = id;
			trusted_read(&proof, "SELECT medchain.receipt($1, (SELECT node FROM "
						 "medchain.local_node))::text", 1, uuid, values);
			*receipt = MemoryContextStrdup(context,
								   SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
		}
	}
	trusted_end(&scope);
}

/* The receipt with the opened commitment in it. */
static Datum
row_proof_result(const RowTable *table, const RowImage *image, const char *receipt)
{
	StringInfoData json;
	char		salt[ENCODE_HEX_SIZE(ROW_SALT_LEN)];

	encode_hex(image->salt, ROW_SALT_LEN, salt);
	initStringInfo(&json);
	appendStringInfoString(&json, "{\"type\":\"row_proof\",\"row\":{\"relation\":");
	escape_json(&json, table->name);
	appendStringInfoString(&json, ",\"content\":");
	escape_json(&json, image->content.data);
	appendStringInfo(&json, ",\"salt\":\"%s\"}}", salt);
	return DirectFunctionCall2(jsonb_concat,
							   DirectFunctionCall1(jsonb_in, CStringGetDatum(receipt)),
							   DirectFunctionCall1(jsonb_in, CStringGetDatum(json.data)));
}

static void
row_proof_differs(const RowTable *table, const RowImage *image, const char *how)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("row %s of \"%s\" is not what the ledger says", image->key_text, table->name),
			 errdetail("%s", how),
			 errhint("medchain.verify_table() shows what else is not.")));
}

PG_FUNCTION_INFO_V1(medchain_row_proof);

/*
 * row_proof_of(relation regclass, key text[]) -> jsonb; key: values in the order of the key's
 * columns' names.
 */
Datum
medchain_row_proof(PG_FUNCTION_ARGS)
{
	Relation	relation = table_open(PG_GETARG_OID(0), AccessShareLock);
	const RowTable *table = row_proof_table(relation);
	char	  **key = row_proof_key(table, PG_GETARG_ARRAYTYPE_P(1));
	HeapTupleHeader header = row_proof_find(relation, table, key, CurrentMemoryContext);
	HeapTupleData row;
	RowImage	image;
	RowEntry	entry;
	char	   *payload;
	char	   *receipt;
	bool		pending = false;

	if (header == NULL)
	{
		table_close(relation, NoLock);
		PG_RETURN_NULL();
	}
	row = row_proof_row(relation, header);
	row_image(table, RelationGetDescr(relation), &row, table->version, &image);
	row_proof_entry(&image, table->name, &payload, &receipt, &pending, CurrentMemoryContext);
	if (payload == NULL)
		row_proof_differs(table, &image, "It knows nothing of this row.");
	if (!row_entry_parse(payload, strlen(payload), &entry) || !entry.has_commitment)
		row_proof_differs(table, &image, "It says that the row was deleted.");
	if (entry.version != table->version)
		row_image(table, RelationGetDescr(relation), &row, entry.version, &image);
	if (!hash_equal(entry.commitment, image.commitment))
		row_proof_differs(table, &image, "The content differs from the commitment.");
	if (pending)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the newest change of row %s of \"%s\" is not sealed yet", image.key_text,
						table->name),
				 errhint("medchain.seal() waits for it.")));
	table_close(relation, NoLock);
	return row_proof_result(table, &image, receipt);
}

PG_FUNCTION_INFO_V1(medchain_row_id);

/*
 * row_id_of(relation regclass, key text[]) -> bytea: what stands for the row with this key, which
 * need not exist (any more).  Values are read as the key's types read them, so that any spelling of
 * a value will do.
 */
Datum
medchain_row_id(PG_FUNCTION_ARGS)
{
	Relation	relation = table_open(PG_GETARG_OID(0), AccessShareLock);
	const RowTable *table = row_proof_table(relation);
	char	  **key = row_proof_key(table, PG_GETARG_ARRAYTYPE_P(1));
	uint8_t		id[HASH_LEN];

	row_id_of_key(table, relation, key, id);
	table_close(relation, NoLock);
	return chain_bytea(id, HASH_LEN);
}
