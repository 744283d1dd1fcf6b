/*
 * json_slice.c: reading values out of a JSON text, where they stand.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules/json_slice.h"

#define NAME_PLAIN_MAX 64		/* names that we look for are shorter */

static const char *
slice_space(const char *at, const char *end)
{
	while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r'))
		at++;
	return at;
}

/* Behind the string that begins here. */
static const char *
slice_string_end(const char *at, const char *end)
{
	const char *first = at + 1;
	const char *quote = at;

	while (quote + 1 < end && (quote = memchr(quote + 1, '"', (size_t) (end - quote - 1))) != NULL)
	{
		const char *slash = quote;

		while (slash > first && slash[-1] == '\\')
			slash--;
		if ((quote - slash) % 2 == 0)
			return quote + 1;
	}
	return end;
}

/* Behind the value that begins here. */
static const char *
slice_end(const char *at, const char *end)
{
	int			depth = 0;

	if (at < end && *at == '"')
		return slice_string_end(at, end);
	if (at < end && *at != '{' && *at != '[')
	{
		while (at < end && strchr(",]} \t\n\r", *at) == NULL)
			at++;
		return at;
	}
	while (at < end)
	{
		if (*at == '"')
		{
			at = slice_string_end(at, end);
			continue;
		}
		if (*at == '{' || *at == '[')
			depth++;
		else if ((*at == '}' || *at == ']') && --depth == 0)
			return at + 1;
		at++;
	}
	return end;
}

JsonSliceType
json_slice_type(JsonSlice value)
{
	if (value.at == NULL || value.len == 0)
		return JSON_SLICE_MISSING;
	switch (*value.at)
	{
		case '{':
			return JSON_SLICE_OBJECT;
		case '[':
			return JSON_SLICE_ARRAY;
		case '"':
			return JSON_SLICE_STRING;
		case 't':
		case 'f':
			return JSON_SLICE_BOOLEAN;
		case 'n':
			return JSON_SLICE_NULL;
		default:
			return JSON_SLICE_NUMBER;
	}
}

bool
json_slice_next(JsonSlice container, const char **next, JsonSlice *name, JsonSlice *value)
{
	JsonSliceType type = json_slice_type(container);
	const char *end = container.at + container.len;
	const char *at;

	if (type != JSON_SLICE_OBJECT && type != JSON_SLICE_ARRAY)
		return false;
	at = slice_space(*next == NULL ? container.at + 1 : *next, end);
	if (at < end && *at == ',')
		at = slice_space(at + 1, end);
	if (at >= end || *at == '}' || *at == ']')
		return false;
	if (type == JSON_SLICE_OBJECT)
	{
		const char *name_end = slice_string_end(at, end);

		if (name != NULL)
		{
			name->at = at;
			name->len = (size_t) (name_end - at);
		}
		at = slice_space(name_end, end);
		if (at < end)
			at = slice_space(at + 1, end);	/* the colon */
	}
	value->at = at;
	*next = slice_end(at, end);
	value->len = (size_t) (*next - at);
	return value->len > 0;
}

bool
json_slice_is(JsonSlice value, const char *text)
{
	size_t		len = strlen(text);
	char		plain[NAME_PLAIN_MAX * 2];

	if (json_slice_type(value) != JSON_SLICE_STRING)
		return false;
	if (memchr(value.at, '\\', value.len) == NULL)
		return value.len == len + 2 && memcmp(value.at + 1, text, len) == 0;
	return len < sizeof(plain) && json_text_string(value.at, value.len, plain, sizeof(plain)) &&
		strcmp(plain, text) == 0;
}

JsonSlice
json_slice_get(JsonSlice object, const char *name)
{
	JsonSlice	missing = {NULL, 0};
	JsonSlice	found;
	JsonSlice	value;
	const char *next = NULL;

	if (json_slice_type(object) != JSON_SLICE_OBJECT)
		return missing;
	while (json_slice_next(object, &next, &found, &value))
		if (json_slice_is(found, name))
			return value;
	return missing;
}

/* ----- as jsonb prints it ----- */

static char *
slice_plain(Pool *pool, JsonSlice string)
{
	char	   *plain = pool_alloc(pool, string.len + 1);

	if (!json_text_string(string.at, string.len, plain, string.len + 1))
		plain[0] = '\0';
	return plain;
}

static void
slice_put_string(PoolText *out, const char *plain)
{
	pool_text_char(out, '"');
	for (const char *at = plain; *at != '\0';)
	{
		size_t		clean = 0;
		char		escape[8];

		while ((unsigned char) at[clean] >= ' ' && at[clean] != '"' && at[clean] != '\\')
			clean++;
		pool_text_add(out, at, clean);
		at += clean;
		if (*at == '\0')
			break;
		switch (*at)
		{
			case '\b':
				pool_text_puts(out, "\\b");
				break;
			case '\f':
				pool_text_puts(out, "\\f");
				break;
			case '\n':
				pool_text_puts(out, "\\n");
				break;
			case '\r':
				pool_text_puts(out, "\\r");
				break;
			case '\t':
				pool_text_puts(out, "\\t");
				break;
			case '"':
				pool_text_puts(out, "\\\"");
				break;
			case '\\':
				pool_text_puts(out, "\\\\");
				break;
			default:
				(void) snprintf(escape, sizeof(escape), "\\u%04x", *at);
				pool_text_puts(out, escape);
				break;
		}
		at++;
	}
	pool_text_char(out, '"');
}

/*
 * As numeric prints it: no exponent, as many digits behind the point as there were, less the
 * exponent.
 */
static void
slice_put_number(PoolText *out, JsonSlice number, bool comparable)
{
	const char *at = number.at;
	const char *end = number.at + number.len;
	char		digits[2 * JSON_TEXT_DIGITS_MAX];
	long		count = 0;		/* of the digits */
	long		point = 0;		/* how many of them are before the point */
	long		scale = 0;		/* how many are printed behind it */
	long		exponent = 0;
	bool		negative = *at == '-';
	bool		zero = true;
	bool		behind = false;
	long		first;

	if (negative)
		at++;
	for (; at < end && *at != 'e' && *at != 'E'; at++)
	{
		if (*at == '.')
		{
			behind = true;
			continue;
		}
		/* numbers with more digits are refused before, whatever their exponents */
		if (count < (long) sizeof(digits))
			digits[count++] = *at;
		zero = zero && *at == '0';
		if (behind)
			scale++;
		else
			point++;
	}
	if (at < end)
		exponent = strtol(at + 1, NULL, 10);
	point += exponent;
	scale = scale > exponent ? scale - exponent : 0;
	if (comparable)
	{
		while (count > 0 && digits[count - 1] == '0')
			count--;
		if (scale > count - point)
			scale = count - point > 0 ? count - point : 0;
		if (zero)
			scale = 0;
	}
	if (negative && !zero)
		pool_text_char(out, '-');
	for (first = 0; first < point && (first >= count || digits[first] == '0'); first++)
		if (first >= count)
			break;
	if (first >= point || first >= count)
		pool_text_char(out, '0');
	else
		for (long i = first; i < point; i++)
			pool_text_char(out, i < count ? digits[i] : '0');
	if (scale > 0)
		pool_text_char(out, '.');
	for (long i = point; i < point + scale; i++)
		pool_text_char(out, i >= 0 && i < count ? digits[i] : '0');
}

typedef struct SliceField
{
	const char *name;
	size_t		len;
	JsonSlice	value;
} SliceField;

static int
slice_field_order(const void *a, const void *b)
{
	const SliceField *x = a;
	const SliceField *y = b;

	if (x->len != y->len)
		return x->len < y->len ? -1 : 1;
	return memcmp(x->name, y->name, x->len);
}

/* As deep as JSON_TEXT_DEPTH_MAX. */
static void
slice_put(PoolText *out, JsonSlice value, bool comparable)
{
	const char *next = NULL;
	JsonSlice	name;
	JsonSlice	item;
	SliceField *fields = NULL;
	size_t		count = 0;

	switch (json_slice_type(value))
	{
		case JSON_SLICE_STRING:
			slice_put_string(out, slice_plain(out->pool, value));
			break;
		case JSON_SLICE_NUMBER:
			slice_put_number(out, value, comparable);
			break;
		case JSON_SLICE_ARRAY:
			pool_text_char(out, '[');
			while (json_slice_next(value, &next, NULL, &item))
			{
				if (count++ > 0)
					pool_text_puts(out, ", ");
				slice_put(out, item, comparable);
			}
			pool_text_char(out, ']');
			break;
		case JSON_SLICE_OBJECT:
			while (json_slice_next(value, &next, &name, &item))
			{
				fields = pool_grow(out->pool, fields, count, sizeof(SliceField));
				fields[count].name = slice_plain(out->pool, name);
				fields[count].len = strlen(fields[count].name);
				fields[count++].value = item;
			}
			if (count > 1)
				qsort(fields, count, sizeof(SliceField), slice_field_order);
			pool_text_char(out, '{');
			for (size_t i = 0; i < count; i++)
			{
				if (i > 0)
					pool_text_puts(out, ", ");
				slice_put_string(out, fields[i].name);
				pool_text_puts(out, ": ");
				slice_put(out, fields[i].value, comparable);
			}
			pool_text_char(out, '}');
			break;
		default:
			pool_text_add(out, value.at, value.len);
			break;
	}
}

char *
json_slice_canonical(Pool *pool, JsonSlice value, size_t *len)
{
	PoolText	out;

	pool_text_begin(&out, pool);
	slice_put(&out, value, false);
	if (len != NULL)
		*len = out.len;
	return out.data;
}

char *
json_slice_comparable(Pool *pool, JsonSlice value, size_t *len)
{
	PoolText	out;

	pool_text_begin(&out, pool);
	slice_put(&out, value, true);
	if (len != NULL)
		*len = out.len;
	return out.data;
}

char *
json_slice_text(Pool *pool, JsonSlice value)
{
	switch (json_slice_type(value))
	{
		case JSON_SLICE_MISSING:
		case JSON_SLICE_NULL:
			return NULL;
		case JSON_SLICE_STRING:
			return slice_plain(pool, value);
		default:
			return json_slice_canonical(pool, value, NULL);
	}
}
