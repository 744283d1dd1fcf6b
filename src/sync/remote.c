/*
 * remote.c: talk to a peer's database over libpq, by PostgreSQL's own walreceiver interface.
 *
 * The replication login of a peer may do nothing but replicate and call the few
 * functions granted to medchain_peer; these are what the queries here call.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "replication/walreceiver.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/pg_lsn.h"
#include "utils/tuplestore.h"

#include "compat.h"

#define REMOTE_APPLICATION "medchain"

/* First column of the first row, or NULL; ERROR if the command fails there. */
static char *
remote_value(WalReceiverConn *connection, const char *sql)
{
	Oid			types[1] = {TEXTOID};
	WalRcvExecResult *result = walrcv_exec(connection, sql, 1, types);
	char	   *value = NULL;

	if (result->status == WALRCV_OK_TUPLES)
	{
		TupleTableSlot *slot = MakeSingleTupleTableSlot(result->tupledesc, &TTSOpsMinimalTuple);

		if (tuplestore_gettupleslot(result->tuplestore, true, false, slot))
		{
			bool		isnull;
			Datum		datum = slot_getattr(slot, 1, &isnull);

			if (!isnull)
				value = TextDatumGetCString(datum);
		}
		ExecDropSingleTupleTableSlot(slot);
	}
	else if (result->status != WALRCV_OK_COMMAND)
	{
		char	   *error = pstrdup(result->err ? result->err : "unknown error");

		walrcv_clear_result(result);
		ereport(ERROR,
				(errcode(ERRCODE_CONNECTION_EXCEPTION),
				 errmsg("the peer refused: %s", error)));
	}
	walrcv_clear_result(result);
	return value;
}

/*
 * Who may call us, and is no superuser, names the database that our connection goes to, and what he
 * has put there is called: with the right conninfo, and this server's own way into itself, he would
 * be its superuser.
 */
static void
remote_refuse_superuser(WalReceiverConn *connection)
{
	bool		refused = true;

	if (superuser_arg(GetOuterUserId()))
		return;
	PG_TRY();
	{
		char	   *superuser = remote_value(connection,
								  "SELECT r.rolsuper::pg_catalog.text FROM pg_catalog.pg_roles r "
										   "WHERE r.rolname OPERATOR(pg_catalog.=) session_user");

		refused = superuser == NULL || strcmp(superuser, "false") != 0;
	}
	PG_FINALLY();
	{
		if (refused)
			walrcv_disconnect(connection);
	}
	PG_END_TRY();
	if (refused)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("the login at the peer is a superuser there"),
				 errhint("Use one with REPLICATION that is a member of medchain_peer and nothing "
						 "else; superusers may use others.")));
}

/* ERROR, with the peer's words, if it can't be reached. */
static WalReceiverConn *
remote_connect(const char *conninfo)
{
	char	   *error = NULL;
	WalReceiverConn *connection;

	load_file("libpqwalreceiver", false);
	compat_walrcv_check_conninfo(conninfo);
	connection = compat_walrcv_connect(conninfo, REMOTE_APPLICATION, &error);
	if (connection == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CONNECTION_FAILURE),
				 errmsg("could not connect to the peer"),
				 errdetail("%s", error ? error : "unknown error"),
				 errhint("The peer needs a role with LOGIN and REPLICATION that is a member of "
						 "medchain_peer, and a line in pg_hba.conf for this database.")));
	remote_refuse_superuser(connection);
	return connection;
}

PG_FUNCTION_INFO_V1(medchain_remote_call);

/* remote_call(conninfo text, query text) -> text: run a query at the peer; its one value. */
Datum
medchain_remote_call(PG_FUNCTION_ARGS)
{
	char	   *conninfo = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *query = text_to_cstring(PG_GETARG_TEXT_PP(1));
	WalReceiverConn *connection = remote_connect(conninfo);
	char	   *value = NULL;

	PG_TRY();
	{
		value = remote_value(connection, query);
	}
	PG_FINALLY();
	{
		walrcv_disconnect(connection);
	}
	PG_END_TRY();
	if (value == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(value));
}

PG_FUNCTION_INFO_V1(medchain_remote_create_slot);

/*
 * remote_create_slot(conninfo text, slot text, leftovers text[]) -> void: a logical slot at the
 * peer.  Those of these names that an earlier, rolled back attempt of ours left behind are dropped:
 * slots do not take part in transactions.
 */
Datum
medchain_remote_create_slot(PG_FUNCTION_ARGS)
{
	char	   *conninfo = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *slot = text_to_cstring(PG_GETARG_TEXT_PP(1));
	char	   *leftovers = OidOutputFunctionCall(F_ARRAY_OUT, PG_GETARG_DATUM(2));
	WalReceiverConn *connection = remote_connect(conninfo);

	PG_TRY();
	{
		XLogRecPtr	lsn;

		(void) remote_value(connection,
					psprintf("SELECT count(pg_catalog.pg_drop_replication_slot(slot_name))::text "
							 "FROM pg_catalog.pg_replication_slots "
							 "WHERE slot_name = ANY (%s) AND NOT active",
							 quote_literal_cstr(leftovers)));
		(void) compat_walrcv_create_slot(connection, slot, &lsn);
	}
	PG_FINALLY();
	{
		walrcv_disconnect(connection);
	}
	PG_END_TRY();
	PG_RETURN_VOID();
}
