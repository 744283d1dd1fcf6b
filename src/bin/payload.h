/*
 * payload.h: the text of an entry, as it stands in an export or a receipt.
 */
#ifndef MEDCHAIN_BIN_PAYLOAD_H
#define MEDCHAIN_BIN_PAYLOAD_H

#include <jansson.h>

#include "rules/entry.h"

typedef struct Payload
{
	const char *text;			/* the exact bytes */
	size_t		len;
	char	   *decoded;		/* ours, where they came in base64 */
	Entry		entry;
	bool		readable;		/* it would be accepted today */
	CoreError	unreadable;		/* why not */
} Payload;

/* The name of the field of a line that the text is in: which one, depends on the bytes. */
extern const char *payload_field(json_t *line);

/*
 * Take the text from there; false if there is none, or it is not spelled as medchain does.  To be
 * freed with payload_free() in any case.
 */
extern bool payload_load(json_t *line, Payload *payload, CoreError *error);

/*
 * Is it an entry of that chain?  Versions of old took more than is accepted today: of what is on a
 * ledger since then, only what everybody can read says something, but it is there.
 */
extern bool payload_is_of(Payload *payload, const char *origin);

extern void payload_free(Payload *payload);

#endif
