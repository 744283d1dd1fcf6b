/*
 * evidence_change.c: what the ledger says about a member who is one already: suspension, its end,
 * expulsion, and other keys.
 */

#include <string.h>

#include "core/encode.h"
#include "evidence_internal.h"

#define REKEY_TYPE "application/vnd.medchain.rekey+json"

/* {"height", "hash", "size"}; false if it is none. */
static bool
evidence_point(json_t *body, int64_t *height, uint8_t hash[HASH_LEN], uint64_t *size)
{
	json_t	   *last = json_object_get(body, "last");
	json_t	   *number = json_object_get(last, "height");
	const char *hex = evidence_string(last, "hash");

	if (!json_is_integer(number) || !json_is_integer(json_object_get(last, "size")))
		return false;
	*height = json_integer_value(number);
	*size = (uint64_t) json_integer_value(json_object_get(last, "size"));
	return *height == -1 || (hex != NULL && strlen(hex) == 2 * HASH_LEN &&
							 decode_hex(hex, 2 * HASH_LEN, hash));
}

void
evidence_discipline(Evidence *evidence, const char *kind, json_t *payload)
{
	json_t	   *body = json_object_get(payload, "body");
	const char *name = evidence_string(body, "member");
	Member	   *member = name != NULL ? evidence_member(evidence, name) : NULL;
	Exclusion  *open = NULL;
	int64_t		height;
	uint64_t	size;
	uint8_t		hash[HASH_LEN];

	if (member == NULL || member->expelled || strcmp(name, evidence->data_center) == 0 ||
		!evidence_point(body, &height, hash, &size))
		return;
	if (member->nexclusions > 0 && member->exclusions[member->nexclusions - 1].to == UINT64_MAX)
		open = &member->exclusions[member->nexclusions - 1];
	if (strcmp(kind, "reinstate") == 0)
	{
		if (open != NULL && size >= open->from)
			open->to = size;
		return;
	}
	if (strcmp(kind, "expel") == 0)
	{
		member->expelled = true;
		member->last_height = height;
	}
	else if (open != NULL)
		return;
	if (member->nexclusions < EVIDENCE_CHANGES_MAX)
	{
		Exclusion	exclusion = {.from = size, .to = UINT64_MAX};

		member->exclusions[member->nexclusions++] = exclusion;
	}
}

bool
evidence_rekey(Evidence *evidence, const char *origin, int64_t height, json_t *payload,
			   CoreError *error)
{
	Member	   *author = evidence_member(evidence, origin);
	json_t	   *envelope = json_object_get(payload, "body");
	json_t	   *terms = author ? evidence_open(envelope, REKEY_TYPE, author, height) : NULL;
	const char *name = evidence_string(terms, "member");
	const char *alliance = evidence_string(terms, "alliance");
	const char *pem = evidence_string(terms, "public_key");
	const char *certificate = evidence_string(terms, "certificate");
	const char *previous = evidence_string(terms, "previous");
	Member	   *member = name != NULL ? evidence_member(evidence, name) : NULL;
	Key		   *key = pem != NULL ? key_from_pem(pem, strlen(pem), NULL) : NULL;
	Key		   *certified = (certificate != NULL ?
							 key_from_pem(certificate, strlen(certificate), NULL) : NULL);
	const LedgerKey *current = author ? evidence_key(author, height + 1) : NULL;
	char		fingerprint[65];
	CoreError	refused = {0};
	bool		own = member != NULL && member == author;
	LedgerKey	change = {.from_height = height + 1, .key = key};
	uint64_t	size;
	bool		fine = (member != NULL && key != NULL && certificate != NULL && alliance != NULL &&
		strcmp(alliance, evidence->alliance) == 0 && evidence_signed(envelope, REKEY_TYPE, key) &&
			evidence_certificate(evidence, name, certificate, evidence_time(payload), &refused) &&
						certified != NULL && evidence_signed(envelope, REKEY_TYPE, certified));

	if (fine && own)
		fine = previous != NULL && key_fingerprint(current->key, fingerprint) &&
			strcmp(previous, fingerprint) == 0 &&
			evidence_signed(envelope, REKEY_TYPE, current->key);
	else if (fine)
	{
		CertificateInfo now;
		CertificateInfo then;
		int64_t		last = -1;

		/* the CA vouches: see lost_key_reason() in sql/install/standing.sql */
		fine = strcmp(origin, evidence->data_center) == 0 && !member->expelled &&
			member->ncontracted > 0 &&
			evidence_point(terms, &last, change.follows, &size) && key_same(certified, key) &&
			certificate_info(certificate, strlen(certificate), &now, NULL) &&
			certificate_info(member->contracted[0], strlen(member->contracted[0]), &then, NULL) &&
			strcmp(now.subject, then.subject) == 0 &&
			(member->nlost == 0 || member->lost[member->nlost - 1].from_height <= last + 1);
		change.from_height = last + 1;
		change.named = fine && last >= 0;
	}
	key_free(certified);
	json_decref(terms);
	if (!fine)
	{
		key_free(key);
		return true;			/* without effect, as in the database */
	}
	if (own)
		return evidence_add_key(member, change, error);
	if (member->nlost == EVIDENCE_CHANGES_MAX)
	{
		key_free(key);
		return error_set(error, CORE_UNSUPPORTED,
		  "\"%.60s\" has changed its key more than %d times", member->name, EVIDENCE_CHANGES_MAX);
	}
	member->lost[member->nlost++] = change;
	return true;
}
