/*
 * json_scan.c: what is looked at in a text before jansson reads it.
 *
 * What is JSON is jansson's to say: where commas and colons stand, which escapes and words there
 * are, what is in a string, which names an object has twice.  This is what it cannot do for us, and
 * why:
 *
 * - Numbers.  jansson makes a double or a 64-bit integer of each, so that digits are lost, refuses
 *   those that fit into neither, which entries may have in them, and tells in neither case how
 *   long the number is.  So numbers are found and measured here, and jansson reads others in their
 *   places, or strings.
 * - Limits.  How deep jansson follows a text is compiled into it, and it builds all of it in
 *   memory, hundreds of bytes for three of the text: what is too much would differ by version and
 *   machine.
 * - Reasons.  For half of a surrogate pair jansson has no code of its own, only words.
 * - What versions of old took and jansson does not: bytes that are no characters, and halves of
 *   surrogate pairs.
 *
 * For all that it is enough to know where strings begin and end.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/encode.h"
#include "rules/json_scan.h"

#define EXPONENT_MAX 1000000	/* what is beyond has too many digits anyhow */
#define STRICT_INTEGER_DIGITS 18	/* fits into 64 bits */
#define STRICT_DIGITS 308		/* before the point: fits into a double */

typedef struct Scanner
{
	const char *text;
	const char *at;
	const char *end;
	JsonTextRules rules;
	int			depth;
	size_t		values;
	uint64_t	grows;			/* bytes that numbers have more when they are written out */
	char	   *copy;			/* of the same length, or NULL: none was needed yet */
	PoolText   *quoted;			/* the text with numbers as strings, up to copied; or NULL */
	const char *copied;
	CoreError  *error;
} Scanner;

static bool
scan_fail(Scanner *scanner, const char *reason)
{
	return error_set(scanner->error, CORE_MALFORMED, "%s", reason);
}

/* Where a byte of the text is in the copy; NULL if there is no memory for one. */
static char *
scan_copy(Scanner *scanner, const char *at)
{
	size_t		len = (size_t) (scanner->end - scanner->text);

	if (scanner->copy == NULL)
	{
		scanner->copy = malloc(len + 1);
		if (scanner->copy == NULL)
		{
			(void) error_set(scanner->error, CORE_INTERNAL, "out of memory");
			return NULL;
		}
		memcpy(scanner->copy, scanner->text, len);
	}
	return scanner->copy + (at - scanner->text);
}

/* ----- strings ----- */

/* The four digits behind \u; -1 if there are others. */
static int
scan_unit(const char *at, const char *end)
{
	uint8_t		bytes[2];

	if (end - at < 4 || !decode_hex(at, 4, bytes))
		return -1;
	return bytes[0] << 8 | bytes[1];
}

static bool
scan_surrogate(Scanner *scanner, int unit)
{
	const char *next = scanner->at + 6;
	char	   *digit;
	int			low;

	if (scanner->rules == JSON_TEXT_OLD)
	{
		digit = scan_copy(scanner, scanner->at + 2);
		if (digit == NULL)
			return false;
		*digit = '1';
		scanner->at = next;
		return true;
	}
	if (unit > 0xdbff || scanner->end - next < 6 || next[0] != '\\' || next[1] != 'u' ||
		(low = scan_unit(next + 2, scanner->end)) < 0xdc00 || low > 0xdfff)
		return scan_fail(scanner, "payload has half of a surrogate pair in it");
	scanner->at = next + 6;
	return true;
}

static bool
scan_escape(Scanner *scanner)
{
	int			unit = -1;

	if (scanner->end - scanner->at >= 2 && scanner->at[1] == 'u')
		unit = scan_unit(scanner->at + 2, scanner->end);
	if (unit == 0)
		return scan_fail(scanner, "payload has \\u0000 in it");
	if (unit >= 0xd800 && unit <= 0xdfff)
		return scan_surrogate(scanner, unit);
	/* what is no escape at all is left to jansson */
	scanner->at += scanner->end - scanner->at >= 2 ? 2 : 1;
	return true;
}

static bool
scan_string(Scanner *scanner)
{
	const char *quote;

	scanner->at++;
	quote = memchr(scanner->at, '"', (size_t) (scanner->end - scanner->at));
	/* in most there is nothing to look at */
	if (quote != NULL && scanner->rules != JSON_TEXT_OLD &&
		memchr(scanner->at, '\\', (size_t) (quote - scanner->at)) == NULL)
	{
		scanner->at = quote + 1;
		return true;
	}
	while (scanner->at < scanner->end && *scanner->at != '"')
	{
		if (*scanner->at == '\\')
		{
			if (!scan_escape(scanner))
				return false;
			continue;
		}
		if (scanner->rules == JSON_TEXT_OLD && (unsigned char) *scanner->at >= 0x80)
		{
			char	   *byte = scan_copy(scanner, scanner->at);

			if (byte == NULL)
				return false;
			*byte = 'x';
		}
		scanner->at++;
	}
	if (scanner->at < scanner->end)
		scanner->at++;
	return true;
}

/* ----- numbers ----- */

static bool
scan_char(Scanner *scanner, char c)
{
	if (scanner->at == scanner->end || *scanner->at != c)
		return false;
	scanner->at++;
	return true;
}

static size_t
scan_digits(Scanner *scanner)
{
	const char *first = scanner->at;

	while (scanner->at < scanner->end && *scanner->at >= '0' && *scanner->at <= '9')
		scanner->at++;
	return (size_t) (scanner->at - first);
}

/* Behind the E; *digits: how many there are. */
static long
scan_exponent(Scanner *scanner, size_t *digits)
{
	bool		negative = scan_char(scanner, '-');
	const char *first;
	long		value = 0;

	if (!negative)
		(void) scan_char(scanner, '+');
	first = scanner->at;
	*digits = scan_digits(scanner);
	for (size_t i = 0; i < *digits && value < EXPONENT_MAX; i++)
		value = value * 10 + (first[i] - '0');
	return negative ? -value : value;
}

/* Instead of the number that ends here. */
static bool
scan_replace(Scanner *scanner, const char *start)
{
	size_t		len = (size_t) (scanner->at - start);
	char	   *there;

	if (scanner->quoted != NULL)
	{
		pool_text_add(scanner->quoted, scanner->copied, (size_t) (start - scanner->copied));
		pool_text_puts(scanner->quoted, "\"\\u0000");
		pool_text_add(scanner->quoted, start, len);
		pool_text_char(scanner->quoted, '"');
		scanner->copied = scanner->at;
		return true;
	}
	if (len <= STRICT_INTEGER_DIGITS && memchr(start, 'e', len) == NULL &&
		memchr(start, 'E', len) == NULL)
		return true;
	there = scan_copy(scanner, start);
	if (there == NULL)
		return false;
	/* as long: three characters at least, of which one is an E, or many digits */
	memset(there, '0', len);
	there[1] = '.';
	return true;
}

/*
 * Counted are the digits that numeric, which knows no exponents, would print: 1e3 is 1000, 1e-3 is
 * 0.001.
 */
static bool
scan_number(Scanner *scanner)
{
	const char *start = scanner->at;
	size_t		before;
	size_t		behind = 0;
	size_t		digits = 1;
	long		exponent = 0;
	bool		integer = true;
	bool		fine;
	long		written_before;
	long		written_behind;
	long		written;

	(void) scan_char(scanner, '-');
	before = scan_char(scanner, '0') ? 1 : scan_digits(scanner);
	fine = before > 0;
	if (fine && scan_char(scanner, '.'))
	{
		integer = false;
		behind = scan_digits(scanner);
		fine = behind > 0;
	}
	if (fine && (scan_char(scanner, 'e') || scan_char(scanner, 'E')))
	{
		integer = false;
		exponent = scan_exponent(scanner, &digits);
		fine = digits > 0;
	}
	/* what stands there instead must not become one with what follows */
	if (scanner->at < scanner->end && *scanner->at != '\0' &&
		strchr("0123456789.eE+-", *scanner->at) != NULL)
		fine = false;
	if (!fine)
		return scan_fail(scanner, "payload is not a JSON object");
	written_before = (long) before + exponent > 1 ? (long) before + exponent : 1;
	written_behind = (long) behind > exponent ? (long) behind - exponent : 0;
	if (scanner->rules != JSON_TEXT_OLD)
	{
		if (written_before + written_behind > JSON_TEXT_DIGITS_MAX)
			return error_set(scanner->error, CORE_MALFORMED,
							 "a number in payload has more than %d digits", JSON_TEXT_DIGITS_MAX);
		if (scanner->rules == JSON_TEXT_STRICT &&
			written_before > (integer ? STRICT_INTEGER_DIGITS : STRICT_DIGITS))
			return scan_fail(scanner, "a number in payload is too large");

		/* with a sign and a point */
		written = written_before + written_behind + 2;
		if (written > scanner->at - start)
			scanner->grows += (uint64_t) (written - (scanner->at - start));
	}
	return scan_replace(scanner, start);
}

/* ----- the text ----- */

static bool
scan_text(Scanner *scanner)
{
	int			depth_max = scanner->rules == JSON_TEXT_OLD ? JSON_TEXT_DEPTH_OLD :
	JSON_TEXT_DEPTH_MAX;

	while (scanner->at < scanner->end)
	{
		char		c = *scanner->at;

		if (c == '"')
		{
			if (!scan_string(scanner))
				return false;
			continue;
		}
		if (c == '-' || (c >= '0' && c <= '9'))
		{
			if (!scan_number(scanner))
				return false;
			continue;
		}
		if ((c == '{' || c == '[') && ++scanner->depth > depth_max)
			return error_set(scanner->error, CORE_MALFORMED,
							 "payload is nested deeper than %d levels", depth_max);
		if ((c == '}' || c == ']') && scanner->depth > 0)
			scanner->depth--;
		if ((c == '{' || c == '[' || c == ',') && ++scanner->values > JSON_TEXT_VALUES_MAX)
			return error_set(scanner->error, CORE_MALFORMED,
							 "payload has more than %d values", JSON_TEXT_VALUES_MAX);
		scanner->at++;
	}
	return true;
}

static bool
scan_all(Scanner *scanner)
{
	size_t		len = (size_t) (scanner->end - scanner->text);

	if (len > JSON_TEXT_MAX)
		return error_set(scanner->error, CORE_MALFORMED, "payload is longer than %d bytes",
						 JSON_TEXT_MAX);
	if (scanner->rules != JSON_TEXT_OLD && !encode_is_utf8(scanner->text, len))
		return scan_fail(scanner, "payload is not UTF-8 text");
	if (!scan_text(scanner))
		return false;
	if (len + scanner->grows > JSON_TEXT_MAX)
		return error_set(scanner->error, CORE_MALFORMED,
						 "payload is longer than %d bytes when its numbers are written out",
						 JSON_TEXT_MAX);
	return true;
}

bool
json_scan(const char *text, size_t len, JsonTextRules rules, JsonScan *scan, CoreError *error)
{
	Scanner		scanner = {
		.text = text, .at = text, .end = text + len, .rules = rules, .error = error
	};

	memset(scan, 0, sizeof(*scan));
	if (!scan_all(&scanner))
	{
		free(scanner.copy);
		return false;
	}
	scan->copy = scanner.copy;
	scan->text = scanner.copy != NULL ? scanner.copy : text;
	scan->len = len;
	return true;
}

bool
json_scan_numbers(Pool *pool, const char *text, size_t len, JsonTextRules rules, JsonScan *scan)
{
	PoolText	quoted;
	Scanner		scanner = {
		.text = text, .at = text, .end = text + len, .rules = rules, .quoted = &quoted,
		.copied = text
	};

	memset(scan, 0, sizeof(*scan));
	pool_text_begin(&quoted, pool);
	if (!scan_all(&scanner))
		return false;
	pool_text_add(&quoted, scanner.copied, (size_t) (scanner.end - scanner.copied));
	scan->text = quoted.data;
	scan->len = quoted.len;
	return true;
}
