/*
 * claim.c: from an entry to a claim.
 */
#include <stdlib.h>
#include <string.h>

#include "core/encode.h"
#include "rules/claim.h"

#define ABOUT_CHARACTERS 100	/* no name is as long as that, and an index takes no longer ones */

static const struct
{
	const char *name;
	const char *type;			/* of the envelope that its body is */
}			kinds[CLAIM_KINDS] = {
	[CLAIM_GENESIS] = {"genesis", NULL},
	[CLAIM_CONTRACT] = {"contract", "application/vnd.medchain.contract+json"},
	[CLAIM_ACCEPTANCE] = {"acceptance", NULL},
	[CLAIM_CONFIGURE] = {"configure", NULL},
	[CLAIM_SUSPEND] = {"suspend", NULL},
	[CLAIM_REINSTATE] = {"reinstate", NULL},
	[CLAIM_EXPEL] = {"expel", NULL},
	[CLAIM_ENDING] = {"ending", NULL},
	[CLAIM_REKEY] = {"rekey", "application/vnd.medchain.rekey+json"},
	[CLAIM_CRL] = {"crl", NULL},
	[CLAIM_ANCHORS] = {"anchors", "application/vnd.medchain.anchors+json"},
	[CLAIM_FORK] = {"fork", NULL},
	[CLAIM_POLICY] = {"policy", NULL},
	[CLAIM_EXAMINEE_KEY] = {"examinee_key", "application/vnd.medchain.examinee+json"},
	[CLAIM_EXAMINEE_WITHDRAWAL] = {"examinee_withdrawal", NULL},
	[CLAIM_PROTOCOL] = {"protocol", "application/vnd.medchain.protocol+json"},
	[CLAIM_AMENDMENT] = {"amendment", "application/vnd.medchain.protocol+json"},
	[CLAIM_REVOCATION] = {"revocation", NULL},
	[CLAIM_NOTE] = {"note", NULL},
	[CLAIM_BREAK_GLASS] = {"break_glass", NULL},
	[CLAIM_JUSTIFICATION] = {"justification", NULL},
	[CLAIM_BIND_ROLE] = {"bind_role", NULL},
	[CLAIM_ADDRESS] = {"address", NULL}
};

const char *
claim_kind_name(ClaimKind kind)
{
	return kinds[kind].name;
}

bool
claim_kind_from_name(const char *name, ClaimKind *kind)
{
	for (int i = 0; i < CLAIM_KINDS; i++)
		if (strcmp(kinds[i].name, name) == 0)
		{
			*kind = (ClaimKind) i;
			return true;
		}
	return false;
}

/* As SQL's left(): that many characters. */
static char *
claim_left(char *text, size_t characters)
{
	for (char *at = text; *at != '\0'; at++)
		if (((unsigned char) *at & 0xc0) != 0x80 && characters-- == 0)
		{
			*at = '\0';
			break;
		}
	return text;
}

static char *
claim_about(Pool *pool, const Claim *claim)
{
	const char *field = "member";
	char	   *about;

	switch (claim->kind)
	{
		case CLAIM_ACCEPTANCE:
		case CLAIM_ADDRESS:
			return pool_text(pool, claim->origin);
		case CLAIM_ANCHORS:
			return pool_text(pool, "");
		case CLAIM_PROTOCOL:
			return pool_text(pool, claim->id);
		case CLAIM_EXAMINEE_WITHDRAWAL:
			about = pool_alloc(pool, ENCODE_HEX_SIZE(HASH_LEN));
			if (claim->has_subject)
				encode_hex(claim->subject, HASH_LEN, about);
			return about;
		case CLAIM_AMENDMENT:
		case CLAIM_REVOCATION:
		case CLAIM_NOTE:
			field = "protocol";
			break;
		case CLAIM_JUSTIFICATION:
			field = "break_glass";
			break;
		case CLAIM_BIND_ROLE:
			field = "role";
			break;
		case CLAIM_POLICY:
			field = "policy";
			break;
		case CLAIM_EXAMINEE_KEY:
			field = "subject";
			break;
		default:
			break;
	}
	about = json_slice_text(pool, json_slice_get(claim->body, field));
	return about != NULL ? claim_left(about, ABOUT_CHARACTERS) : pool_text(pool, "");
}

/*
 * What the state depends on counts only if all programs read it alike: doc/ledger.md, "What is an
 * entry".
 */
static JsonSlice
claim_object(Pool *pool, const char *text, size_t len, bool strict)
{
	JsonSlice	object = {NULL};

	if (text != NULL)
		object = json_slice_read(pool, text, len, strict ? JSON_TEXT_STRICT : JSON_TEXT_UNIQUE);
	return object.value != NULL ? object : json_slice_read(pool, "{}", 2, JSON_TEXT_STRICT);
}

static void
claim_id(const uint8_t id[ENTRY_ID_LEN], char out[CLAIM_UUID_SIZE])
{
	char		hex[ENCODE_HEX_SIZE(ENTRY_ID_LEN)];
	char	   *at = out;

	encode_hex(id, ENTRY_ID_LEN, hex);
	for (int i = 0; i < 2 * ENTRY_ID_LEN; i++)
	{
		if (i == 8 || i == 12 || i == 16 || i == 20)
			*at++ = '-';
		*at++ = hex[i];
	}
	*at = '\0';
}

bool
claim_read_envelope(Pool *pool, const char *payload, size_t len, const char *origin, int64_t seq,
					int64_t height, int64_t sealed, Claim *claim, SignedText *envelope)
{
	Entry		entry;
	const char *body;
	bool		readable;
	bool		strict;

	memset(claim, 0, sizeof(*claim));
	memset(envelope, 0, sizeof(*envelope));
	if (!entry_read_any(payload, len, &entry, &readable, NULL) ||
		!claim_kind_from_name(entry.kind, &claim->kind) ||
		!period_time(entry.time, &claim->time) ||
		!hash_leaf(payload, len, claim->leaf))
		return false;
	strict = (CLAIM_SET(claim->kind) & CLAIM_SET_MEMBER) != 0;
	claim->origin = pool_text(pool, origin);
	claim->seq = seq;
	claim_id(entry.id, claim->id);
	claim->height = height;
	claim->sealed = sealed;
	claim->has_subject = entry.has_subject;
	memcpy(claim->subject, entry.subject, HASH_LEN);
	body = readable ? entry.body : NULL;
	if (kinds[claim->kind].type == NULL)
		claim->body = claim_object(pool, body, entry.body_len, strict);
	else
	{
		signed_text_read_text(pool, body != NULL ? body : "", body != NULL ? entry.body_len : 0,
							  strict ? JSON_TEXT_STRICT : JSON_TEXT_UNIQUE,
							  kinds[claim->kind].type, envelope);
		claim->body = claim_object(pool, envelope->payload, envelope->payload_len, strict);
	}
	claim->about = claim_about(pool, claim);
	claim->reason = "not judged yet";
	return true;
}

bool
claim_read(Pool *pool, const char *payload, size_t len, const char *origin, int64_t seq,
		   int64_t height, int64_t sealed, Claim *claim)
{
	SignedText	envelope;

	return claim_read_envelope(pool, payload, len, origin, seq, height, sealed, claim, &envelope);
}

void
claim_envelope(Pool *pool, const char *payload, size_t len, SignedText *envelope)
{
	Entry		entry;
	ClaimKind	kind;
	JsonSlice	body = {NULL};

	if (!entry_read(payload, len, &entry, NULL) || !claim_kind_from_name(entry.kind, &kind))
		signed_text_read(pool, body, "", envelope);
	else if (kind == CLAIM_ACCEPTANCE)
	{
		body = claim_object(pool, entry.body, entry.body_len, false);
		signed_text_read(pool, json_slice_get(body, "envelope"), kinds[CLAIM_CONTRACT].type,
						 envelope);
	}
	else
		signed_text_read_text(pool, entry.body, entry.body_len, JSON_TEXT_UNIQUE,
							  kinds[kind].type != NULL ? kinds[kind].type : "", envelope);
}

bool
claim_is_empty(const Claim *claim)
{
	JsonSliceStep step = {0};
	JsonSlice	value;

	return !json_slice_next(claim->body, &step, NULL, &value);
}

/* Digits only, at most 18 of them. */
static bool
claim_number(const char *text, int64_t *number)
{
	size_t		len = text != NULL ? strlen(text) : 0;

	if (len < 1 || len > 18 || strspn(text, "0123456789") != len)
		return false;
	*number = strtoll(text, NULL, 10);
	return true;
}

void
claim_point(Pool *pool, JsonSlice value, ClaimPoint *point)
{
	char	   *height = json_slice_text(pool, json_slice_get(value, "height"));
	char	   *size = json_slice_text(pool, json_slice_get(value, "size"));
	JsonSlice	hash = json_slice_get(value, "hash");
	char	   *hex = json_slice_text(pool, hash);

	memset(point, 0, sizeof(*point));
	if (height == NULL || !claim_number(size, &point->size))
		return;
	point->height_text = height;
	if (strcmp(height, "-1") == 0)
	{
		point->height = -1;
		point->valid = strcmp(size, "0") == 0 && hash.value == NULL;
		return;
	}
	point->has_hash = hex != NULL && strlen(hex) == 2 * HASH_LEN &&
		strspn(hex, "0123456789abcdef") == 2 * HASH_LEN &&
		decode_hex(hex, 2 * HASH_LEN, point->hash);
	point->valid = claim_number(height, &point->height) && point->has_hash;
}

bool
claim_point_size(Pool *pool, JsonSlice value, int64_t *size)
{
	return claim_number(json_slice_text(pool, json_slice_get(value, "size")), size);
}

bool
claim_points_valid(Pool *pool, JsonSlice object)
{
	JsonSliceStep step = {0};
	JsonSlice	value;
	ClaimPoint	point;

	while (json_slice_next(object, &step, NULL, &value))
	{
		claim_point(pool, value, &point);
		if (!point.valid)
			return false;
	}
	return true;
}
