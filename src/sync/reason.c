/*
 * reason.c: why a connection to a peer fails, as a hint that helps.
 *
 * PostgreSQL's walreceiver interface has nothing but libpq's words for it, and these
 * are in the language of whichever server spoke.  So the connection is tried
 * once more with libpq itself, which can be told to give SQLSTATEs instead of
 * words (PQERRORS_SQLSTATE), and whose status tells how far it got.
 */
#include "postgres.h"

#include <unistd.h>

#include "libpq-fe.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/errcodes.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "compat.h"
#include "node/steady.h"
#include "sync/reason.h"

#define REASON_PATIENCE 5000	/* milliseconds: the attempt that failed has had its time already */

/* How far a connection got. */
typedef struct Reason
{
	bool		answered;		/* somebody took the connection */
	bool		tls;			/* it stopped while TLS was being agreed on */
	bool		local;			/* a file that it names cannot be read here */
	bool		needs_password;
	int			sqlstate;		/* what the server said; 0: nothing */
} Reason;

static void
reason_wait(PGconn *connection, PostgresPollingStatusType status, long timeout)
{
	int			events = WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH;

	events |= status == PGRES_POLLING_READING ? WL_SOCKET_READABLE : WL_SOCKET_WRITEABLE;
	(void) WaitLatchOrSocket(MyLatch, events, PQsocket(connection), timeout, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/*
 * The first SQLSTATE in libpq's message: five digits or capitals at the end of a line, behind
 * two blanks.
 */
static int
reason_sqlstate(const char *message)
{
	for (const char *at = strstr(message, "  "); at != NULL; at = strstr(at + 1, "  "))
	{
		const char *code = at + 2;

		if (strspn(code, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5 && (code[5] == '\n' ||
																		  code[5] == '\0'))
			return MAKE_SQLSTATE(code[0], code[1], code[2], code[3], code[4]);
	}
	return 0;
}

/* Is there a file for TLS that is named and cannot be read?  They are this server's own. */
static bool
reason_unreadable(PGconn *connection)
{
	static const char *const files[] = {"sslrootcert", "sslcert", "sslkey"};
	PQconninfoOption *options = PQconninfo(connection);
	bool		unreadable = false;

	for (PQconninfoOption *option = options; option != NULL && option->keyword != NULL; option++)
		for (int i = 0; i < lengthof(files); i++)
			if (strcmp(option->keyword, files[i]) == 0 && option->val != NULL &&
				option->val[0] == '/' && access(option->val, R_OK) != 0)
				unreadable = true;
	PQconninfoFree(options);
	return unreadable;
}

static void
reason_follow(PGconn *connection, Reason *reason)
{
	TimestampTz end = TimestampTzPlusMilliseconds(steady_now(), REASON_PATIENCE);
	PostgresPollingStatusType status = PGRES_POLLING_WRITING;
	long		left;

	(void) PQsetErrorVerbosity(connection, PQERRORS_SQLSTATE);
	while (PQstatus(connection) != CONNECTION_BAD &&
		   (status == PGRES_POLLING_READING || status == PGRES_POLLING_WRITING) &&
		   (left = TimestampDifferenceMilliseconds(steady_now(), end)) > 0)
	{
		reason_wait(connection, status, left);
		reason->answered = reason->answered || PQstatus(connection) > CONNECTION_STARTED;
		reason->tls = PQstatus(connection) == CONNECTION_SSL_STARTUP || PQsslInUse(connection);
		status = PQconnectPoll(connection);
	}
	reason->local = reason->tls && reason_unreadable(connection);
	reason->needs_password = PQconnectionNeedsPassword(connection) != 0;
	reason->sqlstate = reason_sqlstate(PQerrorMessage(connection));
}

const char *
reason_connection(const char *conninfo)
{
	const char *const keywords[] = {"dbname", "replication", "fallback_application_name", NULL};
	const char *const values[] = {conninfo, "database", "medchain", NULL};
	PGconn	   *connection = PQconnectStartParams(keywords, values, 1);
	Reason		reason = {0};

	if (connection == NULL)
		return NULL;
	PG_TRY();
	{
		reason_follow(connection, &reason);
	}
	PG_FINALLY();
	{
		PQfinish(connection);
	}
	PG_END_TRY();

	switch (reason.sqlstate)
	{
		case ERRCODE_INVALID_PASSWORD:
			return "The peer does not accept this login's password. A certificate does without "
				"one: method cert in its pg_hba.conf.";
		case ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION:
			return "At the peer the login must exist, with LOGIN, and the first line of "
				"pg_hba.conf that fits it, its database and this "
				"address must let it in; with method cert, sslcert must name a file that is here, "
				"and pg_ident.conf there has to map the certificate's name to the login.";
		case ERRCODE_UNDEFINED_DATABASE:
			return "There is no such database at the peer: look at dbname.";
		case ERRCODE_INSUFFICIENT_PRIVILEGE:
			return "At the peer the login needs REPLICATION, ALTER ROLE ... REPLICATION, and the "
				"privilege CONNECT on the database.";
		case ERRCODE_TOO_MANY_CONNECTIONS:
			return "The peer has no connection left: look at max_wal_senders and max_connections "
				"there, and at the login's CONNECTION LIMIT.";
		case ERRCODE_CANNOT_CONNECT_NOW:
			return "The peer's server is starting up, or shutting down: try again.";
		case ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE:
			return "The peer does not take such connections now: look at wal_level, which must "
				"be logical, and at its server log.";
	}
	if (reason.sqlstate != 0)
		return "The peer's server log says more.";
	if (reason.needs_password)
		return "The peer wants a password: passfile=... names a file that has it. A certificate "
			"does without: method cert in its pg_hba.conf.";
	if (!reason.answered)
		return "Nobody answers there: look at host and port, at listen_addresses of the peer's "
			"server, and at the firewalls between; or, if the message is about an option, at how "
			"that is spelt.";
	if (reason.local)
		return "The peer answers, and a file that sslrootcert, sslcert or sslkey names is not "
			"here, or not readable by this server's user: these are files of this server.";
	if (reason.tls)
		return "The peer answers, and TLS does not come about: its server needs ssl = on, a "
			"certificate for the name in host that leads to "
			"sslrootcert, and an ssl_ca_file that sslcert leads to; sslkey must be sslcert's, "
			"and readable by this server's user alone.";
	return "The peer answers, and ends the connection: its server log says why.";
}

const char *
reason_answer(int sqlstate)
{
	switch (sqlstate)
	{
		case ERRCODE_UNDEFINED_FUNCTION:
		case ERRCODE_INVALID_SCHEMA_NAME:
			return "The peer's database needs the extension: CREATE EXTENSION medchain "
				"there; is dbname the right one?";
		case ERRCODE_INSUFFICIENT_PRIVILEGE:
			return "At the peer the login must be a member of medchain_peer: GRANT medchain_peer "
				"TO it.";
		default:
			return NULL;
	}
}

void
reason_check_conninfo(const char *conninfo)
{
	char	   *message = NULL;
	PQconninfoOption *options = PQconninfoParse(conninfo, &message);
	bool		fine = options != NULL;

	PQconninfoFree(options);
	PQfreemem(message);
	if (!fine || strspn(conninfo, " \t\r\n") == strlen(conninfo))
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("invalid connection string"),
				 errhint("It consists of pairs as in \"host=dc.example dbname=hospital "
						 "user=alliance sslmode=verify-full\"; values with blanks stand in single "
						 "quotes.")));
}
