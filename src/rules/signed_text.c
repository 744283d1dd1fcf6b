/*
 * signed_text.c: DSSE envelopes, out of the JSON that they are in.
 */
#include <string.h>

#include "core/encode.h"
#include "core/envelope.h"
#include "core/keycache.h"
#include "rules/signed_text.h"

/* What there is of an envelope's fields. */
typedef struct SignedFields
{
	bool		object;
	const char *type;			/* NULL: missing, or no string */
	const char *payload;		/* in base64; NULL: the same */
	size_t		payload_len;
	JsonSlice	signatures;
} SignedFields;

static uint8_t *
signed_decode(Pool *pool, const char *encoded, size_t encoded_len, size_t *len)
{
	uint8_t    *out = pool_alloc(pool, encoded_len / 4 * 3 + 1);

	if (!decode_base64(encoded, encoded_len, out, len))
		return NULL;
	out[*len] = '\0';
	return out;
}

/* The text of a string; NULL: it is none. */
static const char *
signed_string(Pool *pool, JsonSlice value)
{
	return json_slice_type(value) == JSON_SLICE_STRING ? json_slice_text(pool, value) : NULL;
}

static void
signed_fill(Pool *pool, const SignedFields *fields, const char *type, SignedText *out)
{
	JsonSliceStep step = {0};
	JsonSlice	item;

	memset(out, 0, sizeof(*out));
	out->type = type;
	if (!fields->object)
		out->reason = "body is not a DSSE envelope";
	else if (fields->type == NULL || strcmp(fields->type, type) != 0)
		out->reason = pool_format(pool, "envelope is not of type %s", type);
	else if (fields->payload == NULL ||
			 (out->payload = (char *) signed_decode(pool, fields->payload, fields->payload_len,
													&out->payload_len)) == NULL)
		out->reason = "payload of the envelope is not base64";
	else if (!encode_is_utf8(out->payload, out->payload_len))
		out->reason = "payload of the envelope is not UTF-8 text";
	else if (json_slice_type(fields->signatures) != JSON_SLICE_ARRAY)
		out->reason = "envelope has no signatures";
	while (out->reason == NULL && json_slice_next(fields->signatures, &step, NULL, &item))
	{
		const char *encoded = json_slice_type(item) == JSON_SLICE_OBJECT ?
		signed_string(pool, json_slice_get(item, "sig")) : NULL;
		size_t		len = 0;
		uint8_t    *bytes = NULL;

		if (encoded != NULL && out->count < SIGNED_TEXT_SIGNATURES_MAX)
			bytes = signed_decode(pool, encoded, strlen(encoded), &len);
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

void
signed_text_read(Pool *pool, JsonSlice envelope, const char *type, SignedText *out)
{
	SignedFields fields = {
		.object = json_slice_type(envelope) == JSON_SLICE_OBJECT,
		.type = signed_string(pool, json_slice_get(envelope, "payloadType")),
		.payload = signed_string(pool, json_slice_get(envelope, "payload")),
		.signatures = json_slice_get(envelope, "signatures")
	};

	fields.payload_len = fields.payload != NULL ? strlen(fields.payload) : 0;
	signed_fill(pool, &fields, type, out);
}

/* A field of an envelope as it stands in the text. */
typedef struct SignedPlace
{
	const char *at;
	size_t		len;
} SignedPlace;

typedef struct SignedPlaces
{
	Pool	   *pool;
	SignedPlace type;
	SignedPlace payload;
	JsonSlice	signatures;		/* of what is in there, strings alone are asked for */
} SignedPlaces;

static void
signed_field(void *state, const char *name, size_t name_len, const char *value, size_t len,
			 struct json_t *built)
{
	SignedPlaces *places = state;
	SignedPlace place = {value, len};
	JsonSlice	read = {built};
	char		plain[16];

	if (!json_text_string(name, name_len, plain, sizeof(plain)))
		return;
	if (strcmp(plain, "payloadType") == 0)
		places->type = place;
	else if (strcmp(plain, "payload") == 0)
		places->payload = place;
	else if (strcmp(plain, "signatures") == 0)
		places->signatures = json_slice_keep(places->pool, read);
}

/* The text of a string that stands there; NULL: it is none. */
static const char *
signed_place(Pool *pool, const SignedPlace *place)
{
	char	   *text;

	if (place->at == NULL || place->at[0] != '"')
		return NULL;
	text = pool_alloc(pool, place->len);
	return json_text_string(place->at, place->len, text, place->len) ? text : NULL;
}

void
signed_text_read_text(Pool *pool, const char *text, size_t len, JsonTextRules rules,
					  const char *type, SignedText *out)
{
	SignedPlaces places = {.pool = pool};
	SignedFields fields = {.object = true};

	/* what is wrong in itself says nothing, as if there were no fields */
	if (json_text_object(text, len, rules, signed_field, &places, NULL))
	{
		fields.type = signed_place(pool, &places.type);
		fields.payload = signed_place(pool, &places.payload);
		fields.payload_len = fields.payload != NULL ? strlen(fields.payload) : 0;
		fields.signatures = places.signatures;
	}
	signed_fill(pool, &fields, type, out);
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
