/*
 * json_text.c: reading JSON without building it in memory, and without recursion.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/encode.h"
#include "rules/json_text.h"

#define EXPONENT_MAX 1000000	/* what is beyond has too many digits anyhow */
#define STRICT_INTEGER_DIGITS 18	/* fits into 64 bits */
#define STRICT_DIGITS 308		/* before the point: fits into a double */

/* The names of the fields of all objects that are open, hashed. */
typedef struct Names
{
	uint64_t   *hashes;
	size_t		count;
	size_t		size;
} Names;

typedef struct Reader
{
	const char *at;
	const char *end;
	JsonTextRules rules;
	uint64_t	grows;			/* bytes that numbers have more when they are written out */
	int			depth;
	bool		object[JSON_TEXT_DEPTH_OLD];	/* what is open at each level */
	size_t		first[JSON_TEXT_DEPTH_OLD]; /* of its names */
	Names		names;
	CoreError  *error;
} Reader;

static bool
json_fail(Reader *reader, const char *reason)
{
	return error_set(reader->error, CORE_MALFORMED, "%s", reason);
}

static bool
json_no_json(Reader *reader)
{
	return json_fail(reader, "payload is not a JSON object");
}

static void
json_space(Reader *reader)
{
	while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\t' ||
										*reader->at == '\n' || *reader->at == '\r'))
		reader->at++;
}

static bool
json_char(Reader *reader, char c)
{
	if (reader->at == reader->end || *reader->at != c)
		return false;
	reader->at++;
	return true;
}

static bool
json_word(Reader *reader, const char *word)
{
	size_t		len = strlen(word);

	if ((size_t) (reader->end - reader->at) < len || memcmp(reader->at, word, len) != 0)
		return false;
	reader->at += len;
	return true;
}

/* The four digits behind \u; -1 if there are others. */
static int
json_unit(const char *at, const char *end)
{
	uint8_t		bytes[2];

	if (end - at < 4 || !decode_hex(at, 4, bytes))
		return -1;
	return bytes[0] << 8 | bytes[1];
}

/* Behind the backslash. */
static bool
json_escape(Reader *reader)
{
	int			unit;

	if (reader->at == reader->end)
		return json_no_json(reader);
	if (*reader->at != 'u')
	{
		if (*reader->at == '\0' || strchr("\"\\/bfnrt", *reader->at) == NULL)
			return json_no_json(reader);
		reader->at++;
		return true;
	}
	unit = json_unit(reader->at + 1, reader->end);
	if (unit < 0)
		return json_no_json(reader);
	if (unit == 0)
		return json_fail(reader, "payload has \\u0000 in it");
	reader->at += 5;
	if (reader->rules == JSON_TEXT_OLD || unit < 0xd800 || unit > 0xdfff)
		return true;
	if (unit > 0xdbff || reader->end - reader->at < 6 || reader->at[0] != '\\' ||
		reader->at[1] != 'u' || (unit = json_unit(reader->at + 2, reader->end)) < 0xdc00 ||
		unit > 0xdfff)
		return json_fail(reader, "payload has half of a surrogate pair in it");
	reader->at += 6;
	return true;
}

static bool
json_string(Reader *reader)
{
	if (!json_char(reader, '"'))
		return json_no_json(reader);
	while (reader->at < reader->end && *reader->at != '"')
	{
		if ((unsigned char) *reader->at < ' ')
			return json_no_json(reader);
		if (*reader->at++ == '\\' && !json_escape(reader))
			return false;
	}
	return json_char(reader, '"') || json_no_json(reader);
}

static size_t
json_digits(Reader *reader)
{
	const char *first = reader->at;

	while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9')
		reader->at++;
	return (size_t) (reader->at - first);
}

/* Behind the E; 0 if there are no digits, which the caller notices by *digits. */
static long
json_exponent(Reader *reader, size_t *digits)
{
	bool		negative = json_char(reader, '-');
	const char *first;
	long		value = 0;

	if (!negative)
		(void) json_char(reader, '+');
	first = reader->at;
	*digits = json_digits(reader);
	for (size_t i = 0; i < *digits && value < EXPONENT_MAX; i++)
		value = value * 10 + (first[i] - '0');
	return negative ? -value : value;
}

/*
 * Counted are the digits that numeric, which knows no exponents, would print: 1e3 is 1000, 1e-3 is
 * 0.001.
 */
static bool
json_number(Reader *reader)
{
	const char *start = reader->at;
	size_t		before;
	size_t		behind = 0;
	size_t		digits;
	long		exponent = 0;
	bool		integer = true;
	long		written_before;
	long		written_behind;
	long		written;

	(void) json_char(reader, '-');
	before = json_char(reader, '0') ? 1 : json_digits(reader);
	if (before == 0)
		return json_no_json(reader);
	if (json_char(reader, '.'))
	{
		integer = false;
		behind = json_digits(reader);
		if (behind == 0)
			return json_no_json(reader);
	}
	if (json_char(reader, 'e') || json_char(reader, 'E'))
	{
		integer = false;
		exponent = json_exponent(reader, &digits);
		if (digits == 0)
			return json_no_json(reader);
	}
	written_before = (long) before + exponent > 1 ? (long) before + exponent : 1;
	written_behind = (long) behind > exponent ? (long) behind - exponent : 0;
	if (reader->rules == JSON_TEXT_OLD)
		return true;
	if (written_before + written_behind > JSON_TEXT_DIGITS_MAX)
		return error_set(reader->error, CORE_MALFORMED,
						 "a number in payload has more than %d digits", JSON_TEXT_DIGITS_MAX);
	if (reader->rules == JSON_TEXT_STRICT &&
		written_before > (integer ? STRICT_INTEGER_DIGITS : STRICT_DIGITS))
		return json_fail(reader, "a number in payload is too large");

	/* with a sign and a point */
	written = written_before + written_behind + 2;
	if (written > reader->at - start)
		reader->grows += (uint64_t) (written - (reader->at - start));
	return true;
}

/* FNV-1a over the name without its escapes, so that one name has one hash. */
static bool
json_name_seen(Reader *reader, const char *name, size_t len)
{
	Names	   *names = &reader->names;
	char	   *plain = malloc(len);
	uint64_t	hash = UINT64_C(0xcbf29ce484222325);

	if (names->count == names->size)
	{
		size_t		size = names->size == 0 ? 64 : 2 * names->size;
		uint64_t   *hashes = realloc(names->hashes, size * sizeof(uint64_t));

		if (hashes == NULL)
		{
			free(plain);
			return error_set(reader->error, CORE_INTERNAL, "out of memory");
		}
		names->hashes = hashes;
		names->size = size;
	}
	if (plain == NULL || !json_text_string(name, len, plain, len))
	{
		free(plain);
		return error_set(reader->error, CORE_INTERNAL, "out of memory");
	}
	for (const char *c = plain; *c != '\0'; c++)
		hash = (hash ^ (unsigned char) *c) * UINT64_C(0x100000001b3);
	free(plain);
	names->hashes[names->count++] = hash;
	return true;
}

static int
json_name_order(const void *a, const void *b)
{
	uint64_t	x = *(const uint64_t *) a;
	uint64_t	y = *(const uint64_t *) b;

	return x < y ? -1 : x > y;
}

/* The object that ends here has no name twice. */
static bool
json_names_differ(Reader *reader, size_t first)
{
	Names	   *names = &reader->names;
	bool		differ = true;

	if (names->count > first)
		qsort(names->hashes + first, names->count - first, sizeof(uint64_t), json_name_order);
	for (size_t i = first + 1; i < names->count && differ; i++)
		differ = names->hashes[i] != names->hashes[i - 1];
	names->count = first;
	return differ || json_fail(reader, "payload has a field twice in one object");
}

/* A value that is no object or array. */
static bool
json_scalar(Reader *reader)
{
	switch (*reader->at)
	{
		case '"':
			return json_string(reader);
		case 't':
			return json_word(reader, "true") || json_no_json(reader);
		case 'f':
			return json_word(reader, "false") || json_no_json(reader);
		case 'n':
			return json_word(reader, "null") || json_no_json(reader);
		default:
			return json_number(reader);
	}
}

static bool
json_open(Reader *reader)
{
	int			max = reader->rules == JSON_TEXT_OLD ? JSON_TEXT_DEPTH_OLD : JSON_TEXT_DEPTH_MAX;

	if (reader->depth == max)
		return error_set(reader->error, CORE_MALFORMED,
						 "payload is nested deeper than %d levels", max);
	reader->object[reader->depth] = *reader->at == '{';
	reader->first[reader->depth] = reader->names.count;
	reader->depth++;
	reader->at++;
	return true;
}

static bool
json_close(Reader *reader)
{
	reader->depth--;
	reader->at++;
	return reader->rules < JSON_TEXT_UNIQUE || !reader->object[reader->depth] ||
		json_names_differ(reader, reader->first[reader->depth]);
}

/* The name of a field and the colon behind it; where the name stands, if it is one to report. */
static bool
json_name(Reader *reader, const char **name, size_t *len)
{
	const char *start = reader->at;
	size_t		length;

	if (!json_string(reader))
		return false;
	length = (size_t) (reader->at - start);
	if (reader->rules >= JSON_TEXT_UNIQUE && !json_name_seen(reader, start, length))
		return false;
	if (reader->depth == 1)
	{
		*name = start;
		*len = length;
	}
	json_space(reader);
	return json_char(reader, ':') || json_no_json(reader);
}

static bool
json_read(Reader *reader, JsonTextField field, void *state)
{
	const char *name = NULL;	/* of the field of the outermost object that is being read */
	size_t		name_len = 0;
	const char *value = NULL;
	bool		begun = false;	/* the innermost has just been opened: it may be empty */

	for (;;)
	{
		bool		object;

		json_space(reader);
		if (reader->at == reader->end)
			return json_no_json(reader);

		/* a value, or the end of what is empty */
		if (!begun || (*reader->at != '}' && *reader->at != ']'))
		{
			if (reader->depth > 0 && reader->object[reader->depth - 1])
			{
				if (!json_name(reader, &name, &name_len))
					return false;
				json_space(reader);
				if (reader->at == reader->end)
					return json_no_json(reader);
			}
			if (reader->depth == 1)
				value = reader->at;
			begun = *reader->at == '{' || *reader->at == '[';
			if (reader->depth == 0 && *reader->at != '{')
				return json_no_json(reader);
			if (!(begun ? json_open(reader) : json_scalar(reader)))
				return false;
			if (begun)
				continue;
		}

		/* what ends with it */
		for (;;)
		{
			if (!begun && reader->depth == 1 && field != NULL)
				field(state, name, name_len, value, (size_t) (reader->at - value));
			json_space(reader);
			if (reader->depth == 0)
				return reader->at == reader->end || json_no_json(reader);
			if (!begun && json_char(reader, ','))
				break;
			object = reader->object[reader->depth - 1];
			if (reader->at == reader->end || *reader->at != (object ? '}' : ']'))
				return json_no_json(reader);
			if (!json_close(reader))
				return false;
			begun = false;
		}
	}
}

bool
json_text_object(const char *text, size_t len, JsonTextRules rules,
				 JsonTextField field, void *state, CoreError *error)
{
	Reader		reader = {.at = text, .end = text + len, .rules = rules, .error = error};
	bool		fine;

	if (len > JSON_TEXT_MAX)
		return error_set(error, CORE_MALFORMED, "payload is longer than %d bytes", JSON_TEXT_MAX);
	if (rules != JSON_TEXT_OLD && !encode_is_utf8(text, len))
		return json_fail(&reader, "payload is not UTF-8 text");
	fine = json_read(&reader, field, state);
	free(reader.names.hashes);
	if (fine && len + reader.grows > JSON_TEXT_MAX)
		return error_set(error, CORE_MALFORMED,
						 "payload is longer than %d bytes when its numbers are written out",
						 JSON_TEXT_MAX);
	return fine;
}

/* A character in UTF-8; returns how many bytes. */
static size_t
json_encode(uint32_t c, char out[4])
{
	if (c < 0x80)
	{
		out[0] = (char) c;
		return 1;
	}
	if (c < 0x800)
	{
		out[0] = (char) (0xc0 | c >> 6);
		out[1] = (char) (0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000)
	{
		out[0] = (char) (0xe0 | c >> 12);
		out[1] = (char) (0x80 | (c >> 6 & 0x3f));
		out[2] = (char) (0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char) (0xf0 | c >> 18);
	out[1] = (char) (0x80 | (c >> 12 & 0x3f));
	out[2] = (char) (0x80 | (c >> 6 & 0x3f));
	out[3] = (char) (0x80 | (c & 0x3f));
	return 4;
}

bool
json_text_string(const char *value, size_t len, char *out, size_t size)
{
	static const char escapes[] = "\"\\/bfnrt";
	static const char plain[] = "\"\\/\b\f\n\r\t";
	const char *at = value + 1;
	const char *end = value + len - 1;
	size_t		used = 0;

	if (len < 2 || value[0] != '"' || value[len - 1] != '"')
		return false;
	if (memchr(at, '\\', len - 2) == NULL)
	{
		if (len - 2 >= size)
			return false;
		memcpy(out, at, len - 2);
		out[len - 2] = '\0';
		return true;
	}
	while (at < end)
	{
		char		bytes[4] = {*at};
		size_t		n = 1;

		if (*at == '\\' && at[1] == 'u')
		{
			uint32_t	c = (uint32_t) json_unit(at + 2, end);

			at += 6;
			if (c >= 0xd800 && c <= 0xdbff && end - at >= 6 && at[0] == '\\' && at[1] == 'u')
			{
				c = 0x10000 + ((c - 0xd800) << 10) + ((uint32_t) json_unit(at + 2, end) - 0xdc00);
				at += 6;
			}
			n = json_encode(c, bytes);
		}
		else if (*at == '\\')
		{
			bytes[0] = plain[strchr(escapes, at[1]) - escapes];
			at += 2;
		}
		else
			at++;
		if (used + n >= size)
			return false;
		memcpy(out + used, bytes, n);
		used += n;
	}
	out[used] = '\0';
	return true;
}
