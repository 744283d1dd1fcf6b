/*
 * entry_sql.c: what SQL reads of an entry's text.
 *
 * Nothing here fails because of the text: an entry that is on the ledger since a time when more was
 * taken is shown as what it is, and stands in nobody's way.
 */
#include "postgres.h"

#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "core/encode.h"
#include "node/trusted.h"
#include "rules/entry.h"

static bool
entry_sql_read(const text *payload, Entry *entry, CoreError *error)
{
	if (entry_read(VARDATA_ANY(payload), VARSIZE_ANY_EXHDR(payload), entry, error))
		return true;
	if (error->code == CORE_INTERNAL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("%s", error->message)));
	return false;
}

PG_FUNCTION_INFO_V1(medchain_entry_body);

/* entry_body(payload text) -> text */
Datum
medchain_entry_body(PG_FUNCTION_ARGS)
{
	text	   *payload = PG_GETARG_TEXT_PP(0);
	Entry		entry;
	CoreError	error = {0};

	if (!entry_sql_read(payload, &entry, &error))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text_with_len(entry.body, (int) entry.body_len));
}

PG_FUNCTION_INFO_V1(medchain_entry_fault);

/* entry_fault(payload text) -> text */
Datum
medchain_entry_fault(PG_FUNCTION_ARGS)
{
	text	   *payload = PG_GETARG_TEXT_PP(0);
	Entry		entry;
	CoreError	error = {0};

	if (entry_sql_read(payload, &entry, &error))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(error.message));
}

PG_FUNCTION_INFO_V1(medchain_object_or_null);

/* object_or_null(value text, strict boolean) -> jsonb */
Datum
medchain_object_or_null(PG_FUNCTION_ARGS)
{
	char	   *value = text_to_cstring(PG_GETARG_TEXT_PP(0));
	CoreError	error = {0};

	if (!json_text_object(value, strlen(value),
						  PG_GETARG_BOOL(1) ? JSON_TEXT_STRICT : JSON_TEXT_UNIQUE, NULL, NULL,
						  &error))
	{
		if (error.code == CORE_INTERNAL)
			ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("%s", error.message)));
		PG_RETURN_NULL();
	}
	PG_RETURN_DATUM(DirectFunctionCall1(jsonb_in, CStringGetDatum(value)));
}

PG_FUNCTION_INFO_V1(medchain_text_leaf_hash);

/* text_leaf_hash(value text) -> bytea */
Datum
medchain_text_leaf_hash(PG_FUNCTION_ARGS)
{
	text	   *value = PG_GETARG_TEXT_PP(0);
	uint8_t		leaf[HASH_LEN];

	if (!hash_leaf(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value), leaf))
		elog(ERROR, "could not compute SHA-256");
	PG_RETURN_DATUM(trusted_bytea(leaf, HASH_LEN));
}

PG_FUNCTION_INFO_V1(medchain_text_base64);

/* text_base64(value text) -> text: null if value is UTF-8 */
Datum
medchain_text_base64(PG_FUNCTION_ARGS)
{
	text	   *value = PG_GETARG_TEXT_PP(0);
	size_t		len = VARSIZE_ANY_EXHDR(value);
	text	   *result;

	if (pg_verify_mbstr(PG_UTF8, VARDATA_ANY(value), (int) len, true))
		PG_RETURN_NULL();
	result = palloc(VARHDRSZ + ENCODE_BASE64_SIZE(len));
	encode_base64((const uint8_t *) VARDATA_ANY(value), len, VARDATA(result));
	SET_VARSIZE(result, VARHDRSZ + ENCODE_BASE64_SIZE(len) - 1);
	PG_RETURN_TEXT_P(result);
}
