/*
 * envelope.c: DSSE v1 pre-authentication encoding.
 */
#include <stdio.h>
#include <string.h>

#include "core/envelope.h"

#define LENGTH_DIGITS 24		/* of a size_t in decimal, with its blanks */

/* Lengths are of bytes, in decimal ASCII without leading zeros. */
static size_t
envelope_length(size_t length, char out[LENGTH_DIGITS])
{
	return (size_t) snprintf(out, LENGTH_DIGITS, "%zu ", length);
}

size_t
envelope_pae_size(const char *type, size_t payloadlen)
{
	char		digits[LENGTH_DIGITS];
	size_t		typelen = strlen(type);

	return strlen("DSSEv1 ") + envelope_length(typelen, digits) + typelen + 1 +
		envelope_length(payloadlen, digits) + payloadlen;
}

static uint8_t *
envelope_put(uint8_t *out, const void *data, size_t len)
{
	if (len > 0)
		memcpy(out, data, len);
	return out + len;
}

size_t
envelope_pae(const char *type, const void *payload, size_t payloadlen, uint8_t *out)
{
	char		digits[LENGTH_DIGITS];
	size_t		typelen = strlen(type);
	uint8_t    *end = out;

	end = envelope_put(end, "DSSEv1 ", strlen("DSSEv1 "));
	end = envelope_put(end, digits, envelope_length(typelen, digits));
	end = envelope_put(end, type, typelen);
	end = envelope_put(end, " ", 1);
	end = envelope_put(end, digits, envelope_length(payloadlen, digits));
	end = envelope_put(end, payload, payloadlen);
	return (size_t) (end - out);
}
