/*
 * conceal.c: keep passwords in connection strings out of the server's log.
 *
 * Who calls join_alliance() or connect_peer() gives a connection string, which may
 * hold a password.  PostgreSQL logs statements, parameters, trees and contexts
 * (log_statement, log_min_duration_statement, log_min_error_statement,
 * log_parameter_max_length, debug_print_plan, auto_explain ...) before or beside
 * anything that the function called could do about it; so it is done where all of it
 * passes, emit_log_hook.
 *
 * Nothing is parsed, so that no quoting can get around it.  A message is about us if one
 * of its parts has one of our names in it; a secret begins with a word of libpq's that
 * announces one.  In a message with both, each part ends where such a word does, or where
 * the values of parameters begin, as any of them may be the secret.
 */
#include "postgres.h"

#include <ctype.h>

#include "commands/prepare.h"
#include "parser/scansup.h"
#include "tcop/tcopprot.h"
#include "utils/backend_status.h"
#include "utils/elog.h"
#include "utils/plancache.h"

#include "sync/conceal.h"

/* How near a text is to a connection string. */
typedef enum ConcealNearness
{
	CONCEAL_FAR,
	CONCEAL_NEAR,				/* medchain's, or a name like it */
	CONCEAL_CALL				/* the connection string is an argument */
} ConcealNearness;

/* Functions of medchain whose arguments are connection strings. */
static const char *const conceal_calls[] = {"join_alliance", "connect_peer"};

/* "medchain" is in most texts about us, and where somebody has misspelt a function's name. */
static const char *const conceal_names[] = {"medchain", "resync", "disconnect_peer",
	"leave_alliance", "take_over", "subscribe_to", "remote_call", "remote_create_slot",
"create_subscription", "follow", "announce"};

/*
 * Words of libpq's that announce a secret ("password" is in "sslpassword", too; the others came
 * with 18), and where each has a character that is rare: by that it is looked for, as everything
 * that is logged is looked through.
 */
typedef struct ConcealWord
{
	const char *word;
	int			rare;
} ConcealWord;

static const ConcealWord conceal_words[] = {{"password", 4}, {"oauth_client_secret", 5},
{"scram_client_key", 5}, {"scram_server_key", 5}};
static const ConcealWord conceal_execute = {"execute", 1};

static emit_log_hook_type conceal_next = NULL;

/* Where a word ends for the first time in a text, in whatever case, or NULL. */
static const char *
conceal_find(const char *said, const ConcealWord *sought)
{
	const char	spellings[] = {sought->word[sought->rare],
	(char) pg_toupper((unsigned char) sought->word[sought->rare])};
	const char *first = NULL;

	for (size_t i = 0; i < lengthof(spellings); i++)
	{
		for (const char *at = said; (at = strchr(at, spellings[i])) != NULL; at++)
		{
			if (at - said < sought->rare ||
				pg_strncasecmp(at - sought->rare, sought->word, strlen(sought->word)) != 0)
				continue;
			if (first == NULL || at < first)
				first = at;
			break;
		}
	}
	return first == NULL ? NULL : first - sought->rare + strlen(sought->word);
}

/* Where one of the words first ends, or NULL; "assigned": followed by "=". */
static const char *
conceal_word(const char *said, bool assigned)
{
	const char *first = NULL;

	for (size_t i = 0; i < lengthof(conceal_words); i++)
	{
		const char *end = said;

		while ((end = conceal_find(end, &conceal_words[i])) != NULL)
			if (!assigned || end[strspn(end, " \t\r\n")] == '=')
				break;
		if (end != NULL && (first == NULL || end < first))
			first = end;
	}
	return first;
}

/*
 * Where a secret may begin, or NULL: behind such a word, or the "://" of a URI.  In the call
 * itself the words alone are enough: SQL can put the rest together in many ways.  Elsewhere an
 * URI is one of libpq's: the entries of applications are full of others.
 */
static const char *
conceal_secret(const char *said, ConcealNearness nearness)
{
	bool		call = nearness == CONCEAL_CALL;
	const char *word;
	const char *uri;

	if (said == NULL)
		return NULL;
	word = conceal_word(said, !call);
	uri = strstr(said, call ? "://" : "postgres://");
	if (uri == NULL && !call)
		uri = strstr(said, "postgresql://");
	if (uri != NULL)
		uri = strstr(uri, "://") + 3;
	return word == NULL || (uri != NULL && uri < word) ? uri : word;
}

static ConcealNearness
conceal_nearness(const char *said)
{
	if (said == NULL)
		return CONCEAL_FAR;
	for (size_t i = 0; i < lengthof(conceal_calls); i++)
		if (strcasestr(said, conceal_calls[i]) != NULL)
			return CONCEAL_CALL;
	for (size_t i = 0; i < lengthof(conceal_names); i++)
		if (strcasestr(said, conceal_names[i]) != NULL)
			return CONCEAL_NEAR;
	return CONCEAL_FAR;
}

/* Where the first value of a parameter begins, as in "$1 = '...'", or NULL. */
static const char *
conceal_parameter(const char *said)
{
	while ((said = strchr(said, '$')) != NULL)
	{
		size_t		digits = strspn(++said, "0123456789");

		if (digits > 0 && strncmp(said + digits, " = ", 3) == 0)
			return said + digits + 3;
	}
	return NULL;
}

/* The name of a prepared statement behind EXECUTE; *end: what follows it. */
static char *
conceal_executed(const char *said, const char **end)
{
	const char *name = said + strspn(said, " \t\r\n");
	size_t		len;

	if (*name == '"')
	{
		len = strcspn(++name, "\"");
		*end = name + len;
		return pnstrdup(name, len);
	}
	for (len = 0; isalnum((unsigned char) name[len]) || name[len] == '_' || name[len] == '$' ||
		 IS_HIGHBIT_SET(name[len]); len++)
		;
	*end = name + len;
	return downcase_truncate_identifier(name, (int) len, false);
}

/*
 * A text with EXECUTE of a statement that is about us: what that was prepared from, and where the
 * values for its parameters begin; or NULL.
 */
static const char *
conceal_prepared(const char *said, const char **values)
{
	while (said != NULL && (said = conceal_find(said, &conceal_execute)) != NULL)
	{
		PreparedStatement *prepared;
		char	   *name = conceal_executed(said, &said);

		prepared = strlen(name) < NAMEDATALEN ? FetchPreparedStatement(name, false) : NULL;
		pfree(name);
		if (prepared != NULL &&
			conceal_nearness(prepared->plansource->query_string) != CONCEAL_FAR)
		{
			*values = said;
			return prepared->plansource->query_string;
		}
	}
	return NULL;
}

/* The same text, cut where a secret may begin. */
static char *
conceal_cut(char *said, ConcealNearness nearness)
{
	const char *ends[3];
	const char *end = NULL;

	if (said == NULL)
		return NULL;
	ends[0] = conceal_secret(said, nearness);
	ends[1] = conceal_parameter(said);
	ends[2] = NULL;
	(void) conceal_prepared(said, &ends[2]);
	for (int i = 0; i < lengthof(ends); i++)
		if (ends[i] != NULL && (end == NULL || ends[i] < end))
			end = ends[i];
	if (end == NULL)
		return said;
	return psprintf("%.*s... (connection string not shown)", (int) (end - said), said);
}

/* How near the parts are to a connection string, if there may be a secret in one of them. */
static ConcealNearness
conceal_concerns(const char *const *parts, int count)
{
	ConcealNearness nearness = CONCEAL_FAR;
	bool		secret = false;

	/* most of what is logged has no such word, and is looked through no further */
	for (int i = 0; i < count; i++)
		secret = secret || conceal_secret(parts[i], CONCEAL_CALL) != NULL;
	if (!secret)
		return CONCEAL_FAR;
	for (int i = 0; i < count && nearness != CONCEAL_CALL; i++)
		nearness = Max(nearness, conceal_nearness(parts[i]));
	for (int i = 0; i < count; i++)
		if (nearness != CONCEAL_FAR && conceal_secret(parts[i], nearness) != NULL)
			return nearness;
	return CONCEAL_FAR;
}

/* What pg_stat_activity shows of the statement; true if that is not all of it. */
static bool
conceal_statement(ConcealNearness nearness)
{
	char	   *statement;
	char	   *shown;

	if (debug_query_string == NULL)
		return false;
	statement = pstrdup(debug_query_string);
	shown = conceal_cut(statement, nearness);
	if (shown != statement)
		pgstat_report_activity(STATE_RUNNING, shown);
	return shown != statement;
}

/* An emit_log_hook; elog.c has switched to the context that the message's other parts are in. */
static void
conceal_log(ErrorData *error)
{
	const char *values;
	const char *parts[] = {debug_query_string, error->message, error->detail, error->detail_log,
	error->context, error->internalquery, conceal_prepared(debug_query_string, &values)};
	ConcealNearness nearness = error->output_to_server ?
	conceal_concerns(parts, lengthof(parts)) : CONCEAL_FAR;

	if (nearness != CONCEAL_FAR)
	{
		if (conceal_statement(nearness))
			error->hide_stmt = true;
		error->message = conceal_cut(error->message, nearness);

		/* of statements, which are logged as such, these are parameters and trees */
		error->detail = error->elevel == LOG ? NULL : conceal_cut(error->detail, nearness);
		error->detail_log = conceal_cut(error->detail_log, nearness);
		error->context = conceal_cut(error->context, nearness);
		error->internalquery = conceal_cut(error->internalquery, nearness);
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
	(void) conceal_statement(CONCEAL_CALL);
}

const char *
conceal_reason(const char *conninfo)
{
	return strstr(conninfo, "://") != NULL && strchr(conninfo, '@') != NULL ?
		"What libpq says may have a part of a password in it, and is not logged." : NULL;
}
