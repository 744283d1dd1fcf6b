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
evidence_add(Evidence *evidence, const char *name)
{
	Member	   *member = calloc(1, sizeof(Member));

	member->name = strdup(name);
	member->next = evidence->members;
	evidence->members = member;
	return member;
}

/* Replace a text that is kept; value may be NULL. */
static void
evidence_keep(char **kept, const char *value)
{
	free(*kept);
	*kept = value != NULL ? strdup(value) : NULL;
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
	member = evidence_add(evidence, origin);
	evidence_keep(&member->certificate, certificate);
	member->ledger_key = key_from_pem(certificate, strlen(certificate), error);
	member->used = true;
	return member->ledger_key != NULL;
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

/* Is one of an array's elements this string? */
static bool
evidence_holds(json_t *array, const char *wanted)
{
	size_t		i;
	json_t	   *item;

	json_array_foreach(array, i, item)
		if (json_is_string(item) && strcmp(json_string_value(item), wanted) == 0)
			return true;
	return false;
}

/* A contract that does not hold is without effect, as it is in the database. */
static bool
evidence_contract(Evidence *evidence, json_t *payload, CoreError *error)
{
	json_t	   *terms = evidence_open_contract(evidence, json_object_get(payload, "body"));
	const char *alliance = evidence_string(terms, "alliance");
	const char *name = evidence_string(terms, "member");
	const char *kind = evidence_string(terms, "kind");
	const char *certificate = evidence_string(terms, "certificate");
	bool		end_node = kind != NULL && strcmp(kind, "end_node") == 0;
	CoreError	refused = {0};
	bool		fine = true;
	Member	   *member;

	if (alliance != NULL && strcmp(alliance, evidence->alliance) == 0 && name != NULL && certificate != NULL &&
		strcmp(name, evidence->data_center) != 0 && (end_node || (kind != NULL && strcmp(kind, "chain_node") == 0)) &&
		evidence_certificate(evidence, name, certificate, evidence_time(payload), &refused))
	{
		member = evidence_member(evidence, name);
		if (member == NULL)
			member = evidence_add(evidence, name);
		evidence_keep(&member->certificate, certificate);
		evidence_keep(&member->valid_from, evidence_string(json_object_get(terms, "valid"), "from"));
		evidence_keep(&member->valid_to, evidence_string(json_object_get(terms, "valid"), "to"));
		member->configures = end_node && evidence_holds(json_object_get(terms, "capabilities"), "configure");
		if (end_node && !evidence->has_end_node)
		{
			/* the first end node's ledger is configured by its contract */
			evidence->has_end_node = true;
			key_free(member->ledger_key);
			member->ledger_key = key_from_pem(certificate, strlen(certificate), error);
			fine = member->ledger_key != NULL;
		}
	}
	json_decref(terms);
	return fine;
}

/* An end node names a member's ledger key: if it may, at that time; and of several configurations the earliest counts. */
static bool
evidence_configure(Evidence *evidence, const char *origin, json_t *payload, CoreError *error)
{
	json_t	   *body = json_object_get(payload, "body");
	const char *time = evidence_string(payload, "time");	/* one spelling, so that their order is that of the texts */
	const char *name = evidence_string(body, "member");
	const char *pem = evidence_string(body, "public_key");
	const Member *author = evidence_member(evidence, origin);
	Member	   *member = name != NULL ? evidence_member(evidence, name) : NULL;
	CoreError	refused = {0};
	Key		   *key;

	if (time == NULL || author == NULL || !author->configures || member == NULL || pem == NULL ||
		(author->valid_from != NULL && strcmp(time, author->valid_from) < 0) ||
		(author->valid_to != NULL && strcmp(time, author->valid_to) >= 0) ||
		!evidence_certificate(evidence, origin, author->certificate, evidence_time(payload), &refused) ||
		(member->ledger_key != NULL && (member->configured == NULL || strcmp(member->configured, time) <= 0)) ||
		(key = key_from_pem(pem, strlen(pem), NULL)) == NULL)
		return true;
	if (member->used && !key_same(key, member->ledger_key))
	{
		key_free(key);
		return error_set(error, CORE_MALFORMED, "the ledger of \"%.60s\", which came before, was configured earlier with another key", name);
	}
	key_free(member->ledger_key);
	member->ledger_key = key;
	evidence_keep(&member->configured, time);
	return true;
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
		return evidence_configure(evidence, origin, payload, error);
	return true;
}

void
evidence_free(Evidence *evidence)
{
	while (evidence->members != NULL)
	{
		Member	   *member = evidence->members;

		evidence->members = member->next;
		key_free(member->ledger_key);
		free(member->name);
		free(member->certificate);
		free(member->valid_from);
		free(member->valid_to);
		free(member->configured);
		free(member);
	}
	free(evidence->alliance);
	free(evidence->data_center);
	free(evidence->anchors);
}
