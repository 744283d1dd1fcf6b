/*
 * fetch_copy.c: what a peer answers to COPY ... TO STDOUT, a row at a time.
 *
 * A peer may answer as slowly and as much as it likes: there is a limit to both.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "node/steady.h"
#include "rules/json_text.h"
#include "sync/fetch_copy.h"

#define COPY_PAUSE 10000		/* milliseconds between two parts of an answer */
#define COPY_ROW (2 * JSON_TEXT_MAX + 64)	/* bytes of one, unescaped still too long to be
											 * accepted */

/* A field of COPY's text format, unescaped in place; *at: behind its end. */
static char *
fetch_copy_field(char **at, char *end)
{
	static const char escapes[] = "bfnrtv";
	static const char plain[] = "\b\f\n\r\t\v";
	char	   *field = *at;
	char	   *out = field;
	char	   *in = field;

	while (in < end && *in != '\t' && *in != '\n')
	{
		const char *escape;

		if (*in == '\\' && in + 1 < end)
		{
			in++;
			escape = *in != '\0' ? strchr(escapes, *in) : NULL;
			*out++ = escape ? plain[escape - escapes] : *in;
			in++;
		}
		else
			*out++ = *in++;
	}
	*at = in < end ? in + 1 : end;
	*out = '\0';
	return field;
}

/* The next row, of two columns; NULL at the end.  ERROR if the peer lets us wait. */
static char *
fetch_copy_receive(WalReceiverConn *connection, TimestampTz until, int *len)
{
	for (;;)
	{
		char	   *buffer;
		pgsocket	socket = PGINVALID_SOCKET;
		int			events;

		if (steady_now() > until)
			ereport(ERROR,
					(errcode(ERRCODE_CONNECTION_FAILURE),
					 errmsg("the peer is too slow with its answer")));
		*len = walrcv_receive(connection, &buffer, &socket);
		if (*len > 0)
			return buffer;
		if (*len < 0)
			return NULL;
		events = WaitLatchOrSocket(MyLatch, WL_SOCKET_READABLE | WL_LATCH_SET | WL_TIMEOUT |
								   WL_EXIT_ON_PM_DEATH, socket, COPY_PAUSE,
								   compat_wait_event("MedchainFetch"));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (events & WL_TIMEOUT)
			ereport(ERROR,
					(errcode(ERRCODE_CONNECTION_FAILURE),
					 errmsg("the peer does not go on with its answer")));
	}
}

void
fetch_copy(WalReceiverConn *connection, const char *query, int64 limit, TimestampTz until,
		   FetchCopyRow take, void *state)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller, "medchain fetch", ALLOCSET_DEFAULT_SIZES);
	WalRcvExecResult *result;
	char	   *row;
	int			len;

	enable_timeout_after(STATEMENT_TIMEOUT,
						 (int) Max(1, Min(FETCH_COPY_ANSWER, TimestampDifferenceMilliseconds(
																		  steady_now(), until))));
	result = walrcv_exec(connection, query, 0, NULL);
	disable_timeout(STATEMENT_TIMEOUT, false);
	if (result->status != WALRCV_OK_COPY_OUT)
		ereport(ERROR,
				(errcode(ERRCODE_CONNECTION_EXCEPTION),
				 errmsg("the peer refused: %s", result->err ? result->err : "unknown error")));
	walrcv_clear_result(result);
	MemoryContextSwitchTo(context);
	while ((row = fetch_copy_receive(connection, until, &len)) != NULL)
	{
		int			taken = Min(len, COPY_ROW);
		char	   *copy = palloc(taken + 1);
		char	   *at = copy;
		char	   *number;
		char	   *text;
		char	   *end;
		int64		value;

		memcpy(copy, row, taken);
		copy[taken] = '\0';
		number = fetch_copy_field(&at, copy + taken);
		text = fetch_copy_field(&at, copy + taken);

		value = strtoll(number, &end, 10);
		if (limit-- == 0 || *number == '\0' || *end != '\0' || value < 0)
			ereport(ERROR,
					(errcode(ERRCODE_PROTOCOL_VIOLATION),
					 errmsg("the peer sent something else than was asked for")));
		take(state, value, text);
		MemoryContextReset(context);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
}
