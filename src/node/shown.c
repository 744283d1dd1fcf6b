/*
 * shown.c: what somebody gave, as an error shows it: not all of ten megabytes.
 *
 * An error goes to the client, into the server's log, and into whatever keeps that.  What an
 * argument must not be is said of its beginning as well as of all of it.
 */
#include "postgres.h"

#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"

#include "compat.h"
#include "node/shown.h"

/* Bytes: every valid name is shown whole. */
#define SHOWN_MAX 128

const char *
shown(const char *value)
{
	size_t		len = strlen(value);

	if (len <= SHOWN_MAX)
		return value;
	/* looks no further than it has to */
	return psprintf("%.*s...", pg_mbcliplen(value, SHOWN_MAX + MAX_MULTIBYTE_CHAR_LEN, SHOWN_MAX),
					value);
}

PG_FUNCTION_INFO_V1(medchain_shown);

/* shown(value text) -> text */
Datum
medchain_shown(PG_FUNCTION_ARGS)
{
	text	   *value = PG_GETARG_TEXT_PP(0);

	if (VARSIZE_ANY_EXHDR(value) <= SHOWN_MAX)
		PG_RETURN_TEXT_P(value);
	PG_RETURN_TEXT_P(cstring_to_text(shown(text_to_cstring(value))));
}
