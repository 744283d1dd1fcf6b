/*
 * payload.h: what the verifier has to know of every entry, without building its JSON in memory.
 */
#ifndef MEDCHAIN_BIN_PAYLOAD_H
#define MEDCHAIN_BIN_PAYLOAD_H

#include <stdbool.h>
#include <stddef.h>

/*
 * What is looked at is shorter: names have up to 63 bytes, each of which takes up to 6 when it is
 * escaped.
 */
#define PAYLOAD_VALUE_MAX 400

typedef struct PayloadNames
{
	char		kind[PAYLOAD_VALUE_MAX];
	char		origin[PAYLOAD_VALUE_MAX];
} PayloadNames;

/*
 * Read kind and origin of a payload: a JSON object (RFC 8259) which has each of them once, a short
 * string.  False for any other text.  Takes what the database takes: numbers of any size, fields
 * twice in what a user appended.
 */
extern bool payload_names(const char *text, size_t len, PayloadNames *names);

#endif
