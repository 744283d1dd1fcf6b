/*
 * json_text.h: is a text JSON (RFC 8259) that everybody can read, and what are the fields of the
 * object it is?
 *
 * The parser is jansson.  Others will read the text as well, and all of them have limits of their
 * own: what numeric holds, how deep a stack goes, what a string of theirs cannot have in it.  Those
 * differ by program, version and setting, and whether an entry is accepted must not.  So the limits
 * here are ours, and within them every parser that matters gets through: jansson, and PostgreSQL's
 * json and jsonb with the smallest stack that can be set.
 */
#ifndef MEDCHAIN_RULES_JSON_TEXT_H
#define MEDCHAIN_RULES_JSON_TEXT_H

#include "core/error.h"
#include "rules/json_limits.h"

struct json_t;

/*
 * A field of the outermost object: its name and its value as they stand in the text, a string with
 * its quotes and escapes.  built: what jansson has built of the value, for the time of the call, in
 * which numbers are not as in the text; NULL where there was no need to build anything.
 */
typedef void (*JsonTextField) (void *state, const char *name, size_t name_len,
							   const char *value, size_t value_len, struct json_t *built);

/*
 * False, with the reason in error, unless text is UTF-8 and JSON within the limits, and an object.
 * field (or NULL) is called for each of its fields, in their order, also when it turns out later
 * that the text is no good.
 */
extern bool json_text_object(const char *text, size_t len, JsonTextRules rules,
							 JsonTextField field, void *state, CoreError *error);

/*
 * The text of a string that stands there with its quotes and escapes, terminated; false if it is no
 * string or longer than size - 1 bytes.  value must have been found good, by json_text_object().
 */
extern bool json_text_string(const char *value, size_t len, char *out, size_t size);

#endif
