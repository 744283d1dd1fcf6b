/*
 * signed_text.c: DSSE envelopes, out of the JSON that they are in.
 */
#include <string.h>

#include "core/encode.h"
#include "core/envelope.h"
#include "core/keycache.h"
#include "rules/signed_text.h"

/* A string field, decoded; NULL if there is none that is base64. */
static uint8_t *
signed_decode(Pool *pool, JsonSlice object, const char *field, size_t *len)
{
	JsonSlice	value = json_slice_get(object, field);
	char	   *encoded;
	uint8_t    *out;

	if (json_slice_type(value) != JSON_SLICE_STRING)
		return NULL;
	encoded = json_slice_text(pool, value);
	out = pool_alloc(pool, strlen(encoded) / 4 * 3 + 1);
	if (!decode_base64(encoded, strlen(encoded), out, len))
		return NULL;
	out[*len] = '\0';
	return out;
}

void
signed_text_read(Pool *pool, JsonSlice envelope, const char *type, SignedText *out)
{
	JsonSlice	signatures = json_slice_get(envelope, "signatures");
	JsonSliceStep step = {0};
	JsonSlice	item;

	memset(out, 0, sizeof(*out));
	out->type = type;
	if (json_slice_type(envelope) != JSON_SLICE_OBJECT)
		out->reason = "body is not a DSSE envelope";
	else if (!json_slice_is(json_slice_get(envelope, "payloadType"), type))
		out->reason = pool_format(pool, "envelope is not of type %s", type);
	else if ((out->payload = (char *) signed_decode(pool, envelope, "payload",
													&out->payload_len)) == NULL)
		out->reason = "payload of the envelope is not base64";
	else if (!encode_is_utf8(out->payload, out->payload_len))
		out->reason = "payload of the envelope is not UTF-8 text";
	else if (json_slice_type(signatures) != JSON_SLICE_ARRAY)
		out->reason = "envelope has no signatures";
	while (out->reason == NULL && json_slice_next(signatures, &step, NULL, &item))
	{
		size_t		len = 0;
		uint8_t    *bytes = NULL;

		if (json_slice_type(item) == JSON_SLICE_OBJECT && out->count < SIGNED_TEXT_SIGNATURES_MAX)
			bytes = signed_decode(pool, item, "sig", &len);
		if (bytes == NULL)
		{
			out->reason = "signatures of the envelope are malformed";
			break;
		}
		out->signatures[out->count].bytes = bytes;
		out->signatures[out->count++].len = len;
	}
	if (out->reason != NULL)
		out->payload = NULL;
}

const char *
signed_text_check(Pool *pool, const SignedText *text, const char *key)
{
	CoreError	error = {0};
	const Key  *parsed;
	size_t		size;
	uint8_t    *encoded;

	if (text->reason != NULL)
		return text->reason;
	parsed = keycache_get(key, strlen(key), &error);
	if (parsed == NULL)
		return pool_format(pool, "key is unusable: %s", error.message);
	size = envelope_pae_size(text->type, text->payload_len);
	encoded = pool_alloc(pool, size);
	envelope_pae(text->type, text->payload, text->payload_len, encoded);
	for (int i = 0; i < text->count; i++)
		if (key_verify(parsed, KEY_DEFAULT, encoded, size, text->signatures[i].bytes,
					   text->signatures[i].len, &error) == KEY_VALID)
			return NULL;
	return "no valid signature by the required key";
}
