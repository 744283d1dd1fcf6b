/*
 * remote.c: talk to a peer's database over libpq, by PostgreSQL's own walreceiver interface.
 *
 * The replication login of a peer may do nothing but replicate and call the few
 * functions granted to medchain_peer; these are what the queries here call.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/parsenodes.h"
#include "replication/walreceiver.h"
#include "tcop/dest.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/pg_lsn.h"
#include "utils/tuplestore.h"

#include "compat.h"
#include "sync/conceal.h"
#include "sync/reason.h"
#include "sync/remote.h"

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
		const char *hint = reason_answer(result->sqlstate);

		walrcv_clear_result(result);
		ereport(ERROR,
				(errcode(ERRCODE_CONNECTION_EXCEPTION),
				 errmsg("the peer refused: %s", error),
				 hint ? errhint("%s", hint) : 0));
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
	volatile bool refused = true;	/* also where an error comes back to */

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

WalReceiverConn *
remote_connect(const char *conninfo)
{
	char	   *error = NULL;
	const char *concealed = conceal_reason(conninfo);
	WalReceiverConn *connection;

	conceal_activity();
	reason_check_conninfo(conninfo);
	load_file("libpqwalreceiver", false);
	connection = compat_walrcv_connect(conninfo, REMOTE_APPLICATION, &error);
	if (connection == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CONNECTION_FAILURE),
				 errmsg("could not connect to the peer"),
				 errdetail("%s", error ? error : "unknown error"),
				 concealed ? errdetail_log("%s", concealed) : 0,
				 errhint("%s", reason_connection(conninfo))));
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

/*
 * ERROR where the peer's server could not make or serve a slot, with the setting that is at
 * fault.
 */
static void
remote_require_room(WalReceiverConn *connection)
{
	char	   *missing = remote_value(connection,
									   "SELECT CASE"
								" WHEN current_setting('wal_level') <> 'logical' THEN 'wal_level'"
								" WHEN (SELECT count(*) FROM pg_catalog.pg_replication_slots) >= "
				"current_setting('max_replication_slots')::int THEN 'max_replication_slots' END");

	if (missing == NULL)
		return;
	if (strcmp(missing, "wal_level") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the peer's server cannot be followed"),
				 errhint("Set wal_level = logical in its postgresql.conf, and restart it.")));
	ereport(ERROR,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("the peer's server has no replication slot left"),
			 errhint("Raise %s in its postgresql.conf and restart it, or drop slots there that "
					 "nobody uses.", missing)));
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
		remote_require_room(connection);
		(void) compat_walrcv_create_slot(connection, slot, &lsn);
	}
	PG_FINALLY();
	{
		walrcv_disconnect(connection);
	}
	PG_END_TRY();
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(medchain_create_subscription);

/*
 * create_subscription(name name, conninfo text, publication text, failover boolean, is_binary
 * boolean) -> void: as the statement would, but there is no statement: a connection string may hold
 * a password, and statements are in logs, contexts of errors and pg_stat_statements.
 */
Datum
medchain_create_subscription(PG_FUNCTION_ARGS)
{
	char	   *name = NameStr(*PG_GETARG_NAME(0));
	CreateSubscriptionStmt *create = makeNode(CreateSubscriptionStmt);
	PlannedStmt *statement = makeNode(PlannedStmt);

	create->subname = pstrdup(name);
	create->conninfo = text_to_cstring(PG_GETARG_TEXT_PP(1));
	create->publication = list_make1(makeString(text_to_cstring(PG_GETARG_TEXT_PP(2))));

	/* what a peer has not committed is nothing that we should keep for it, in files or processes */
	create->options = list_make3(makeDefElem("create_slot", (Node *) makeBoolean(false), -1),
								 makeDefElem("slot_name", (Node *) makeString(pstrdup(name)), -1),
								 makeDefElem("streaming", (Node *) makeBoolean(false), -1));
	if (PG_GETARG_BOOL(3))		/* an option since 17 */
		create->options = lappend(create->options,
								  makeDefElem("failover", (Node *) makeBoolean(true), -1));
	if (PG_GETARG_BOOL(4))
		create->options = lappend(create->options,
								  makeDefElem("binary", (Node *) makeBoolean(true), -1));
	statement->commandType = CMD_UTILITY;
	statement->utilityStmt = (Node *) create;
	statement->stmt_location = -1;
	ProcessUtility(statement, "CREATE SUBSCRIPTION", false, PROCESS_UTILITY_QUERY, NULL, NULL,
				   None_Receiver, NULL);
	CommandCounterIncrement();
	PG_RETURN_VOID();
}
