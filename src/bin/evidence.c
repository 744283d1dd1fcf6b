/*
 * evidence.c: learn members, certificates and keys from entries.
 *
 * This is the part of the fold (sql/install/authority.sql) that decides whose
 * signature counts, without PostgreSQL.  What changes for a member later is in
 * evidence_change.c.
 */

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/encode.h"
#include "core/envelope.h"
#include "rules/json_text.h"
#include "evidence_internal.h"

#define CONTRACT_TYPE "application/vnd.medchain.contract+json"

const char *
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

int64_t
evidence_time(json_t *payload)
{
	const char *text = evidence_string(payload, "time");
	struct tm	tm = {0};

	return text != NULL && strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) != NULL ?
		(int64_t) timegm(&tm) : 0;
}

bool
evidence_certificate(const Evidence *evidence, const char *name, const char *certificate,
					 int64_t at, CoreError *error)
{
	char		reason[CORE_MESSAGE_LEN];

	switch (certificate_verify(certificate, strlen(certificate), evidence->anchors,
							   strlen(evidence->anchors),
							   NULL, 0, CERTIFICATE_CRL_STRICT, at, reason, error))
	{
		case CERTIFICATE_VALID:
			return true;
		case CERTIFICATE_INVALID:
			return error_set(error, CORE_MALFORMED,
							 "certificate of \"%.60s\" is not accepted: %.150s", name, reason);
		case CERTIFICATE_ERROR:
			break;
	}
	return false;
}

Key *
evidence_genesis_key(json_t *payload, CoreError *error)
{
	const char *certificate = evidence_string(json_object_get(payload, "body"), "certificate");

	if (evidence_string(payload, "kind") == NULL ||
		strcmp(evidence_string(payload, "kind"), "genesis") != 0 || certificate == NULL)
	{
		error_set(error, CORE_MALFORMED,
				  "the first entry of the data centre's chain is no genesis");
		return NULL;
	}
	return key_from_pem(certificate, strlen(certificate), error);
}

bool
evidence_add_key(Member *member, LedgerKey change, CoreError *error)
{
	LedgerKey  *newest = member->nkeys > 0 ? &member->keys[member->nkeys - 1] : NULL;

	if (newest != NULL && newest->from_height == change.from_height)
	{
		key_free(newest->key);
		*newest = change;
		return true;
	}
	if (member->nkeys == EVIDENCE_CHANGES_MAX)
	{
		key_free(change.key);
		return error_set(error, CORE_UNSUPPORTED,
		  "\"%.60s\" has changed its key more than %d times", member->name, EVIDENCE_CHANGES_MAX);
	}
	member->keys[member->nkeys++] = change;
	return true;
}

/* The ledger of a member begins with this key. */
static bool
evidence_configured(Member *member, const char *pem, CoreError *error)
{
	LedgerKey	first = {.key = key_from_pem(pem, strlen(pem), error)};

	return first.key != NULL && evidence_add_key(member, first, error);
}

bool
evidence_reach(Member *member, int64_t height, CoreError *error)
{
	for (int i = 0; i < member->nlost; i++)
		if (member->lost[i].key != NULL && member->lost[i].from_height == height)
		{
			LedgerKey	change = member->lost[i];

			member->lost[i].key = NULL;
			if (!evidence_add_key(member, change, error))
				return false;
		}
	return true;
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
	member->used = true;
	return evidence_configured(member, certificate, error);
}

/* A DSSE envelope of that type, decoded; its payload, or NULL. */
static uint8_t *
evidence_payload(json_t *envelope, const char *type, size_t *len)
{
	const char *found = evidence_string(envelope, "payloadType");
	const char *encoded = evidence_string(envelope, "payload");
	uint8_t    *payload;

	if (found == NULL || strcmp(found, type) != 0 || encoded == NULL)
		return NULL;
	payload = malloc(strlen(encoded) + 1);
	if (!decode_base64(encoded, strlen(encoded), payload, len))
	{
		free(payload);
		return NULL;
	}
	return payload;
}

bool
evidence_signed(json_t *envelope, const char *type, const Key *key)
{
	json_t	   *signatures = json_object_get(envelope, "signatures");
	size_t		len;
	uint8_t    *payload = evidence_payload(envelope, type, &len);
	uint8_t    *pae;
	size_t		size;
	bool		fine = false;

	if (payload == NULL)
		return false;
	size = envelope_pae_size(type, len);
	pae = malloc(size);
	envelope_pae(type, payload, len, pae);
	for (size_t i = 0; i < json_array_size(signatures) && !fine; i++)
	{
		const char *sig = evidence_string(json_array_get(signatures, i), "sig");
		uint8_t		bytes[KEY_SIGNATURE_MAX + 4];
		size_t		siglen;

		fine = sig != NULL && strlen(sig) < ENCODE_BASE64_SIZE(KEY_SIGNATURE_MAX) &&
			decode_base64(sig, strlen(sig), bytes, &siglen) &&
			key_verify(key, KEY_DEFAULT, pae, size, bytes, siglen, NULL) == KEY_VALID;
	}
	free(pae);
	free(payload);
	return fine;
}

json_t *
evidence_open(json_t *envelope, const char *type, const Member *author, int64_t height)
{
	size_t		len;
	uint8_t    *payload;
	json_t	   *terms = NULL;

	for (int i = 0; i < author->nkeys && terms == NULL; i++)
		if (author->keys[i].from_height <= height &&
			evidence_signed(envelope, type, author->keys[i].key) &&
			(payload = evidence_payload(envelope, type, &len)) != NULL)
		{
			/* as the database takes it: what can be taken in two ways has no effect */
			if (json_text_object((char *) payload, len, JSON_TEXT_STRICT, NULL, NULL, NULL))
				terms = json_loadb((char *) payload, len, JSON_REJECT_DUPLICATES, NULL);
			free(payload);
		}
	return terms;
}

const LedgerKey *
evidence_key(const Member *member, int64_t height)
{
	const LedgerKey *found = NULL;

	for (int i = 0; i < member->nkeys; i++)
		if (member->keys[i].from_height <= height)
			found = &member->keys[i];
	return found;
}

const uint8_t *
evidence_named(const Member *member, int64_t height)
{
	for (int i = 0; i < member->nlost; i++)
		if (member->lost[i].named && member->lost[i].from_height == height + 1)
			return member->lost[i].follows;
	return NULL;
}

/* Does what this entry of the member's chain says count? */
static bool
evidence_counts(const Member *member, uint64_t seq)
{
	for (int i = 0; i < member->nexclusions; i++)
		if (seq >= member->exclusions[i].from && seq < member->exclusions[i].to)
			return false;
	return true;
}

/* Is one of an array's elements this string? */
static bool
evidence_holds(json_t *array, const char *wanted)
{
	size_t		i;
	json_t	   *item;

	json_array_foreach(array, i, item)
	{
		if (json_is_string(item) && strcmp(json_string_value(item), wanted) == 0)
			return true;
	}
	return false;
}

/* A contract that does not hold is without effect, as it is in the database. */
static bool
evidence_contract(Evidence *evidence, int64_t height, json_t *payload, CoreError *error)
{
	const Member *center = evidence_member(evidence, evidence->data_center);
	json_t	   *terms = center ? evidence_open(json_object_get(payload, "body"), CONTRACT_TYPE,
											   center, height) : NULL;
	const char *alliance = evidence_string(terms, "alliance");
	const char *name = evidence_string(terms, "member");
	const char *kind = evidence_string(terms, "kind");
	const char *certificate = evidence_string(terms, "certificate");
	bool		end_node = kind != NULL && strcmp(kind, "end_node") == 0;
	CoreError	refused = {0};
	bool		fine = true;
	Member	   *member;

	if (alliance != NULL && strcmp(alliance, evidence->alliance) == 0 && name != NULL &&
		certificate != NULL &&
		strcmp(name, evidence->data_center) != 0 &&
		(end_node || (kind != NULL && strcmp(kind, "chain_node") == 0)) &&
		evidence_certificate(evidence, name, certificate, evidence_time(payload), &refused))
	{
		member = evidence_member(evidence, name);
		if (member == NULL)
			member = evidence_add(evidence, name);
		if (member->ncontracted < EVIDENCE_CHANGES_MAX)
			member->contracted[member->ncontracted++] = strdup(certificate);
		evidence_keep(&member->certificate, certificate);
		evidence_keep(&member->valid_from,
					  evidence_string(json_object_get(terms, "valid"), "from"));
		evidence_keep(&member->valid_to, evidence_string(json_object_get(terms, "valid"), "to"));
		member->configures = end_node &&
			evidence_holds(json_object_get(terms, "capabilities"), "configure");
		if (end_node && !evidence->has_end_node)
		{
			/* the first end node's ledger is configured by its contract */
			evidence->has_end_node = true;
			fine = evidence_configured(member, certificate, error);
		}
	}
	json_decref(terms);
	return fine;
}

/*
 * The first of its contracts whose certificate has this key, for which the CA vouches then; behind
 * all of them any other.
 */
static int
evidence_rank(const Member *member, const Key *key)
{
	int			rank = 0;
	bool		found = false;

	while (!found && rank < member->ncontracted)
	{
		Key		   *contracted = key_from_pem(member->contracted[rank],
											  strlen(member->contracted[rank]), NULL);

		found = contracted != NULL && key_same(contracted, key);
		key_free(contracted);
		if (!found)
			rank++;
	}
	return found ? rank : EVIDENCE_CHANGES_MAX;
}

/*
 * An end node names a member's ledger key: if it may, at that time.  Of several configurations that
 * for a key in a contract counts, and else the earliest.
 */
static bool
evidence_configure(Evidence *evidence, const char *origin, uint64_t seq, json_t *payload,
				   CoreError *error)
{
	json_t	   *body = json_object_get(payload, "body");
	const char *time = evidence_string(payload,
									   "time"); /* one spelling, so that their order is that of the
												 * texts */
	const char *name = evidence_string(body, "member");
	const char *pem = evidence_string(body, "public_key");
	const Member *author = evidence_member(evidence, origin);
	Member	   *member = name != NULL ? evidence_member(evidence, name) : NULL;
	CoreError	refused = {0};
	Key		   *key;
	int			rank;
	bool		same;

	if (time == NULL || author == NULL || !author->configures || !evidence_counts(author, seq) ||
		member == NULL || pem == NULL ||
		(author->valid_from != NULL && strcmp(time, author->valid_from) < 0) ||
		(author->valid_to != NULL && strcmp(time, author->valid_to) >= 0) ||
		!evidence_certificate(evidence, origin, author->certificate, evidence_time(payload),
							  &refused) ||
		(member->nkeys > 0 && member->configured == NULL) ||
		(key = key_from_pem(pem, strlen(pem), NULL)) == NULL)
		return true;
	same = member->nkeys > 0 && key_same(key, member->keys[0].key);
	rank = evidence_rank(member, key);
	key_free(key);
	if (member->configured != NULL &&
		(rank > member->configured_rank ||
		 (rank == member->configured_rank && strcmp(member->configured, time) <= 0)))
		return true;
	if (member->used && !same)
		return error_set(error, CORE_MALFORMED,
			 "the ledger of \"%.60s\", which came before, was configured with another key", name);
	evidence_keep(&member->configured, time);
	member->configured_rank = rank;
	return same || evidence_configured(member, pem, error);
}

bool
evidence_wants(const char *kind, bool center)
{
	static const char *const kinds[] = {
		"configure", "rekey", "genesis", "contract", "suspend",
		"reinstate", "expel"
	};

	/* the first two count on any chain */
	for (size_t i = 0; i < (center ? sizeof(kinds) / sizeof(kinds[0]) : 2); i++)
		if (strcmp(kind, kinds[i]) == 0)
			return true;
	return false;
}

bool
evidence_learn(Evidence *evidence, const char *origin, uint64_t seq, int64_t height,
			   json_t *payload, CoreError *error)
{
	const char *kind = evidence_string(payload, "kind");
	bool		center = strcmp(origin, evidence->data_center) == 0;

	if (kind == NULL)
		return true;
	if (center && seq == 0)
		return evidence_genesis(evidence, origin, payload, error);
	if (strcmp(kind, "rekey") == 0)
		return evidence_rekey(evidence, origin, height, payload, error);
	if (center && strcmp(kind, "contract") == 0)
		return evidence_contract(evidence, height, payload, error);
	if (center && (strcmp(kind, "suspend") == 0 || strcmp(kind, "reinstate") == 0 ||
				   strcmp(kind, "expel") == 0))
		evidence_discipline(evidence, kind, payload);
	else if (strcmp(kind, "configure") == 0)
		return evidence_configure(evidence, origin, seq, payload, error);
	return true;
}

void
evidence_free(Evidence *evidence)
{
	while (evidence->members != NULL)
	{
		Member	   *member = evidence->members;

		evidence->members = member->next;
		for (int i = 0; i < member->nkeys; i++)
			key_free(member->keys[i].key);
		for (int i = 0; i < member->nlost; i++)
			key_free(member->lost[i].key);
		for (int i = 0; i < member->ncontracted; i++)
			free(member->contracted[i]);
		free(member->certificate);
		free(member->valid_from);
		free(member->valid_to);
		free(member->configured);
		free(member->name);
		free(member);
	}
	free(evidence->alliance);
	free(evidence->data_center);
	free(evidence->anchors);
}
