/*
 * input.h: the JSON that medchain writes, read strictly: one spelling for one content.
 */
#ifndef MEDCHAIN_BIN_INPUT_H
#define MEDCHAIN_BIN_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#include "core/error.h"
#include "core/hash.h"

#define INPUT_LINE_MAX (64 * 1024 * 1024)	/* bytes of one line: an entry, or a whole receipt */
#define INPUT_TOKENS_MAX 1000	/* commas, colons and brackets of one line, outside of strings */

typedef struct Input
{
	FILE	   *file;
	char	   *data;			/* read and not yet used: from start up to end */
	size_t		size;			/* allocated */
	size_t		start;
	size_t		end;
	const char *line;			/* the current one, without its newline */
	size_t		length;
	uint64_t	number;			/* of the line, from 1 */
} Input;

/*
 * Read a line and parse it as a JSON object.  NULL at the end of the input (error->code stays
 * CORE_OK), or with an error: too long, no newline at its end, not JSON, another spelling than
 * medchain's, a field twice.
 */
extern json_t *input_next(Input *input, CoreError *error);
extern bool input_at_end(Input *input);

/* Before the first line was read: what it begins with; and all of it, if that is not too long. */
extern bool input_begins(Input *input, const char *with);
extern bool input_all(Input *input, size_t max, const char **text, size_t *len, CoreError *error);
extern void input_free(Input *input);

/* Fields of an object; false, with an error, if missing or of another type. */
extern bool input_string(json_t *object, const char *field, const char **value, size_t *len,
						 CoreError *error);
extern bool input_number(json_t *object, const char *field, uint64_t *value, CoreError *error);
extern bool input_hash(json_t *hex, uint8_t hash[HASH_LEN],
					   CoreError *error);	/* 64 lower-case hex digits */

/* An inclusion proof: at most INPUT_HASHES_MAX of them. */
#define INPUT_HASHES_MAX 64
extern bool input_hashes(json_t *object, const char *field,
						 uint8_t hashes[INPUT_HASHES_MAX][HASH_LEN], int *count, CoreError *error);

/*
 * Has the object these fields, in this order (jsonb's: shorter names first), and no others?  names
 * ends with NULL.
 */
extern bool input_fields(json_t *object, const char *const *names, CoreError *error);

#endif
