/*
 * trusted.c: run our own SQL with our own rights, search path and settings.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "node/trusted.h"

Oid
trusted_schema(bool missing_ok)
{
	Oid			extension = get_extension_oid("medchain", true);

	if (!OidIsValid(extension))
	{
		if (missing_ok)
			return InvalidOid;
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("extension \"medchain\" is not installed in this database")));
	}
	return get_namespace_oid("medchain", missing_ok);
}

static Oid
trusted_owner_of(Oid relation)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("there is no table with oid %u", relation)));
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/* The owner of the ledger, who is the superuser that installed the extension. */
static Oid
trusted_owner(void)
{
	return trusted_owner_of(get_relname_relid("entry", trusted_schema(false)));
}

void
trusted_require_writable(void)
{
	if (XactReadOnly)
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("the ledger cannot be written in a read-only transaction"),
				 RecoveryInProgress() ?
				 errhint("This server is a standby: ask the primary.") :
				 errhint("Use BEGIN READ WRITE, or set default_transaction_read_only to off.")));
}

PG_FUNCTION_INFO_V1(medchain_require_writable);

/* require_writable() -> void */
Datum
medchain_require_writable(PG_FUNCTION_ARGS)
{
	trusted_require_writable();
	PG_RETURN_VOID();
}

void
trusted_begin(TrustedScope *scope)
{
	Oid			owner = trusted_owner();

	GetUserIdAndSecContext(&scope->user, &scope->context);
	SetUserIdAndSecContext(owner, scope->context | SECURITY_LOCAL_USERID_CHANGE);
	scope->nestlevel = NewGUCNestLevel();
	trusted_fix_statements();
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
}

void
trusted_end(TrustedScope *scope)
{
	SPI_finish();
	AtEOXact_GUC(true, scope->nestlevel);
	SetUserIdAndSecContext(scope->user, scope->context);
}

static void
trusted_prepare(SPIPlanPtr *plan, const char *sql, int nargs, Oid *types, int options)
{
	SPIPlanPtr	prepared;

	if (*plan != NULL)
		return;
	prepared = SPI_prepare_cursor(sql, nargs, types, options);
	if (prepared == NULL)
		elog(ERROR, "SPI_prepare failed for \"%s\": %s", sql, SPI_result_code_string(SPI_result));
	SPI_keepplan(prepared);
	*plan = prepared;
}

void
trusted_plan_anew(SPIPlanPtr *plan, const char *sql, int nargs, Oid *types)
{
	trusted_prepare(plan, sql, nargs, types, CURSOR_OPT_CUSTOM_PLAN);
}

int
trusted_execute(SPIPlanPtr *plan, const char *sql, int nargs, Oid *types,
				Datum *values, const char *nulls, bool latest)
{
	int			result;

	trusted_prepare(plan, sql, nargs, types, 0);

	/*
	 * As the catalogs are read, of a relation that is none, so that it is always a new snapshot:
	 * GetLatestSnapshot() refuses to work while this process leads a parallel query.
	 */
	if (latest)
		result = SPI_execute_snapshot(*plan, values, nulls, GetCatalogSnapshot(InvalidOid),
									  InvalidSnapshot,
									  true, false, 0);
	else
		result = SPI_execute_plan(*plan, values, nulls, false, 0);
	if (result < 0)
		elog(ERROR, "a statement failed: %s", SPI_result_code_string(result));
	return result;
}

void
trusted_read(SPIPlanPtr *plan, const char *sql, int nargs, Oid *types, Datum *values)
{
	int			result;

	trusted_prepare(plan, sql, nargs, types, 0);
	result = SPI_execute_plan(*plan, values, NULL, true, 0);
	if (result < 0)
		elog(ERROR, "a statement failed: %s", SPI_result_code_string(result));
}

PG_FUNCTION_INFO_V1(medchain_run_as_owner);

/*
 * run_as_owner(relation regclass, command text) -> void: DDL on somebody's table that may run code
 * of his, with no other rights than his own, as PostgreSQL itself builds an index.
 */
Datum
medchain_run_as_owner(PG_FUNCTION_ARGS)
{
	Oid			relation = PG_GETARG_OID(0);
	char	   *command = text_to_cstring(PG_GETARG_TEXT_PP(1));
	int			nestlevel = NewGUCNestLevel();
	Oid			user;
	int			context;
	int			result;

	GetUserIdAndSecContext(&user, &context);
	SetUserIdAndSecContext(trusted_owner_of(relation), context | SECURITY_RESTRICTED_OPERATION);
	(void) set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	result = SPI_execute(command, false, 0);
	if (result < 0)
		elog(ERROR, "statement \"%s\" failed: %s", command, SPI_result_code_string(result));
	SPI_finish();
	AtEOXact_GUC(false, nestlevel);
	SetUserIdAndSecContext(user, context);
	PG_RETURN_VOID();
}

Datum
trusted_bytea(const void *data, size_t len)
{
	bytea	   *result = palloc(VARHDRSZ + len);

	SET_VARSIZE(result, VARHDRSZ + len);
	memcpy(VARDATA(result), data, len);
	return PointerGetDatum(result);
}
