/*
 * json_scan.h: what is looked at in a text before jansson reads it.
 */
#ifndef MEDCHAIN_RULES_JSON_SCAN_H
#define MEDCHAIN_RULES_JSON_SCAN_H

#include "core/error.h"
#include "rules/json_limits.h"
#include "rules/pool.h"

/* What jansson is to read for a text. */
typedef struct JsonScan
{
	const char *text;			/* the text itself, or copy */
	size_t		len;
	char	   *copy;			/* to be freed, or NULL */
} JsonScan;

/*
 * False, with the reason in error, if the text is beyond our limits.  What is in scan has as many
 * bytes as the text, each value where it stands there, and the same names and strings (by the rules
 * of old: but for what was no character); numbers have other values.
 */
extern bool json_scan(const char *text, size_t len, JsonTextRules rules, JsonScan *scan,
					  CoreError *error);

/*
 * The same with all numbers as strings: JSON_SCAN_NUMBER, which no string of the text can begin
 * with, and behind it the number as it stands there.  What is in scan is in the pool.
 */
#define JSON_SCAN_NUMBER '\0'

extern bool json_scan_numbers(Pool *pool, const char *text, size_t len, JsonTextRules rules,
							  JsonScan *scan);

#endif
