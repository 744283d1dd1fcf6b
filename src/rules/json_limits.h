/*
 * json_limits.h: what a JSON text may have, so that everybody can read it: see json_text.h.
 */
#ifndef MEDCHAIN_RULES_JSON_LIMITS_H
#define MEDCHAIN_RULES_JSON_LIMITS_H

/* bytes, as it stands and with its numbers written out */
#define JSON_TEXT_MAX (16 * 1024 * 1024)
#define JSON_TEXT_DEPTH_MAX 128 /* levels of objects and arrays */
#define JSON_TEXT_DEPTH_OLD 512 /* ... that were taken once */
#define JSON_TEXT_VALUES_MAX 500000 /* objects, arrays, and commas between what is in them */
#define JSON_TEXT_DIGITS_MAX 1000	/* of a number without its exponent: 1e3 has four */

typedef enum JsonTextRules
{
	/*
	 * What versions of old took: any bytes in strings, any numbers.  For looking at what is on a
	 * ledger since then.
	 */
	JSON_TEXT_OLD,
	JSON_TEXT_READABLE,

	/*
	 * As well: no field twice in one object.  For what decides something, so that nobody can take
	 * it otherwise than somebody else.
	 */
	JSON_TEXT_UNIQUE,

	/* As well: numbers that fit into a C program's types. */
	JSON_TEXT_STRICT
} JsonTextRules;

#endif
