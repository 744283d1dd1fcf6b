/*
 * row_proof.c: what one row says now, for somebody who has no access to the database.
 *
 * The row is read with the rights of the caller, and the commitment of that row alone is opened.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/acl.h"
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
#include "ledger/row_key.h"
#include "ledger/trusted.h"

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

/* What the type of a key's column calls equal, for an SQL text. */
static const char *
row_proof_equals(Form_pg_attribute attribute)
{
	Oid			operator = lookup_type_cache(attribute->atttypid, TYPECACHE_EQ_OPR)->eq_opr;
	HeapTuple	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(operator));
	Form_pg_operator form;
	const char *text;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			   errmsg("rows cannot be found by their column \"%s\"", NameStr(attribute->attname)),
				 errdetail("Its type has no operator class of its own by default.")));
	form = (Form_pg_operator) GETSTRUCT(tuple);
	text = psprintf("OPERATOR(%s.%s)", quote_identifier(get_namespace_name(form->oprnamespace)),
					NameStr(form->oprname));

	ReleaseSysCache(tuple);
	return text;
}

/*
 * Find the row by its key as the caller, who needs the rights to read it, whole; its header is
 * palloc'd in context.
 */
static HeapTupleHeader
row_proof_find(const RowKey *key, MemoryContext context)
{
	TupleDesc	desc = RelationGetDescr(key->relation);
	StringInfoData query;
	Oid			types[INDEX_MAX_KEYS];
	bool		isnull;
	HeapTupleHeader header = NULL;

	initStringInfo(&query);
	appendStringInfo(&query, "SELECT %s FROM %s x WHERE", row_table_whole("x", key->relation),
					 row_table_sql_name(key->relation));
	for (int i = 0; i < key->count; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, key->attributes[i] - 1);

		appendStringInfo(&query, "%s x.%s %s $%d", i > 0 ? " AND" : "",
						 quote_identifier(NameStr(attribute->attname)),
						 row_proof_equals(attribute), i + 1);
		types[i] = getBaseType(attribute->atttypid);
	}
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute_with_args(query.data, key->count, types, (Datum *) key->values, NULL, true,
							  1) != SPI_OK_SELECT)
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

/* The proof of the row that a call names. */
static Datum
row_proof(FunctionCallInfo fcinfo, RowKeyForm form)
{
	RowKey		key;
	HeapTupleHeader header;
	HeapTupleData row;
	RowImage	image;
	RowEntry	entry;
	char	   *payload;
	char	   *receipt;
	bool		pending = false;

	row_key_begin(&key, fcinfo);
	if (!row_key_may_select(&key))
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, RelationGetRelationName(key.relation));
	row_key_read(&key, fcinfo, form);
	header = row_proof_find(&key, CurrentMemoryContext);
	if (header == NULL)
	{
		row_key_end(&key);
		PG_RETURN_NULL();
	}
	row = row_proof_row(key.relation, header);
	row_image(key.table, RelationGetDescr(key.relation), &row, key.table->version, &image);
	row_proof_entry(&image, key.table->name, &payload, &receipt, &pending, CurrentMemoryContext);
	if (payload == NULL)
		row_proof_differs(key.table, &image, "It knows nothing of this row.");
	if (!row_entry_parse(payload, strlen(payload), &entry) || !entry.has_commitment)
		row_proof_differs(key.table, &image, "It says that the row was deleted.");
	if (entry.version != key.table->version)
		row_image(key.table, RelationGetDescr(key.relation), &row, entry.version, &image);
	if (!hash_equal(entry.commitment, image.commitment))
		row_proof_differs(key.table, &image, "The content differs from the commitment.");
	if (pending)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the newest change of row %s of \"%s\" is not sealed yet", image.key_text,
						key.table->name),
				 errhint("medchain.seal() waits for it.")));
	row_key_end(&key);
	return row_proof_result(key.table, &image, receipt);
}

PG_FUNCTION_INFO_V1(medchain_row_proof);
PG_FUNCTION_INFO_V1(medchain_row_proof_of_value);
PG_FUNCTION_INFO_V1(medchain_row_proof_of);

/* row_proof(relation regclass, key text) -> jsonb */
Datum
medchain_row_proof(PG_FUNCTION_ARGS)
{
	return row_proof(fcinfo, ROW_KEY_TEXT);
}

/* row_proof(relation regclass, key anyelement) -> jsonb */
Datum
medchain_row_proof_of_value(PG_FUNCTION_ARGS)
{
	return row_proof(fcinfo, ROW_KEY_VALUE);
}

/* row_proof_of(relation regclass, key text[]) -> jsonb */
Datum
medchain_row_proof_of(PG_FUNCTION_ARGS)
{
	return row_proof(fcinfo, ROW_KEY_TEXTS);
}
