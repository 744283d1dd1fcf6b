/*
 * evidence.c: learn members, certificates and keys from entries.
 *
 * This is the part of the fold (sql/install/authority.sql) that decides whose
 * signature counts, without PostgreSQL.
 */

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/encode.h"
#include "core/envelope.h"
#include "evidence.h"

#define CONTRACT_TYPE "application/vnd.medchain.contract+json"

static const char *
evidence_string(json_t *object, const char *field)
{
	json_t	   *value = json_object_get(object, field);
	const char *text = json_string_value(value);

	return text != NULL && strlen(text) == json_string_length(value) ? text : NULL;
}

Member *
evidence_member(const Evidence *evidence, const char *name)
{
	for (Member *member = evidence->members; member != NULL; member = member->next)
		if (strcmp(member->name, name) == 0)
			return member;
	return NULL;
}

static Member *
evidence_add(Evidence *evidence, const char *name, const char *kind)
{
	Member	   *member = calloc(1, sizeof(Member));

	member->name = strdup(name);
	member->kind = strdup(kind);
	member->next = evidence->members;
	evidence->members = member;
	return member;
}

static int64_t
evidence_time(json_t *payload)
{
	const char *text = evidence_string(payload, "time");
	struct tm	tm = {0};

	return text != NULL && strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) != NULL ? (int64_t) timegm(&tm) : 0;
}

/* A certificate under the anchors, at the time of the entry that presents it. */
static bool
evidence_certificate(const Evidence *evidence, const char *name, const char *certificate, int64_t at, CoreError *error)
{
	char		reason[CORE_MESSAGE_LEN];

	switch (certificate_verify(certificate, strlen(certificate), evidence->anchors, strlen(evidence->anchors),
							   NULL, 0, CERTIFICATE_CRL_STRICT, at, reason, error))
	{
		case CERTIFICATE_VALID:
			return true;
		case CERTIFICATE_INVALID:
			return error_set(error, CORE_MALFORMED, "certificate of \"%.60s\" is not accepted: %.150s", name, reason);
		case CERTIFICATE_ERROR:
			break;
	}
	return false;
}

Key *
evidence_genesis_key(json_t *payload, CoreError *error)
{
	const char *certificate = evidence_string(json_object_get(payload, "body"), "certificate");

	if (evidence_string(payload, "kind") == NULL || strcmp(evidence_string(payload, "kind"), "genesis") != 0 || certificate == NULL)
	{
		error_set(error, CORE_MALFORMED, "the first entry of the data centre's chain is no genesis");
		return NULL;
	}
	return key_from_pem(certificate, strlen(certificate), error);
}

static bool
evidence_genesis(Evidence *evidence, const char *origin, json_t *payload, CoreError *error)
{
	json_t	   *body = json_object_get(payload, "body");
	const char *certificate = evidence_string(body, "certificate");
	const char *anchors = evidence_string(body, "trust_anchors");
	Member	   *member;

	if (certificate == NULL || anchors == NULL)
		return error_set(error, CORE_MALFORMED, "genesis has no certificate or no trust anchors");
	if (evidence->anchors == NULL)
		evidence->anchors = strdup(anchors);
	if (!evidence_certificate(evidence, origin, certificate, evidence_time(payload), error))
		return false;
	member = evidence_add(evidence, origin, "data_center");
	member->certificate_key = key_from_pem(certificate, strlen(certificate), error);
	member->ledger_key = key_from_pem(certificate, strlen(certificate), error);
	return member->ledger_key != NULL && member->certificate_key != NULL;
}

/* The payload of a contract's envelope, if the data centre signed it; NULL: it counts for nothing. */
static json_t *
evidence_open_contract(const Evidence *evidence, json_t *envelope)
{
	const Member *center = evidence_member(evidence, evidence->data_center);
	const char *type = evidence_string(envelope, "payloadType");
	const char *encoded = evidence_string(envelope, "payload");
	json_t	   *signatures = json_object_get(envelope, "signatures");
	json_t	   *terms = NULL;
	uint8_t    *payload;
	uint8_t    *pae;
	size_t		len;
	size_t		size;

	if (center == NULL || type == NULL || strcmp(type, CONTRACT_TYPE) != 0 || encoded == NULL || !json_is_array(signatures))
		return NULL;
	payload = malloc(strlen(encoded) + 1);
	if (decode_base64(encoded, strlen(encoded), payload, &len))
	{
		size = envelope_pae_size(type, len);
		pae = malloc(size);
		envelope_pae(type, payload, len, pae);
		for (size_t i = 0; i < json_array_size(signatures) && terms == NULL; i++)
		{
			const char *sig = evidence_string(json_array_get(signatures, i), "sig");
			uint8_t		bytes[KEY_SIGNATURE_MAX + 4];
			size_t		siglen;

			if (sig != NULL && strlen(sig) < ENCODE_BASE64_SIZE(KEY_SIGNATURE_MAX) &&
				decode_base64(sig, strlen(sig), bytes, &siglen) &&
				key_verify(center->ledger_key, KEY_DEFAULT, pae, size, bytes, siglen, NULL) == KEY_VALID)
				terms = json_loadb((char *) payload, len, JSON_REJECT_DUPLICATES, NULL);
		}
		free(pae);
	}
	free(payload);
	return terms;
}

static bool
evidence_contract(Evidence *evidence, json_t *payload, CoreError *error)
{
	json_t	   *terms = evidence_open_contract(evidence, json_object_get(payload, "body"));
	const char *name = evidence_string(terms, "member");
	const char *kind = evidence_string(terms, "kind");
	const char *certificate = evidence_string(terms, "certificate");
	bool		first_end_node = kind != NULL && strcmp(kind, "end_node") == 0;
	CoreError	refused = {0};
	Member	   *member;

	if (name == NULL || kind == NULL || certificate == NULL ||
		!evidence_certificate(evidence, name, certificate, evidence_time(payload), &refused))
	{
		json_decref(terms);
		return true;			/* without effect, as in the database */
	}
	for (Member *other = evidence->members; other != NULL; other = other->next)
		if (strcmp(other->kind, "end_node") == 0)
			first_end_node = false;
	member = evidence_member(evidence, name);
	if (member == NULL)
		member = evidence_add(evidence, name, kind);
	key_free(member->certificate_key);
	member->certificate_key = key_from_pem(certificate, strlen(certificate), error);
	if (first_end_node)
		member->ledger_key = key_from_pem(certificate, strlen(certificate), error);
	json_decref(terms);
	return member->certificate_key != NULL;
}

static void
evidence_configure(Evidence *evidence, const char *origin, json_t *payload)
{
	json_t	   *body = json_object_get(payload, "body");
	const char *name = evidence_string(body, "member");
	const char *key = evidence_string(body, "public_key");
	const Member *author = evidence_member(evidence, origin);
	Member	   *member = name != NULL ? evidence_member(evidence, name) : NULL;

	/* the first one counts */
	if (author == NULL || strcmp(author->kind, "end_node") != 0 || member == NULL || key == NULL || member->ledger_key != NULL)
		return;
	member->ledger_key = key_from_pem(key, strlen(key), NULL);
}

bool
evidence_learn(Evidence *evidence, const char *origin, uint64_t seq, json_t *payload, CoreError *error)
{
	const char *kind = evidence_string(payload, "kind");
	bool		center = strcmp(origin, evidence->data_center) == 0;

	if (kind == NULL)
		return true;
	if (center && seq == 0)
		return evidence_genesis(evidence, origin, payload, error);
	if (center && strcmp(kind, "contract") == 0)
		return evidence_contract(evidence, payload, error);
	if (strcmp(kind, "configure") == 0)
		evidence_configure(evidence, origin, payload);
	return true;
}

void
evidence_free(Evidence *evidence)
{
	while (evidence->members != NULL)
	{
		Member	   *member = evidence->members;

		evidence->members = member->next;
		key_free(member->certificate_key);
		key_free(member->ledger_key);
		free(member->name);
		free(member->kind);
		free(member);
	}
	free(evidence->alliance);
	free(evidence->data_center);
	free(evidence->anchors);
}
