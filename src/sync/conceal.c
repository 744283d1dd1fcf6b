/*
 * conceal.c: keep passwords in connection strings out of the server's log.
 *
 * Who calls join_alliance() or connect_peer() gives a connection string, which may
 * hold a password.  PostgreSQL logs statements, parameters and contexts
 * (log_statement, log_min_duration_statement, log_min_error_statement,
 * log_parameter_max_length, auto_explain ...) before or beside anything that the
 * function called could do about it; so it is done where all of it passes,
 * emit_log_hook.  A text about one of these calls ends where the password would
 * begin: what follows is not parsed, so that no quoting can get around it.
 */
#include "postgres.h"

#include "tcop/tcopprot.h"
#include "utils/backend_status.h"
#include "utils/elog.h"

#include "sync/conceal.h"

/* Functions of medchain whose arguments are connection strings. */
static const char *const conceal_calls[] = {"join_alliance", "connect_peer"};

static emit_log_hook_type conceal_next = NULL;

static bool
conceal_is_call(const char *said)
{
	if (said == NULL)
		return false;
	for (size_t i = 0; i < lengthof(conceal_calls); i++)
		if (strcasestr(said, conceal_calls[i]) != NULL)
			return true;
	return false;
}

/*
 * Where a password may begin: behind "password" (or sslpassword) as a keyword, or the "://" of
 * a URI; NULL: nowhere. In a text that holds the call itself, the word alone is enough: SQL can
 * put the rest together in many ways.
 */
static const char *
conceal_secret(const char *said)
{
	bool		call = conceal_is_call(said);

	for (; said != NULL && *said != '\0'; said++)
	{
		if (strncmp(said, "://", 3) == 0)
			return said + 3;

		if (pg_strncasecmp(said, "password", 8) == 0 &&
			(call || said[8 + strspn(said + 8, " \t\r\n")] == '='))
			return said + 8;
	}
	return NULL;
}

/* The same text, cut where a password may begin. */
static char *
conceal_cut(char *said)
{
	const char *secret = conceal_secret(said);

	if (secret == NULL)
		return said;

	return psprintf("%.*s... (connection string not shown)", (int) (secret - said), said);
}

/* An emit_log_hook; elog.c has switched to the context that the message's other parts are in. */
static void
conceal_log(ErrorData *error)
{
	/*
	 * EXECUTE of a prepared statement is known by what it was prepared from, or by where its error
	 * came from
	 */
	bool		call = (conceal_is_call(debug_query_string) || conceal_is_call(error->message) ||
						conceal_is_call(error->detail) || conceal_is_call(error->context));

	if (call && error->output_to_server)
	{
		if (conceal_secret(debug_query_string) != NULL)
			error->hide_stmt = true;
		error->message = conceal_cut(error->message);
		error->detail = conceal_cut(error->detail);
		error->detail_log = conceal_cut(error->detail_log);
		error->context = conceal_cut(error->context);
		error->internalquery = conceal_cut(error->internalquery);
	}
	if (conceal_next != NULL)
		conceal_next(error);
}

void
conceal_init(void)
{
	conceal_next = emit_log_hook;
	emit_log_hook = conceal_log;
}

void
conceal_activity(void)
{
	if (debug_query_string != NULL && conceal_secret(debug_query_string) != NULL)
	{
		char	   *shown = conceal_cut(pstrdup(debug_query_string));

		pgstat_report_activity(STATE_RUNNING, shown);
		pfree(shown);
	}
}
