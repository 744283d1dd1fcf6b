/*
 * json_slice.h: reading values out of a JSON text, where they stand.
 *
 * Nothing is built in memory: a value is a part of the text, and looking for a field is a walk
 * through it.  So what a hostile entry costs is bounded by its size, and numbers keep all their
 * digits, as PostgreSQL's jsonb does and C's types do not.
 *
 * The text must have been found good by json_text_object() with JSON_TEXT_UNIQUE or stricter.
 */
#ifndef MEDCHAIN_RULES_JSON_SLICE_H
#define MEDCHAIN_RULES_JSON_SLICE_H

#include "rules/json_text.h"
#include "rules/pool.h"

typedef struct JsonSlice
{
	const char *at;				/* NULL: there is no such value */
	size_t		len;
} JsonSlice;

typedef enum JsonSliceType
{
	JSON_SLICE_MISSING, JSON_SLICE_NULL, JSON_SLICE_BOOLEAN, JSON_SLICE_NUMBER, JSON_SLICE_STRING,
	JSON_SLICE_ARRAY, JSON_SLICE_OBJECT
} JsonSliceType;

extern JsonSliceType json_slice_type(JsonSlice value);

/* A field; missing as well where object is none. */
extern JsonSlice json_slice_get(JsonSlice object, const char *name);

/* Is that a string of this text? */
extern bool json_slice_is(JsonSlice value, const char *text);

/*
 * Going through an array or object: false at the end.  name (or NULL): of a field, with its quotes
 * and escapes.  Start with the value and *next NULL.
 */
extern bool json_slice_next(JsonSlice container, const char **next, JsonSlice *name,
							JsonSlice *value);

/*
 * As SQL's ->> has it: NULL for a value that is missing or null, the text of a string, and of
 * everything else what jsonb prints.
 */
extern char *json_slice_text(Pool *pool, JsonSlice value);

/*
 * What jsonb prints: fields by the length of their names and then in byte order, a blank behind
 * colons and commas, numbers written out.
 */
extern char *json_slice_canonical(Pool *pool, JsonSlice value, size_t *len);

/*
 * The same with numbers without zeros at the end of their fractions: two values that jsonb takes
 * for equal have the same.
 */
extern char *json_slice_comparable(Pool *pool, JsonSlice value, size_t *len);

#endif
