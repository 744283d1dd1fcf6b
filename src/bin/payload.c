/*
 * payload.c: the text of an entry, as it stands in an export or a receipt.
 */
#include <stdlib.h>
#include <string.h>

#include "core/encode.h"
#include "input.h"
#include "payload.h"

#define PAYLOAD_BASE64 "payload_base64" /* what is no UTF-8 cannot be a JSON string */

const char *
payload_field(json_t *line)
{
	return json_object_get(line, PAYLOAD_BASE64) != NULL ? PAYLOAD_BASE64 : "payload";
}

bool
payload_load(json_t *line, Payload *payload, CoreError *error)
{
	const char *field = payload_field(line);

	memset(payload, 0, sizeof(*payload));
	if (!input_string(line, field, &payload->text, &payload->len, error))
		return false;
	if (strcmp(field, PAYLOAD_BASE64) != 0)
		return true;
	payload->decoded = malloc(payload->len + 1);
	if (payload->decoded == NULL)
		return error_set(error, CORE_INTERNAL, "out of memory");
	if (!decode_base64(payload->text, payload->len, (uint8_t *) payload->decoded, &payload->len) ||
		encode_is_utf8(payload->decoded, payload->len))
		return error_set(error, CORE_MALFORMED,
						 "field \"%s\" is not base64 of what is no text", field);
	payload->text = payload->decoded;
	return true;
}

bool
payload_is_of(Payload *payload, const char *origin)
{
	return entry_read_any(payload->text, payload->len, &payload->entry, &payload->readable,
						  &payload->unreadable) &&
		strcmp(payload->entry.origin, origin) == 0;
}

void
payload_free(Payload *payload)
{
	free(payload->decoded);
	payload->decoded = NULL;
}
