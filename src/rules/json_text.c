/*
 * json_text.c: is a text JSON, and what are the fields of the object it is: jansson's answers.
 *
 * The outermost object is taken apart here, as what an entry's fields are is needed as it stands in
 * the text, and what jansson builds of a whole object has forgotten it; also which names were there
 * twice.
 *
 * Nothing here may call jansson's json_object(): in a server, PostgreSQL's function of that name
 * would answer.  jansson's own calls stay within it (it is linked with -Bsymbolic-functions).
 */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "rules/json_scan.h"
#include "rules/json_text.h"

#define JSON_NAME_PLAIN 64		/* names shorter than that need no jansson to be told apart */

typedef struct Reader
{
	const char *at;
	const char *end;
	size_t		flags;			/* of jansson */
	json_t	   *names;			/* of the outermost object; NULL: those may be there twice */
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

static bool
json_no_memory(Reader *reader)
{
	return error_set(reader->error, CORE_INTERNAL, "out of memory");
}

static bool
json_twice(Reader *reader)
{
	return json_fail(reader, "payload has a field twice in one object");
}

static void
json_space(Reader *reader)
{
	while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\t' ||
										*reader->at == '\n' || *reader->at == '\r'))
		reader->at++;
}

/* With the blanks before it. */
static bool
json_char(Reader *reader, char c)
{
	json_space(reader);
	if (reader->at == reader->end || *reader->at != c)
		return false;
	reader->at++;
	return true;
}

/*
 * Goes behind a string in which nothing has to be looked at, as most are: then there is nothing to
 * ask jansson, which would take ten times as long.
 */
static bool
json_plain(Reader *reader)
{
	const char *at = reader->at;

	if (at == reader->end || *at++ != '"')
		return false;
	while (at < reader->end && *at != '"' && *at != '\\' && (unsigned char) *at >= ' ')
		at++;
	if (at == reader->end || *at != '"')
		return false;
	reader->at = at + 1;
	return true;
}

/* The value that begins here, to be released; the reader goes behind it.  NULL: there is none. */
static json_t *
json_value(Reader *reader)
{
	json_error_t why;
	json_t	   *value = json_loadb(reader->at, (size_t) (reader->end - reader->at),
								   JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK | reader->flags, &why);

	if (value != NULL)
		reader->at += why.position;
	else if (json_error_code(&why) == json_error_out_of_memory)
		(void) json_no_memory(reader);
	else if (json_error_code(&why) == json_error_duplicate_key)
		(void) json_twice(reader);
	else
		(void) json_no_json(reader);
	return value;
}

/* A name of the outermost object: no other may be the same. */
static bool
json_only(Reader *reader, const char *name)
{
	if (reader->names == NULL)
		return true;
	if (json_object_get(reader->names, name) != NULL)
		return json_twice(reader);
	return json_object_set_new(reader->names, name, json_true()) == 0 || json_no_memory(reader);
}

static bool
json_name(Reader *reader)
{
	const char *first = reader->at;
	char		plain[JSON_NAME_PLAIN];
	json_t	   *name;
	bool		fine;

	if (json_plain(reader))
	{
		size_t		len = (size_t) (reader->at - first) - 2;

		if (reader->names == NULL)
			return true;
		if (len < sizeof(plain))
		{
			memcpy(plain, first + 1, len);
			plain[len] = '\0';
			return json_only(reader, plain);
		}
		reader->at = first;
	}
	if (reader->at == reader->end || *reader->at != '"')
		return json_no_json(reader);
	name = json_value(reader);
	if (name == NULL)
		return false;
	fine = json_only(reader, json_string_value(name));
	json_decref(name);
	return fine;
}

typedef void (*ReaderField) (void *state, const char *name, const char *name_end,
							 const char *value, const char *value_end, json_t *built);

static bool json_object_fields(Reader *reader, ReaderField field, void *state);

/*
 * Goes behind a value; built, to be released: what it is, if that had to be built.  An object in
 * which names may be there twice is taken apart as well, which saves jansson the long strings in
 * it: an envelope is one; not what is in that again.
 */
static bool
json_skip(Reader *reader, bool outermost, json_t **built)
{
	*built = NULL;
	if (json_plain(reader))
		return true;
	if (outermost && reader->names == NULL && reader->at < reader->end && *reader->at == '{')
		return json_object_fields(reader, NULL, NULL);
	*built = json_value(reader);
	return *built != NULL;
}

/* field is NULL within the outermost object. */
static bool
json_object_fields(Reader *reader, ReaderField field, void *state)
{
	bool		more;

	if (!json_char(reader, '{'))
		return json_no_json(reader);
	more = !json_char(reader, '}');
	while (more)
	{
		const char *name;
		const char *name_end;
		const char *value;
		json_t	   *built;

		json_space(reader);
		name = reader->at;
		if (!json_name(reader))
			return false;
		name_end = reader->at;
		if (!json_char(reader, ':'))
			return json_no_json(reader);
		json_space(reader);
		value = reader->at;
		if (!json_skip(reader, field != NULL, &built))
			return false;
		if (field != NULL)
			field(state, name, name_end, value, reader->at, built);
		json_decref(built);
		more = json_char(reader, ',');
		if (!more && !json_char(reader, '}'))
			return json_no_json(reader);
	}
	return true;
}

/* Whom to tell of fields, as they stand in the text that was given: jansson may read another. */
typedef struct Told
{
	const char *text;
	const JsonScan *scan;
	JsonTextField field;
	void	   *state;
} Told;

static void
json_tell(void *state, const char *name, const char *name_end, const char *value,
		  const char *value_end, json_t *built)
{
	const Told *told = state;

	if (told->field != NULL)
		told->field(told->state, told->text + (name - told->scan->text),
					(size_t) (name_end - name), told->text + (value - told->scan->text),
					(size_t) (value_end - value), built);
}

static bool
json_fields(Reader *reader, Told *told)
{
	if (!json_object_fields(reader, json_tell, told))
		return false;
	json_space(reader);
	return reader->at == reader->end || json_no_json(reader);
}

bool
json_text_object(const char *text, size_t len, JsonTextRules rules,
				 JsonTextField field, void *state, CoreError *error)
{
	JsonScan	scan;
	Reader		reader = {.error = error};
	Told		told = {text, &scan, field, state};
	bool		fine;

	if (!json_scan(text, len, rules, &scan, error))
		return false;
	reader.at = scan.text;
	reader.end = scan.text + scan.len;
	if (rules >= JSON_TEXT_UNIQUE)
	{
		reader.flags = JSON_REJECT_DUPLICATES;
		reader.names = json_loadb("{}", 2, 0, NULL);
	}
	fine = rules >= JSON_TEXT_UNIQUE && reader.names == NULL ? json_no_memory(&reader) :
		json_fields(&reader, &told);
	json_decref(reader.names);
	free(scan.copy);
	return fine;
}

bool
json_text_string(const char *value, size_t len, char *out, size_t size)
{
	const char *plain = value + 1;
	size_t		plain_len = len - 2;
	json_t	   *string = NULL;
	bool		fits;

	if (len < 2 || value[0] != '"' || value[len - 1] != '"')
		return false;
	if (memchr(plain, '\\', plain_len) != NULL)
	{
		JsonScan	scan;

		string = json_loadb(value, len, JSON_DECODE_ANY, NULL);
		/* what was good by the rules of old only */
		if (string == NULL && json_scan(value, len, JSON_TEXT_OLD, &scan, NULL))
		{
			string = json_loadb(scan.text, scan.len, JSON_DECODE_ANY, NULL);
			free(scan.copy);
		}
		plain = json_string_value(string);
		plain_len = json_string_length(string);
	}
	fits = plain != NULL && plain_len < size;
	if (fits)
	{
		memcpy(out, plain, plain_len);
		out[plain_len] = '\0';
	}
	json_decref(string);
	return fits;
}
