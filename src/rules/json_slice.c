/*
 * json_slice.c: reading values out of what jansson has built, and printing them as jsonb does.
 *
 * jansson's own printing is of no use here: it does not order fields as jsonb does, and knows
 * numbers as C's types only.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "rules/json_scan.h"
#include "rules/json_slice.h"

/* ----- reading ----- */

static void
slice_release(void *value)
{
	json_decref(value);
}

JsonSlice
json_slice_read(Pool *pool, const char *text, size_t len, JsonTextRules rules)
{
	Pool	   *scratch = pool_new();
	JsonSlice	read = {NULL};
	JsonScan	scan;
	json_error_t why;

	/* what is no object is none in here either; NUL is before numbers only */
	if (json_scan_numbers(scratch, text, len, rules, &scan))
	{
		read.value = json_loadb(scan.text, scan.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL,
								&why);
		if (read.value == NULL && json_error_code(&why) == json_error_out_of_memory)
			pool_fail();
	}
	pool_free(scratch);
	if (read.value != NULL)
		pool_own(pool, read.value, slice_release);
	if (!json_is_object(read.value))
		read.value = NULL;
	return read;
}

JsonSlice
json_slice_keep(Pool *pool, JsonSlice value)
{
	if (value.value != NULL)
		pool_own(pool, json_incref(value.value), slice_release);
	return value;
}

JsonSliceType
json_slice_type(JsonSlice value)
{
	if (value.value == NULL)
		return JSON_SLICE_MISSING;
	switch (json_typeof(value.value))
	{
		case JSON_OBJECT:
			return JSON_SLICE_OBJECT;
		case JSON_ARRAY:
			return JSON_SLICE_ARRAY;
		case JSON_STRING:
			return json_string_length(value.value) > 0 &&
				json_string_value(value.value)[0] == JSON_SCAN_NUMBER ?
				JSON_SLICE_NUMBER : JSON_SLICE_STRING;
		case JSON_NULL:
			return JSON_SLICE_NULL;
		default:
			return JSON_SLICE_BOOLEAN;
	}
}

bool
json_slice_next(JsonSlice container, JsonSliceStep *step, const char **name, JsonSlice *value)
{
	switch (json_slice_type(container))
	{
		case JSON_SLICE_ARRAY:
			value->value = json_array_get(container.value, step->index++);
			return value->value != NULL;
		case JSON_SLICE_OBJECT:
			if (!step->begun)
				step->field = json_object_iter(container.value);
			else if (step->field != NULL)
				step->field = json_object_iter_next(container.value, step->field);
			step->begun = true;
			if (step->field == NULL)
				return false;
			if (name != NULL)
				*name = json_object_iter_key(step->field);
			value->value = json_object_iter_value(step->field);
			return true;
		default:
			return false;
	}
}

bool
json_slice_is(JsonSlice value, const char *text)
{
	return json_slice_type(value) == JSON_SLICE_STRING &&
		strcmp(json_string_value(value.value), text) == 0;
}

bool
json_slice_string(JsonSlice value, char *out, size_t size)
{
	if (json_slice_type(value) != JSON_SLICE_STRING || json_string_length(value.value) >= size)
		return false;
	strcpy(out, json_string_value(value.value));
	return true;
}

JsonSlice
json_slice_get(JsonSlice object, const char *name)
{
	JsonSlice	found = {json_object_get(object.value, name)};

	return found;
}

/* ----- as jsonb prints it ----- */

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
	const char *at = json_string_value(number.value) + 1;
	const char *end = at + json_string_length(number.value) - 1;
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
	JsonSliceStep step = {0};
	const char *name;
	JsonSlice	item;
	SliceField *fields = NULL;
	size_t		count = 0;

	switch (json_slice_type(value))
	{
		case JSON_SLICE_STRING:
			slice_put_string(out, json_string_value(value.value));
			break;
		case JSON_SLICE_NUMBER:
			slice_put_number(out, value, comparable);
			break;
		case JSON_SLICE_ARRAY:
			pool_text_char(out, '[');
			while (json_slice_next(value, &step, NULL, &item))
			{
				if (count++ > 0)
					pool_text_puts(out, ", ");
				slice_put(out, item, comparable);
			}
			pool_text_char(out, ']');
			break;
		case JSON_SLICE_OBJECT:
			while (json_slice_next(value, &step, &name, &item))
			{
				fields = pool_grow(out->pool, fields, count, sizeof(SliceField));
				fields[count].name = name;
				fields[count].len = strlen(name);
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
		case JSON_SLICE_BOOLEAN:
			pool_text_puts(out, json_is_true(value.value) ? "true" : "false");
			break;
		default:
			pool_text_puts(out, "null");
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
			return pool_text(pool, json_string_value(value.value));
		default:
			return json_slice_canonical(pool, value, NULL);
	}
}
