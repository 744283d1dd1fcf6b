/*
 * json_slice.h: reading values out of an object that decides something.
 *
 * A value is a part of what jansson has built, for as long as the pool is there that it was read
 * into; what that costs is bounded by json_text.h's limits.  Numbers are kept as they stand in the
 * text: PostgreSQL's jsonb keeps all their digits, and C's types do not.
 */
#ifndef MEDCHAIN_RULES_JSON_SLICE_H
#define MEDCHAIN_RULES_JSON_SLICE_H

#include "rules/json_text.h"
#include "rules/pool.h"

typedef struct JsonSlice
{
	struct json_t *value;		/* NULL: there is no such value */
} JsonSlice;

typedef enum JsonSliceType
{
	JSON_SLICE_MISSING, JSON_SLICE_NULL, JSON_SLICE_BOOLEAN, JSON_SLICE_NUMBER, JSON_SLICE_STRING,
	JSON_SLICE_ARRAY, JSON_SLICE_OBJECT
} JsonSliceType;

/* The object that a text is, by rules that take no field twice; missing if it is none. */
extern JsonSlice json_slice_read(Pool *pool, const char *text, size_t len, JsonTextRules rules);

/* The same value, for as long as another pool is there. */
extern JsonSlice json_slice_keep(Pool *pool, JsonSlice value);

extern JsonSliceType json_slice_type(JsonSlice value);

/* A field; missing as well where object is none. */
extern JsonSlice json_slice_get(JsonSlice object, const char *name);

/* Is that a string of this text? */
extern bool json_slice_is(JsonSlice value, const char *text);

/* The string that it is, if that has at most size - 1 bytes, terminated; false if not. */
extern bool json_slice_string(JsonSlice value, char *out, size_t size);

/*
 * Going through an array or object: false at the end.  name (or NULL): of a field, its text.  Start
 * with the value and an empty step.
 */
typedef struct JsonSliceStep
{
	bool		begun;
	size_t		index;
	void	   *field;
} JsonSliceStep;

extern bool json_slice_next(JsonSlice container, JsonSliceStep *step, const char **name,
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
