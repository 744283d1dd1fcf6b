/*
 * row_history.c: what the ledger says about one row.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/tuplestore.h"

#include "node/trusted.h"
#include "rows/row_key.h"
#include "rows/row_run.h"

/*
 * Where row security decides which rows somebody sees, as it does in a protected table, that there
 * is a row and when it changed is nothing for everybody who may read the table: where there is no
 * key, he could try out what others' rows say.
 */
static void
row_history_require(const RowKey *key)
{
	bool		some_only = key->table->subject != InvalidAttrNumber ||
	check_enable_rls(RelationGetRelid(key->relation), InvalidOid, true) == RLS_ENABLED;

	if (row_key_may_select(key) &&
		(!some_only ||
		 is_member_of_role(GetUserId(), get_role_oid("medchain_admin", false)) ||
		 is_member_of_role(GetUserId(), get_role_oid("medchain_auditor", false))))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied for the history of table \"%s\"",
					RelationGetRelationName(key->relation)),
			 !some_only ? 0 :
			 errdetail("Not everybody sees all of its rows: its history is for members of "
					   "medchain_admin and medchain_auditor who may read the table.")));
}

/* What row_words() says about the row that a call names. */
static Datum
row_history(FunctionCallInfo fcinfo, RowKeyForm form)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[2] = {REGCLASSOID, BYTEAOID};
	Datum		values[2];
	uint8_t		id[HASH_LEN];
	RowKey		key;
	ReturnSetInfo *result;
	TrustedScope scope;
	bool		appended;

	InitMaterializedSRF(fcinfo, 0);
	result = (ReturnSetInfo *) fcinfo->resultinfo;
	row_key_begin(&key, fcinfo);
	row_history_require(&key);
	row_key_read(&key, fcinfo, form);
	row_key_id(&key, id);
	values[0] = ObjectIdGetDatum(key.table->root);
	values[1] = trusted_bytea(id, HASH_LEN);
	appended = row_run_read_begin();
	trusted_begin(&scope);
	trusted_read(&plan, "SELECT * FROM medchain_internal.row_words($1, $2)", 2, types, values);
	for (uint64 i = 0; i < SPI_processed; i++)
		tuplestore_puttuple(result->setResult, SPI_tuptable->vals[i]);
	trusted_end(&scope);
	row_run_read_end(appended);
	row_key_end(&key);
	return (Datum) 0;
}

PG_FUNCTION_INFO_V1(medchain_row_history);
PG_FUNCTION_INFO_V1(medchain_row_history_of_value);
PG_FUNCTION_INFO_V1(medchain_row_history_of);

/* row_history(relation regclass, key text) -> setof record */
Datum
medchain_row_history(PG_FUNCTION_ARGS)
{
	return row_history(fcinfo, ROW_KEY_TEXT);
}

/* row_history(relation regclass, key anyelement) -> setof record */
Datum
medchain_row_history_of_value(PG_FUNCTION_ARGS)
{
	return row_history(fcinfo, ROW_KEY_VALUE);
}

/* row_history_of(relation regclass, key text[]) -> setof record */
Datum
medchain_row_history_of(PG_FUNCTION_ARGS)
{
	return row_history(fcinfo, ROW_KEY_TEXTS);
}
