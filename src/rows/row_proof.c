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
#include "ledger/payload.h"
#include "node/trusted.h"
#include "rows/row_commitment.h"
#include "rows/row_entry.h"
#include "rows/row_key.h"
#include "rows/row_run.h"
#include "rows/row_set_read.h"

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

/*
 * Column "x.<name>" is parameter n, for an SQL text: by what its type calls equal, or by its text,
 * as that of json.
 */
static char *
row_proof_equals(Form_pg_attribute attribute, int n)
{
	const char *name = quote_identifier(NameStr(attribute->attname));
	Oid			operator = lookup_type_cache(attribute->atttypid, TYPECACHE_EQ_OPR)->eq_opr;
	HeapTuple	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(operator));
	Form_pg_operator form;
	char	   *text;

	if (!HeapTupleIsValid(tuple))
		return psprintf("(x.%s)::pg_catalog.text OPERATOR(pg_catalog.=) ($%d)::pg_catalog.text",
						name, n);
	form = (Form_pg_operator) GETSTRUCT(tuple);
	text = psprintf("x.%s OPERATOR(%s.%s) $%d", name,
					quote_identifier(get_namespace_name(form->oprnamespace)),
					NameStr(form->oprname), n);

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
	Oid		   *types = palloc(sizeof(Oid) * (size_t) Max(key->count, 1));
	char	   *nulls = palloc0((size_t) key->count + 1);
	bool		isnull;
	HeapTupleHeader header = NULL;

	initStringInfo(&query);

	/* rows of tables that inherit from it are rows of theirs */
	appendStringInfo(&query, "SELECT %s FROM %s%s x WHERE", row_table_whole("x", key->relation),
					 key->relation->rd_rel->relkind == RELKIND_PARTITIONED_TABLE ? "" : "ONLY ",
					 row_table_sql_name(key->relation));
	for (int i = 0; i < key->count; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, key->attributes[i] - 1);

		nulls[i] = key->nulls[i] ? 'n' : ' ';
		appendStringInfoString(&query, i > 0 ? " AND " : " ");
		if (key->nulls[i])
			/* IS NULL would take a row of nulls for one */
			appendStringInfo(&query, "x.%s IS NOT DISTINCT FROM NULL",
							 quote_identifier(NameStr(attribute->attname)));
		else
			appendStringInfoString(&query, row_proof_equals(attribute, i + 1));
		types[i] = getBaseType(attribute->atttypid);
	}
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (SPI_execute_with_args(query.data, key->count, types, (Datum *) key->values, nulls, true,
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

/* What the ledger said last about the row. */
typedef struct RowWord
{
	char	   *payload;		/* of the entry; NULL: nothing */
	char	   *receipt;		/* NULL: it is not sealed yet */
	int64		copies;			/* where there is no key: rows like that, by what it said */
	bool		in_set;			/* with other rows, at this place: */
	int64		place;
	pg_uuid_t	entry;
	int			version;
	RowItem		item;
} RowWord;

/* Of an item of a set, everything that is hashed; of another entry the commitment is enough. */
static void
row_proof_read_word(RowWord *word, HeapTuple row, TupleDesc desc, const RowImage *image,
					MemoryContext context)
{
	bool		isnull;
	Datum		value;
	char	   *kind = SPI_getvalue(row, desc, 4);

	word->entry = *DatumGetUUIDP(SPI_getbinval(row, desc, 1, &isnull));
	word->payload = MemoryContextStrdup(context, SPI_getvalue(row, desc, 2));
	value = SPI_getbinval(row, desc, 5, &isnull);
	word->in_set = !isnull;
	word->place = isnull ? 0 : DatumGetInt64(value);
	word->version = DatumGetInt32(SPI_getbinval(row, desc, 6, &isnull));
	if (!row_item_operation(kind + strlen("row."), &word->item.operation))
		elog(ERROR, "\"%s\" is no kind of entry about a row", kind);
	memcpy(word->item.row, image->id, HASH_LEN);
	for (int i = 0; i < 2; i++)
	{
		bytea	   *hash;

		value = SPI_getbinval(row, desc, 7 + i, &isnull);
		if (isnull)
			continue;
		hash = DatumGetByteaPP(value);
		if (VARSIZE_ANY_EXHDR(hash) == HASH_LEN)
			memcpy(i == 0 ? word->item.commitment : word->item.previous, VARDATA_ANY(hash),
				   HASH_LEN);
	}
}

static void
row_proof_word(const RowImage *image, const RowTable *table, RowWord *word)
{
	static SPIPlanPtr newest = NULL;
	static SPIPlanPtr copies = NULL;
	static SPIPlanPtr proof = NULL;
	Oid			types[4] = {INT8OID, TEXTOID, BYTEAOID, BOOLOID};
	Oid			uuid[1] = {UUIDOID};
	Datum		values[4];
	MemoryContext caller = CurrentMemoryContext;
	TrustedScope scope;
	bool		isnull;

	values[0] = Int64GetDatum(row_id_bits(image->id));
	values[1] = CStringGetTextDatum(table->name);
	values[2] = trusted_bytea(image->id, HASH_LEN);
	values[3] = BoolGetDatum(table->keyless);
	memset(word, 0, sizeof(*word));
	trusted_begin(&scope);
	trusted_read(&newest, "SELECT id, payload, late, kind, place, version, commitment, previous "
				 "FROM medchain_internal.row_entries($1, $2, $3) WHERE NOT $4 OR commitment IS "
				 "NOT NULL "
				 "ORDER BY late DESC, seq DESC, place DESC LIMIT 1",
				 4, types, values);
	if (SPI_processed > 0)
	{
		HeapTuple	row = SPI_tuptable->vals[0];
		TupleDesc	desc = SPI_tuptable->tupdesc;

		row_proof_read_word(word, row, desc, image, caller);
		if (!DatumGetBool(SPI_getbinval(row, desc, 3, &isnull)))
		{
			values[0] = UUIDPGetDatum(&word->entry);
			trusted_read(&proof, "SELECT medchain.receipt($1, (SELECT node FROM "
						 "medchain.local_node))::text", 1, uuid, values);
			word->receipt = MemoryContextStrdup(caller,
								   SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1));
		}
	}
	if (word->payload != NULL && table->keyless)
	{
		values[0] = Int64GetDatum(row_id_bits(image->id));
		trusted_read(&copies, "SELECT medchain_internal.row_copies($1, $2, $3)", 3, types, values);
		word->copies = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1,
												   &isnull));
	}
	trusted_end(&scope);
}

/* What leads from the row's item to the root in the entry. */
static void
row_proof_set(StringInfo json, const RowWord *word)
{
	uint8_t		hashes[PROOF_MAX_HASHES][HASH_LEN];
	int			nhashes;
	RowSetSays	says;
	TrustedScope scope;
	bool		proven;

	trusted_begin(&scope);
	proven = row_entry_parse_set(word->payload, (int) strlen(word->payload), &says) &&
		row_set_prove(&word->entry, &says, word->place, hashes, &nhashes);
	trusted_end(&scope);
	if (!proven)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("what is kept of the rows of entry %s is damaged",
						DatumGetCString(DirectFunctionCall1(uuid_out,
															UUIDPGetDatum(&word->entry)))),
				 errhint("medchain.verify() says where.")));
	appendStringInfo(json, ",\"set\":{\"operation\":\"%s\",\"index\":%lld",
					 row_item_word(word->item.operation), (long long) word->place);
	payload_add_hash(json, "row", word->item.row);
	if (row_item_has_previous(word->item.operation))
		payload_add_hash(json, "previous", word->item.previous);
	appendStringInfoString(json, ",\"hashes\":[");
	for (int i = 0; i < nhashes; i++)
	{
		char		hex[ENCODE_HEX_SIZE(HASH_LEN)];

		encode_hex(hashes[i], HASH_LEN, hex);
		appendStringInfo(json, "%s\"%s\"", i > 0 ? "," : "", hex);
	}
	appendStringInfoString(json, "]}");
}

/* The receipt with the opened commitment in it. */
static Datum
row_proof_result(const RowTable *table, const RowImage *image, const RowWord *word)
{
	StringInfoData json;
	char		salt[ENCODE_HEX_SIZE(ROW_SALT_LEN)];

	if (image->content_len > JENTRY_OFFLENMASK)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("row %s of \"%s\" is too long for a proof", image->key_text, table->name),
				 errdetail("Its text has %zu bytes, a proof holds at most %d.", image->content_len,
						   JENTRY_OFFLENMASK)));
	encode_hex(image->salt, ROW_SALT_LEN, salt);
	initStringInfo(&json);
	appendStringInfoString(&json, "{\"type\":\"row_proof\",\"row\":{\"relation\":");
	escape_json(&json, table->name);
	appendStringInfoString(&json, ",\"content\":");
	escape_json(&json, image->content);
	appendStringInfo(&json, ",\"salt\":\"%s\"", salt);
	if (word->in_set)
		row_proof_set(&json, word);
	appendStringInfoString(&json, "}}");
	return DirectFunctionCall2(jsonb_concat,
							   DirectFunctionCall1(jsonb_in, CStringGetDatum(word->receipt)),
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

/* What the ledger says about the row as it is, with its image by the columns that it speaks of. */
static void
row_proof_compare(const RowKey *key, HeapTuple row, RowImage *image, RowWord *word)
{
	TupleDesc	desc = RelationGetDescr(key->relation);

	row_image(key->table, desc, row, key->table->version, image);
	row_proof_word(image, key->table, word);
	if (word->payload == NULL)
		row_proof_differs(key->table, image, "It knows nothing of this row.");
	if (!row_item_has_commitment(word->item.operation) ||
		(key->table->keyless && word->copies <= 0))
		row_proof_differs(key->table, image, "It says that the row was deleted.");
	if (word->version != key->table->version)
		row_image(key->table, desc, row, word->version, image);
	if (!hash_equal(word->item.commitment, image->commitment))
		row_proof_differs(key->table, image, "The content differs from the commitment.");
	if (word->receipt == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the newest change of row %s of \"%s\" is not sealed yet",
						image->key_text, key->table->name),
				 errhint("medchain.seal() waits for it.")));
}

/* The proof of the row that a call names. */
static Datum
row_proof(FunctionCallInfo fcinfo, RowKeyForm form)
{
	RowKey		key;
	HeapTupleHeader header;
	HeapTupleData row;
	RowImage	image;
	RowWord		word;
	bool		appended;
	Datum		result = (Datum) 0;

	row_key_begin(&key, fcinfo);
	if (!row_key_may_select(&key))
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, RelationGetRelationName(key.relation));
	row_key_read(&key, fcinfo, form);
	appended = row_run_read_begin();
	header = row_proof_find(&key, CurrentMemoryContext);
	if (header != NULL)
	{
		row = row_proof_row(key.relation, header);
		row_proof_compare(&key, &row, &image, &word);
		result = row_proof_result(key.table, &image, &word);
	}
	row_run_read_end(appended);
	row_key_end(&key);
	if (header == NULL)
		PG_RETURN_NULL();
	return result;
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
