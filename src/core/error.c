/*
 * error.c: fill in a CoreError.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>

#include "core/encode.h"
#include "core/error.h"

static void error_format(CoreError *error, CoreErrorCode code, const char *fmt, va_list args)
			__attribute__((format(printf, 3, 0)));

static void
error_format(CoreError *error, CoreErrorCode code, const char *fmt, va_list args)
{
	if (error == NULL)
		return;
	error->code = code;
	error->library[0] = '\0';
	(void) vsnprintf(error->message, sizeof(error->message), fmt, args);

	/*
	 * messages are stored and sent as text, and a name in one may have been cut in the middle of a
	 * character
	 */
	encode_repair_utf8(error->message);
}

bool
error_set(CoreError *error, CoreErrorCode code, const char *fmt,...)
{
	va_list		args;

	va_start(args, fmt);
	error_format(error, code, fmt, args);
	va_end(args);
	return false;
}

bool
error_set_openssl(CoreError *error, CoreErrorCode code, const char *fmt,...)
{
	va_list		args;
	unsigned long packed = ERR_peek_last_error();
	const char *reason = packed != 0 ? ERR_reason_error_string(packed) : NULL;

	va_start(args, fmt);
	error_format(error, code, fmt, args);
	va_end(args);
	if (error != NULL && reason != NULL)
		(void) snprintf(error->library, sizeof(error->library), "%s", reason);

	/*
	 * what stays in the queue would be blamed on the next user of OpenSSL in this thread, libpq
	 * for one
	 */
	ERR_clear_error();
	return false;
}

void
error_text(const CoreError *error, char text[CORE_TEXT_LEN])
{
	if (error->library[0] != '\0')
		(void) snprintf(text, CORE_TEXT_LEN, "%s: %s", error->message, error->library);
	else
		(void) snprintf(text, CORE_TEXT_LEN, "%s", error->message);
	encode_repair_utf8(text);
}
