/*
 * error.h: how the core reports what went wrong.
 *
 * The core is linked into a PostgreSQL backend, the offline verifier and the
 * fuzzers alike, so it can neither ereport() nor exit(): a function that can
 * fail on its input takes a CoreError and fills it in.  The message is in
 * PostgreSQL's style (no capital, no full stop) so that a caller can pass it on
 * as it is.
 */
#ifndef MEDCHAIN_CORE_ERROR_H
#define MEDCHAIN_CORE_ERROR_H

#include <stdbool.h>
#include <stddef.h>

#define CORE_MESSAGE_LEN 256
#define CORE_LIBRARY_LEN 128

typedef enum CoreErrorCode
{
	CORE_OK = 0,
	CORE_MALFORMED,				/* the input is not of the format it claims to be */
	CORE_UNSUPPORTED,			/* well-formed, but an algorithm or size we do not take */
	CORE_ACCESS,				/* a file or token could not be read, or must not be trusted */
	CORE_INTERNAL				/* OpenSSL failed where it must not: out of memory, no provider */
} CoreErrorCode;

typedef struct CoreError
{
	CoreErrorCode code;
	char		message[CORE_MESSAGE_LEN];

	/*
	 * What OpenSSL says about it, empty if it says nothing: for people to read, in DETAIL or a
	 * log.  Each version of OpenSSL has its own words, so that they must never enter the ledger's
	 * state; the message may.
	 */
	char		library[CORE_LIBRARY_LEN];
} CoreError;

/*
 * Fill in *error (which may be NULL); always returns false, so callers can "return error_set(...)".
 */
extern bool error_set(CoreError *error, CoreErrorCode code, const char *fmt,...)
			__attribute__((format(printf, 3, 4)));

/* The same, with error->library from the top of OpenSSL's error queue, which is then emptied. */
extern bool error_set_openssl(CoreError *error, CoreErrorCode code, const char *fmt,...)
			__attribute__((format(printf, 3, 4)));

#define CORE_TEXT_LEN (CORE_MESSAGE_LEN + CORE_LIBRARY_LEN + 2)

/* The message, and what OpenSSL says, for a log or a status. */
extern void error_text(const CoreError *error, char text[CORE_TEXT_LEN]);

#endif
