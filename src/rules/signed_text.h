/*
 * signed_text.h: DSSE envelopes, out of the JSON that they are in.
 *
 * What comes from another hospital may be anything: a bad envelope is a reason, never an error.
 */
#ifndef MEDCHAIN_RULES_SIGNED_TEXT_H
#define MEDCHAIN_RULES_SIGNED_TEXT_H

#include "core/key.h"
#include "rules/json_slice.h"

#define SIGNED_TEXT_SIGNATURES_MAX 16

typedef struct SignedText
{
	const char *reason;			/* why it is no envelope of that type; NULL: it is one */
	const char *type;
	const char *payload;
	size_t		payload_len;
	int			count;
	struct
	{
		const uint8_t *bytes;
		size_t		len;
	}			signatures[SIGNED_TEXT_SIGNATURES_MAX];
} SignedText;

/* The envelope, of that payload type; what it points to is in the pool. */
extern void signed_text_read(Pool *pool, JsonSlice envelope, const char *type, SignedText *out);

/*
 * The same out of a text: what jansson would build of all of it is half of what an entry costs.
 * One that is no JSON object by these rules, or NULL, is an envelope without fields.
 */
extern void signed_text_read_text(Pool *pool, const char *text, size_t len, JsonTextRules rules,
								  const char *type, SignedText *out);

/*
 * NULL if one of its signatures is by the key (PEM), or why not: in the pool, or for ever.
 */
extern const char *signed_text_check(Pool *pool, const SignedText *text, const char *key);

#endif
