/*
 * input.c: read JSON lines strictly, with jansson as the parser.
 *
 * A verifier that lets a byte be changed without noticing would leave room for
 * doubt about what was verified.  JSON has many spellings for one content, so
 * beyond parsing it, white space is refused where medchain writes none, and hex
 * digits in upper case are.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/encode.h"
#include "input.h"

/* Outside of strings, the only white space is one blank after a colon or a comma. */
static bool
input_spelling(const char *line, size_t length)
{
	bool		in_string = false;

	for (size_t i = 0; i < length; i++)
	{
		unsigned char c = (unsigned char) line[i];

		if (in_string)
		{
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
		}
		else if (c == '"')
			in_string = true;
		else if (c == ' ' ? i == 0 || (line[i - 1] != ':' && line[i - 1] != ',') : c < ' ')
			return false;
		else if ((c == ':' || c == ',') && (i + 1 == length || line[i + 1] != ' '))
			return false;
	}
	return true;
}

/* One line into input->line; false at the end of the input or with an error. */
static bool
input_line(Input *input, CoreError *error)
{
	ssize_t		got = getline(&input->line, &input->size, input->file);

	if (got < 0)
	{
		if (ferror(input->file))
			error_set(error, CORE_ACCESS, "could not read: %s", strerror(errno));
		return false;
	}
	input->number++;
	input->bytes += (uint64_t) got;
	input->length = (size_t) got;
	if (input->line[got - 1] != '\n')
		return error_set(error, CORE_MALFORMED, "line %llu has no newline at its end: the input is cut off",
						 (unsigned long long) input->number);
	input->line[--input->length] = '\0';
	if (input->length > INPUT_LINE_MAX)
		return error_set(error, CORE_UNSUPPORTED, "line %llu is longer than %d bytes",
						 (unsigned long long) input->number, INPUT_LINE_MAX);
	return true;
}

json_t *
input_next(Input *input, CoreError *error)
{
	json_error_t problem;
	json_t	   *object;

	if (!input_line(input, error))
		return NULL;
	object = json_loadb(input->line, input->length, JSON_REJECT_DUPLICATES, &problem);
	if (object == NULL)
	{
		error_set(error, CORE_MALFORMED, "line %llu is not JSON: %s", (unsigned long long) input->number, problem.text);
		return NULL;
	}
	if (!json_is_object(object) || !input_spelling(input->line, input->length))
	{
		json_decref(object);
		error_set(error, CORE_MALFORMED, "line %llu is not spelled as medchain spells it", (unsigned long long) input->number);
		return NULL;
	}
	return object;
}

void
input_free(Input *input)
{
	free(input->line);
	input->line = NULL;
	input->size = 0;
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
	return error_set(error, CORE_MALFORMED, "a hash is not %d lower-case hexadecimal digits", 2 * HASH_LEN);
}

bool
input_fields(json_t *object, const char *const *names, CoreError *error)
{
	size_t		count = 0;

	for (; names[count] != NULL; count++)
		if (json_object_get(object, names[count]) == NULL)
			return error_set(error, CORE_MALFORMED, "field \"%s\" is missing", names[count]);
	if (json_object_size(object) != count)
		return error_set(error, CORE_MALFORMED, "there are fields that do not belong there");
	return true;
}
