/*
 * input.c: read JSON lines strictly, with jansson as the parser.
 *
 * A verifier that lets a byte be changed without noticing would leave room for
 * doubt about what was verified.  JSON has many spellings for one content, so
 * before it is parsed, everything is refused that medchain does not write: other
 * white space, other escapes, negative numbers.  And what is read may be hostile:
 * a line has a longest length, and few enough values to parse it in little memory.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/encode.h"
#include "input.h"

#define INPUT_CHUNK 65536

/*
 * An escape as PostgreSQL writes it: \\ \" \b \f \n \r \t, and \u00xx in lower case for other
 * control characters.
 */
static size_t
input_escape(const char *at, size_t left)
{
	if (left >= 2 && strchr("\\\"bfnrt", at[1]) != NULL && at[1] != '\0')
		return 2;
	if (left >= 6 && memcmp(at, "\\u00", 4) == 0 && (at[4] == '0' || at[4] == '1') &&
		((at[5] >= '0' && at[5] <= '9') || (at[5] >= 'a' && at[5] <= 'f')) &&
		!(at[4] == '0' && strchr("89acd", at[5]) != NULL))
		return 6;
	return 0;
}

/* A string, from its first quote on: its length with both; 0 if it is spelled otherwise. */
static size_t
input_quoted(const char *at, size_t left)
{
	size_t		i = 1;

	while (i < left && at[i] != '"')
	{
		size_t		step = at[i] == '\\' ? input_escape(at + i, left - i) : 1;

		if (step == 0)
			return 0;
		i += step;
	}
	return i < left ? i + 1 : 0;
}

/* Outside of strings, the only white space is one blank after a colon or a comma. */
static bool
input_spelling(const char *line, size_t length)
{
	int			tokens = 0;

	for (size_t i = 0; i < length;)
	{
		unsigned char c = (unsigned char) line[i];

		if (c == '"')
		{
			size_t		step = input_quoted(line + i, length - i);

			if (step == 0)
				return false;
			i += step;
			continue;
		}
		if (c == ' ' ? i == 0 || (line[i - 1] != ':' && line[i - 1] != ',') : c < ' ' || c == '-')
			return false;
		if ((c == ':' || c == ',') && (i + 1 == length || line[i + 1] != ' '))
			return false;
		if (strchr(":,[{", c) != NULL && ++tokens > INPUT_TOKENS_MAX)
			return false;
		i++;
	}
	return true;
}

/* Read on, behind what is there; false at the end of the input or with an error. */
static bool
input_fill(Input *input, CoreError *error)
{
	size_t		got;

	if (input->start > 0)
		memmove(input->data, input->data + input->start, input->end - input->start);
	input->end -= input->start;
	input->start = 0;
	if (input->size - input->end < INPUT_CHUNK)
	{
		size_t		size = input->size < INPUT_CHUNK ? 2 * INPUT_CHUNK : 2 * input->size;
		char	   *data = realloc(input->data, size);

		if (data == NULL)
			return error_set(error, CORE_INTERNAL, "out of memory");
		input->data = data;
		input->size = size;
	}
	got = fread(input->data + input->end, 1, input->size - input->end, input->file);
	if (got == 0 && ferror(input->file))
		return error_set(error, CORE_ACCESS, "could not read: %s", strerror(errno));
	input->end += got;
	return got > 0;
}

/* The next line; false at the end of the input or with an error. */
static bool
input_line(Input *input, CoreError *error)
{
	size_t		looked = 0;
	char	   *newline;

	while (input->start == input->end ||
		   (newline = memchr(input->data + input->start + looked, '\n',
							 input->end - input->start - looked)) == NULL)
	{
		looked = input->end - input->start;
		if (looked > INPUT_LINE_MAX)
			return error_set(error, CORE_UNSUPPORTED, "line %llu is longer than %d bytes",
							 (unsigned long long) input->number + 1, INPUT_LINE_MAX);
		if (input_fill(input, error))
			continue;
		if (error->code == CORE_OK && looked > 0)
			error_set(error, CORE_MALFORMED,
					  "line %llu has no newline at its end: the input is cut off",
					  (unsigned long long) input->number + 1);
		return false;
	}
	input->number++;
	*newline = '\0';
	input->line = input->data + input->start;
	input->length = (size_t) (newline - input->line);
	input->start += input->length + 1;
	return true;
}

bool
input_at_end(Input *input)
{
	CoreError	error = {0};

	return input->start == input->end && !input_fill(input, &error) && error.code == CORE_OK;
}

bool
input_begins(Input *input, const char *with)
{
	size_t		len = strlen(with);
	CoreError	error = {0};

	while (input->end - input->start < len && input_fill(input, &error))
		;
	return input->end - input->start >= len &&
		memcmp(input->data + input->start, with, len) == 0;
}

bool
input_all(Input *input, size_t max, const char **text, size_t *len, CoreError *error)
{
	while (input->end - input->start <= max && input_fill(input, error))
		;
	if (error->code != CORE_OK)
		return false;
	if (input->end - input->start > max)
		return error_set(error, CORE_UNSUPPORTED, "the input is longer than %zu bytes", max);
	*text = input->data + input->start;
	*len = input->end - input->start;
	return true;
}

json_t *
input_next(Input *input, CoreError *error)
{
	json_error_t problem;
	json_t	   *object;

	if (!input_line(input, error))
		return NULL;
	if (input->length == 0 || input->line[0] != '{' || !input_spelling(input->line, input->length))
	{
		error_set(error, CORE_MALFORMED, "line %llu is not JSON as medchain spells it%s",
				  (unsigned long long) input->number,
				  input->number == 1 ? " (psql -XAt writes it as it is)" : "");
		return NULL;
	}
	object = json_loadb(input->line, input->length, JSON_REJECT_DUPLICATES, &problem);
	if (object == NULL)
		error_set(error, CORE_MALFORMED, "line %llu is not JSON: %s",
				  (unsigned long long) input->number, problem.text);
	return object;
}

void
input_free(Input *input)
{
	free(input->data);
	input->data = NULL;
	input->size = input->start = input->end = 0;
}

bool
input_string(json_t *object, const char *field, const char **value, size_t *len, CoreError *error)
{
	json_t	   *found = json_object_get(object, field);

	if (!json_is_string(found))
		return error_set(error, CORE_MALFORMED, "field \"%s\" is missing or not a string", field);
	*value = json_string_value(found);
	if (len != NULL)
		*len = json_string_length(found);
	else if (strlen(*value) != json_string_length(found))
		return error_set(error, CORE_MALFORMED, "field \"%s\" has a null character in it", field);
	return true;
}

bool
input_number(json_t *object, const char *field, uint64_t *value, CoreError *error)
{
	json_t	   *found = json_object_get(object, field);

	if (!json_is_integer(found) || json_integer_value(found) < 0)
		return error_set(error, CORE_MALFORMED, "field \"%s\" is missing or not a number", field);
	*value = (uint64_t) json_integer_value(found);
	return true;
}

bool
input_hash(json_t *hex, uint8_t hash[HASH_LEN], CoreError *error)
{
	char		again[ENCODE_HEX_SIZE(HASH_LEN)];

	if (json_is_string(hex) && json_string_length(hex) == 2 * HASH_LEN &&
		decode_hex(json_string_value(hex), 2 * HASH_LEN, hash))
	{
		encode_hex(hash, HASH_LEN, again);
		if (strcmp(again, json_string_value(hex)) == 0)
			return true;
	}
	return error_set(error, CORE_MALFORMED, "a hash is not %d lower-case hexadecimal digits",
					 2 * HASH_LEN);
}

bool
input_hashes(json_t *object, const char *field, uint8_t hashes[INPUT_HASHES_MAX][HASH_LEN],
			 int *count, CoreError *error)
{
	json_t	   *list = json_object_get(object, field);

	if (!json_is_array(list) || json_array_size(list) > INPUT_HASHES_MAX)
		return error_set(error, CORE_MALFORMED,
						 "field \"%s\" is not an array of at most %d hashes", field,
						 INPUT_HASHES_MAX);
	*count = (int) json_array_size(list);
	for (int i = 0; i < *count; i++)
		if (!input_hash(json_array_get(list, (size_t) i), hashes[i], error))
			return false;
	return true;
}

bool
input_fields(json_t *object, const char *const *names, CoreError *error)
{
	void	   *field = json_object_iter(object);	/* in the order of the text */

	for (; *names != NULL; names++, field = json_object_iter_next(object, field))
	{
		if (json_object_get(object, *names) == NULL)
			return error_set(error, CORE_MALFORMED, "field \"%s\" is missing", *names);
		if (field == NULL || strcmp(json_object_iter_key(field), *names) != 0)
			break;
	}
	return (*names == NULL && field == NULL) ||
		error_set(error, CORE_MALFORMED,
				  "there are fields that do not belong there, or in another order");
}
