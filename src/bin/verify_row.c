/*
 * verify_row.c: what a row said, opened out of the commitment in an entry whose receipt was
 * verified.
 */
#include <stdlib.h>
#include <string.h>

#include "core/encode.h"
#include "core/hash.h"
#include "report.h"

#define ROW_SALT_LEN 16

/* SHA-256(salt || content), in hex. */
static bool
row_commitment(const char *salt_hex, const char *content, size_t len, char *hex, CoreError *error)
{
	uint8_t    *message;
	uint8_t		hash[HASH_LEN];
	char		again[ENCODE_HEX_SIZE(ROW_SALT_LEN)];
	bool		fine;

	message = malloc(ROW_SALT_LEN + len);
	if (message == NULL)
		return error_set(error, CORE_INTERNAL, "out of memory");
	fine = strlen(salt_hex) == 2 * ROW_SALT_LEN && decode_hex(salt_hex, 2 * ROW_SALT_LEN, message);
	if (fine)
	{
		encode_hex(message, ROW_SALT_LEN, again);
		fine = strcmp(again, salt_hex) == 0;
	}
	if (!fine)
		error_set(error, CORE_MALFORMED, "the salt is not %d lower-case hexadecimal digits",
				  2 * ROW_SALT_LEN);
	else
	{
		memcpy(message + ROW_SALT_LEN, content, len);
		fine = hash_sha256(message, ROW_SALT_LEN + len, hash) ||
			error_set(error, CORE_INTERNAL, "could not compute SHA-256");
		encode_hex(hash, HASH_LEN, hex);
	}
	free(message);
	return fine;
}

/* "<bytes>:<text>" at *at, which moves behind it. */
static const char *
row_next(const char **at, const char *end, size_t *len)
{
	char	   *colon;
	unsigned long n;
	const char *text;

	if (*at == end || **at < '0' || **at > '9')
		return NULL;
	n = strtoul(*at, &colon, 10);
	if (colon >= end || *colon != ':' || n > (size_t) (end - colon - 1))
		return NULL;
	text = colon + 1;
	*at = text + n;
	*len = n;
	return text;
}

/* The canonical text as an object of column names and values. */
static json_t *
row_columns(const char *content, size_t len)
{
	json_t	   *columns = json_object();
	const char *at = content;
	const char *end = content + len;

	while (at < end)
	{
		size_t		namelen;
		size_t		valuelen;
		const char *name = row_next(&at, end, &namelen);
		const char *value = name ? row_next(&at, end, &valuelen) : NULL;
		char	   *key = value ? strndup(name, namelen) : NULL;

		if (key == NULL || json_object_set_new(columns, key, json_stringn(value, valuelen)) != 0)
		{
			free(key);
			json_decref(columns);
			return NULL;
		}
		free(key);
	}
	return columns;
}

bool
verify_row(json_t *row, const char *payload, size_t len, json_t *result, CoreError *error)
{
	static const char *const fields[] = {"salt", "content", "relation", NULL};
	const char *salt;
	const char *content;
	const char *relation;
	size_t		content_len;
	char		hex[ENCODE_HEX_SIZE(HASH_LEN)];
	json_t	   *entry;
	json_t	   *body;
	const char *committed;
	const char *about;
	json_t	   *columns;
	bool		same;

	if (!json_is_object(row) || !input_fields(row, fields, error) ||
		!input_string(row, "salt", &salt, NULL, error) ||
		!input_string(row, "content", &content, &content_len, error) ||
		!input_string(row, "relation", &relation, NULL, error) ||
		!row_commitment(salt, content, content_len, hex, error))
		return error->message[0] != '\0' ? false :
			error_set(error, CORE_MALFORMED, "field \"row\" is not an object");

	entry = json_loadb(payload, len, JSON_REJECT_DUPLICATES, NULL);
	body = json_object_get(entry, "body");
	committed = json_string_value(json_object_get(body, "commitment"));
	about = json_string_value(json_object_get(body, "relation"));
	same = committed != NULL && about != NULL && strcmp(committed, hex) == 0 &&
		strcmp(about, relation) == 0;
	json_decref(entry);
	if (!same)
		return error_set(error, CORE_MALFORMED, "the row is not what the entry commits to");
	columns = row_columns(content, content_len);
	if (columns == NULL)
		return error_set(error, CORE_MALFORMED,
						 "the row's content is not in its canonical spelling");
	json_object_set_new(result, "relation", json_string(relation));
	json_object_set_new(result, "row", columns);
	return true;
}
