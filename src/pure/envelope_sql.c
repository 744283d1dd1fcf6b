/*
 * envelope_sql.c: open a DSSE envelope that is the body of an entry.
 *
 * What comes from another hospital may be anything, so a bad envelope is a
 * reason in the result and never an error: the fold has to get past it.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "compat.h"
#include "core/encode.h"
#include "core/envelope.h"
#include "core/keycache.h"

#define ENVELOPE_SIGNATURES_MAX 16

typedef struct Envelope
{
	char	   *payload;		/* decoded, terminated */
	size_t		payload_len;
	int			nsignatures;
	struct
	{
		uint8_t    *bytes;
		size_t		len;
	}			signatures[ENVELOPE_SIGNATURES_MAX];
} Envelope;

/* A string field of a jsonb object, or NULL. */
static char *
envelope_string(JsonbContainer *object, const char *field)
{
	JsonbValue	value;

	if (getKeyJsonValueFromContainer(object, field, strlen(field), &value) == NULL ||
		value.type != jbvString)
		return NULL;
	return pnstrdup(value.val.string.val, value.val.string.len);
}

static uint8_t *
envelope_decode(const char *encoded, size_t *len)
{
	size_t		encoded_len;
	uint8_t    *out;

	if (encoded == NULL)
		return NULL;
	encoded_len = strlen(encoded);
	out = palloc(encoded_len / 4 * 3 + 1);
	if (!decode_base64(encoded, encoded_len, out, len))
		return NULL;
	out[*len] = '\0';
	return out;
}

/* NULL, or why this is not an envelope of that type. */
static const char *
envelope_parse(Jsonb *body, const char *type, Envelope *envelope)
{
	char	   *found;
	JsonbValue	signatures;
	JsonbIterator *iterator;
	JsonbValue	element;
	JsonbIteratorToken token;

	if (!JB_ROOT_IS_OBJECT(body))
		return "body is not a DSSE envelope";
	found = envelope_string(&body->root, "payloadType");
	if (found == NULL || strcmp(found, type) != 0)
		return psprintf("envelope is not of type %s", type);
	envelope->payload = (char *) envelope_decode(envelope_string(&body->root, "payload"),
												 &envelope->payload_len);
	if (envelope->payload == NULL)
		return "payload of the envelope is not base64";
	if (memchr(envelope->payload, '\0', envelope->payload_len) != NULL ||
		!pg_verify_mbstr(PG_UTF8, envelope->payload, (int) envelope->payload_len, true))
		return "payload of the envelope is not UTF-8 text";
	if (getKeyJsonValueFromContainer(&body->root, "signatures", strlen("signatures"),
									 &signatures) == NULL ||
		signatures.type != jbvBinary || !JsonContainerIsArray(signatures.val.binary.data))
		return "envelope has no signatures";

	iterator = JsonbIteratorInit(signatures.val.binary.data);
	while ((token = JsonbIteratorNext(&iterator, &element, true)) != WJB_DONE)
	{
		uint8_t    *bytes;
		size_t		len;

		if (token != WJB_ELEM)
			continue;
		if (element.type != jbvBinary || !JsonContainerIsObject(element.val.binary.data) ||
			envelope->nsignatures == ENVELOPE_SIGNATURES_MAX)
			return "signatures of the envelope are malformed";
		bytes = envelope_decode(envelope_string(element.val.binary.data, "sig"), &len);
		if (bytes == NULL)
			return "signatures of the envelope are malformed";
		envelope->signatures[envelope->nsignatures].bytes = bytes;
		envelope->signatures[envelope->nsignatures].len = len;
		envelope->nsignatures++;
	}
	return NULL;
}

/* NULL, or why none of the signatures is one of this key. */
static const char *
envelope_check(const Envelope *envelope, const char *type, text *pem)
{
	CoreError	error = {0};
	const Key  *key = keycache_get(VARDATA_ANY(pem), VARSIZE_ANY_EXHDR(pem), &error);
	size_t		size = envelope_pae_size(type, envelope->payload_len);
	uint8_t    *pae;

	if (key == NULL)
		return psprintf("key is unusable: %s", error.message);
	pae = palloc(size);
	envelope_pae(type, envelope->payload, envelope->payload_len, pae);
	for (int i = 0; i < envelope->nsignatures; i++)
		if (key_verify(key, KEY_DEFAULT, pae, size, envelope->signatures[i].bytes,
					   envelope->signatures[i].len, &error) == KEY_VALID)
			return NULL;
	return "no valid signature by the required key";
}

PG_FUNCTION_INFO_V1(medchain_open_envelope);

/*
 * open_envelope(envelope jsonb, public_key text, payload_type text, OUT payload text, OUT reason
 * text): public_key null: do not check signatures.  payload is null when there is a reason.
 */
Datum
medchain_open_envelope(PG_FUNCTION_ARGS)
{
	char	   *type;
	Envelope	envelope = {0};
	const char *reason;
	TupleDesc	desc;
	Datum		values[2] = {0};
	bool		nulls[2] = {true, true};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (PG_ARGISNULL(2))
		PG_RETURN_NULL();
	type = text_to_cstring(PG_GETARG_TEXT_PP(2));
	reason = PG_ARGISNULL(0) ? "body is not a DSSE envelope" :
		envelope_parse(PG_GETARG_JSONB_P(0), type, &envelope);
	if (reason == NULL && !PG_ARGISNULL(1))
		reason = envelope_check(&envelope, type, PG_GETARG_TEXT_PP(1));
	if (reason != NULL)
		values[1] = CStringGetTextDatum(reason);
	else
	{
		char	   *payload = pg_any_to_server(envelope.payload, (int) envelope.payload_len,
											   PG_UTF8);

		values[0] = CStringGetTextDatum(payload);
	}
	nulls[0] = reason != NULL;
	nulls[1] = reason == NULL;
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}

PG_FUNCTION_INFO_V1(medchain_envelope_bytes);

/* envelope_bytes(payload_type text, payload text) -> bytea: what a signature is over */
Datum
medchain_envelope_bytes(PG_FUNCTION_ARGS)
{
	char	   *type = text_to_cstring(PG_GETARG_TEXT_PP(0));
	text	   *payload = PG_GETARG_TEXT_PP(1);
	size_t		size = envelope_pae_size(type, VARSIZE_ANY_EXHDR(payload));
	bytea	   *result = palloc(VARHDRSZ + size);

	envelope_pae(type, VARDATA_ANY(payload), VARSIZE_ANY_EXHDR(payload),
				 (uint8_t *) VARDATA(result));
	SET_VARSIZE(result, VARHDRSZ + size);
	PG_RETURN_BYTEA_P(result);
}
