/*
 * facts.c: what cryptography says: asked once, kept, and found again.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/certificate.h"
#include "core/crl.h"
#include "rules/fact_read.h"
#include "rules/facts_internal.h"

#define FACTS_QUESTION_PARTS 4

Facts *
facts_new(const RulesStore *store, void *store_state)
{
	Pool	   *pool = pool_new();
	Facts	   *facts = pool_alloc(pool, sizeof(Facts));

	facts->pool = pool;
	facts->scratch = pool_new();
	facts->store = store;
	facts->store_state = store_state;
	facts->texts = map_new(pool);
	facts->keys = map_new(pool);
	facts->certificates = map_new(pool);
	facts->paths = map_new(pool);
	facts->anchors = map_new(pool);
	facts->crls = map_new(pool);
	facts->revocations = map_new(pool);
	return facts;
}

void
facts_free(Facts *facts)
{
	if (facts == NULL)
		return;
	for (int i = 0; i < FACTS_ONCE; i++)
		pool_free(facts->once[i].pool);
	pool_free(facts->scratch);
	pool_free(facts->pool);
}

Pool *
facts_pool(Facts *facts)
{
	return facts->pool;
}

const char *
facts_keep(Facts *facts, const char *text)
{
	void	  **place;

	if (text == NULL)
		return NULL;
	place = map_at(facts->texts, text, strlen(text));
	if (*place == NULL)
		*place = pool_text(facts->pool, text);
	return *place;
}

/* ----- questions, as the store keeps them ----- */

void
facts_question(const char *what, const uint8_t *const *digests, size_t count, int64_t number,
			   uint8_t question[HASH_LEN])
{
	uint8_t		text[64 + FACTS_QUESTION_PARTS * HASH_LEN] = {0};
	size_t		len = (size_t) snprintf((char *) text, 64, "medchain fact 1 %s %" PRId64, what,
										number) + 1;

	for (size_t i = 0; i < count; i++)
	{
		memcpy(text + len, digests[i], HASH_LEN);
		len += HASH_LEN;
	}
	if (!hash_sha256(text, len, question))
		pool_fail();
}

char *
facts_ask_store(Facts *facts, const uint8_t question[HASH_LEN])
{
	return facts->store != NULL && facts->store->fact_get != NULL ?
		facts->store->fact_get(facts->store_state, facts->scratch, question) : NULL;
}

void
facts_tell_store(Facts *facts, const uint8_t question[HASH_LEN], const char *answer)
{
	if (facts->store != NULL && facts->store->fact_put != NULL)
		facts->store->fact_put(facts->store_state, question, answer);
}

/* The same for what is said of one text. */
static char *
facts_ask_text(Facts *facts, const char *what, const char *text, uint8_t question[HASH_LEN])
{
	uint8_t		digest[HASH_LEN];
	const uint8_t *digests[] = {digest};

	fact_digest(text, digest);
	facts_question(what, digests, 1, 0, question);
	return facts_ask_store(facts, question);
}

/* ----- keys and certificates ----- */

const KeyFact *
facts_key(Facts *facts, const char *given)
{
	void	  **place;

	if (given == NULL)
		return NULL;
	place = map_at(facts->keys, given, strlen(given));
	if (*place == NULL)
	{
		KeyFact    *fact = NULL;
		uint8_t		question[HASH_LEN];
		char	   *answer = facts_ask_text(facts, "key", given, question);

		if (answer != NULL)
			fact = fact_key_parse(facts->pool, given, answer);
		if (fact == NULL)
		{
			fact = fact_key_read(facts->pool, given);
			facts_tell_store(facts, question, fact_key_text(facts->scratch, fact));
		}
		*place = fact;
		pool_reset(facts->scratch);
	}
	return *place;
}

const KeyFact *
facts_key_once(Facts *facts, Pool *pool, const char *given)
{
	const KeyFact *known = given != NULL ? map_get(facts->keys, given, strlen(given)) : NULL;
	uint8_t		digest[HASH_LEN];
	uint32_t	place;
	OnceSlot   *slot;
	KeyFact    *copy;

	if (known != NULL || given == NULL)
		return known;
	fact_digest(given, digest);
	memcpy(&place, digest, sizeof(place));
	slot = &facts->once[place % FACTS_ONCE];
	if (slot->pool == NULL || memcmp(slot->fact->digest, digest, HASH_LEN) != 0)
	{
		pool_free(slot->pool);
		slot->pool = pool_new();
		slot->fact = fact_key_read(slot->pool, given);
	}
	copy = pool_alloc(pool, sizeof(KeyFact));
	*copy = *slot->fact;
	copy->given = pool_text(pool, slot->fact->given);
	copy->reason = pool_text(pool, slot->fact->reason);
	copy->pem = pool_text(pool, slot->fact->pem);
	copy->fingerprint = pool_text(pool, slot->fact->fingerprint);
	return copy;
}

const CertificateFact *
facts_certificate(Facts *facts, const char *given)
{
	void	  **place;

	if (given == NULL)
		return NULL;
	place = map_at(facts->certificates, given, strlen(given));
	if (*place == NULL)
	{
		CertificateFact *fact = NULL;
		uint8_t		question[HASH_LEN];
		char	   *answer = facts_ask_text(facts, "certificate", given, question);

		if (answer != NULL)
			fact = fact_certificate_parse(facts->pool, given, answer);
		if (fact == NULL)
		{
			fact = fact_certificate_read(facts->pool, given);
			facts_tell_store(facts, question, fact_certificate_text(facts->scratch, fact));
		}
		*place = fact;
		pool_reset(facts->scratch);
	}
	return *place;
}

/* ----- paths ----- */

/* What certificate_verify() says, and of an accepted one the time that all of its path has. */
static char *
facts_path_find(Facts *facts, const CertificateFact *certificate, const char *anchors, int64_t at)
{
	char		reason[CORE_MESSAGE_LEN];
	CoreError	error = {0};
	CertificateInfo path[CERTIFICATE_PATH_MAX];
	bool		anchored;
	size_t		len = strlen(certificate->given);
	int64_t		seconds = period_seconds(at);
	int			count;

	switch (certificate_verify(certificate->given, len, anchors, strlen(anchors), NULL, 0,
							   CERTIFICATE_CRL_STRICT, seconds, reason, &error))
	{
		case CERTIFICATE_INVALID:
			return pool_format(facts->scratch, "!%s", reason);
		case CERTIFICATE_ERROR:
			return pool_format(facts->scratch, "!%s", fact_reason(facts->scratch, &error));
		case CERTIFICATE_VALID:
			break;
	}
	count = certificate_path(certificate->given, len, anchors, strlen(anchors), seconds, path,
							 &anchored, &error);
	if (count == 0)
		return pool_format(facts->scratch, "!%s", fact_reason(facts->scratch, &error));
	for (int i = 1; i < count; i++)
	{
		if (path[i].not_before > path[0].not_before)
			path[0].not_before = path[i].not_before;
		if (path[i].not_after < path[0].not_after)
			path[0].not_after = path[i].not_after;
	}
	return pool_format(facts->scratch, "%" PRId64 " %" PRId64,
					   period_from_seconds(path[0].not_before),
					   period_from_seconds(path[0].not_after));
}

static void
facts_path_refuse(Facts *facts, PathFact *path, const char *reason)
{
	path->reason = facts_keep(facts, reason);
	path->told = pool_format(facts->pool, "certificate is not accepted: %s", reason);
}

/* The path that a store's answer, or ours, tells. */
static void
facts_path_read(Facts *facts, const char *answer, PathFact *path)
{
	char	   *rest;

	if (answer[0] == '!')
	{
		facts_path_refuse(facts, path, answer + 1);
		return;
	}
	path->term.has_from = path->term.from_inclusive = true;
	path->term.from = strtoll(answer, &rest, 10);
	path->term.has_to = path->term.to_inclusive = true;
	path->term.to = strtoll(rest, NULL, 10);
	if (path->term.from > path->term.to)
	{
		memset(&path->term, 0, sizeof(path->term));
		path->term.empty = true;
	}
}

const PathFact *
facts_path(Facts *facts, const CertificateFact *certificate, const char *anchors, int64_t at)
{
	const void *named[] = {certificate, anchors, (const void *) (uintptr_t) at};
	void	  **place = map_at(facts->paths, named, sizeof(named));
	uint8_t		anchors_digest[HASH_LEN];
	const uint8_t *digests[] = {certificate->digest, anchors_digest};
	uint8_t		question[HASH_LEN];
	PathFact   *path = *place;
	char	   *answer;

	if (path != NULL)
		return path;
	*place = path = pool_alloc(facts->pool, sizeof(PathFact));
	if (certificate->reason != NULL)
	{
		facts_path_refuse(facts, path, certificate->reason);
		return path;
	}
	fact_digest(anchors, anchors_digest);
	facts_question("path", digests, 2, at, question);
	answer = facts_ask_store(facts, question);
	if (answer == NULL)
	{
		answer = facts_path_find(facts, certificate, anchors, at);
		facts_tell_store(facts, question, answer);
	}
	facts_path_read(facts, answer, path);
	pool_reset(facts->scratch);
	return path;
}

const char *
facts_anchors(Facts *facts, const char *anchors, int64_t at)
{
	const void *named[] = {anchors, (const void *) (uintptr_t) at};
	void	  **place = map_at(facts->anchors, named, sizeof(named));
	uint8_t		digest[HASH_LEN];
	const uint8_t *digests[] = {digest};
	uint8_t		question[HASH_LEN];
	CoreError	error = {0};
	char	   *answer;

	if (*place == NULL)
	{
		fact_digest(anchors, digest);
		facts_question("anchors", digests, 1, at, question);
		answer = facts_ask_store(facts, question);
		if (answer == NULL)
		{
			answer = "";
			if (!certificate_anchors(anchors, strlen(anchors), period_seconds(at), &error))
				answer = pool_text(facts->scratch, fact_reason(facts->scratch, &error));
			facts_tell_store(facts, question, answer);
		}
		*place = (void *) facts_keep(facts, answer);
		pool_reset(facts->scratch);
	}
	answer = *place;
	return answer[0] != '\0' ? answer : NULL;
}

/* ----- revocation lists ----- */

const char *
facts_crl(Facts *facts, const char *crl, const char *issuers)
{
	const void *named[] = {crl, issuers};
	void	  **place = map_at(facts->crls, named, sizeof(named));
	uint8_t		digest[2][HASH_LEN];
	const uint8_t *digests[] = {digest[0], digest[1]};
	uint8_t		question[HASH_LEN];
	CrlInfo		info;
	CoreError	error = {0};
	char	   *answer;

	if (*place == NULL)
	{
		fact_digest(crl, digest[0]);
		fact_digest(issuers, digest[1]);
		facts_question("crl", digests, 2, 0, question);
		answer = facts_ask_store(facts, question);
		if (answer == NULL)
		{
			answer = "";
			if (!crl_info(crl, strlen(crl), issuers, strlen(issuers), &info, &error))
				answer = pool_text(facts->scratch, fact_reason(facts->scratch, &error));
			facts_tell_store(facts, question, answer);
		}
		*place = (void *) facts_keep(facts, answer);
		pool_reset(facts->scratch);
	}
	answer = *place;
	return answer[0] != '\0' ? answer : NULL;
}

const RevocationFact *
facts_revocation(Facts *facts, const char *crl, const CertificateFact *certificate,
				 const char *anchors)
{
	const void *named[] = {crl, certificate, anchors};
	void	  **place = map_at(facts->revocations, named, sizeof(named));
	uint8_t		digest[2][HASH_LEN];
	const uint8_t *digests[] = {digest[0], certificate->digest, digest[1]};
	uint8_t		question[HASH_LEN];
	RevocationFact *fact;
	CrlRevocation found;
	char	   *answer;
	char	   *rest;

	if (*place != NULL)
		return *place;
	*place = fact = pool_alloc(facts->pool, sizeof(RevocationFact));
	fact_digest(crl, digest[0]);
	fact_digest(anchors, digest[1]);
	facts_question("revocation", digests, 3, 0, question);
	answer = facts_ask_store(facts, question);
	if (answer == NULL)
	{
		answer = "";
		if (crl_find(crl, strlen(crl), certificate->given, strlen(certificate->given), anchors,
					 strlen(anchors), &found, NULL) && found.revoked)
			answer = pool_format(facts->scratch, "%" PRId64 " %s",
								 period_from_seconds(found.since), found.reason);
		facts_tell_store(facts, question, answer);
	}
	if (answer[0] != '\0')
	{
		fact->revoked = true;
		fact->since = strtoll(answer, &rest, 10);
		fact->reason = facts_keep(facts, rest + (*rest == ' '));
	}
	pool_reset(facts->scratch);
	return fact;
}
