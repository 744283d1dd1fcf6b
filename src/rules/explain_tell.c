/*
 * explain_tell.c: what the conditions of all kinds of entries are told by (see explain_tell.h).
 */
#include <inttypes.h>

#include "core/encode.h"
#include "rules/explain_tell.h"
#include "rules/rules_internal.h"

void
explain_tell(Explain *explain, const char *condition, bool holds, const char *judged_by)
{
	explain->visit(explain->state, condition, explain->failed ? EXPLAIN_NOT_ASKED :
				   holds ? EXPLAIN_HOLDS : EXPLAIN_FAILS, explain->failed ? NULL : judged_by);
	explain->failed = explain->failed || !holds;
}

const char *
explain_standing(Explain *explain)
{
	const Standing *now = explain->author != NULL ? explain->author->now : NULL;
	const ContractRow *contract;
	const CertificateRow *certificate;
	char		hex[ENCODE_HEX_SIZE(HASH_LEN)];
	PoolText	text;

	if (now == NULL)
		return "nothing is known of that member";
	pool_text_begin(&text, explain->pool);
	contract = standing_contract(now, explain->claim->seq);
	if (contract != NULL)
		pool_text_puts(&text, pool_format(explain->pool, "contract %s, countersigned by entry %"
										  PRId64, contract->offer->said->claim.id,
										  contract->accepted->said->claim.seq));
	else if (!explain->author->center)
		pool_text_puts(&text, "no contract that was countersigned before");
	certificate = standing_certificate(now, explain->claim->seq);
	pool_text_puts(&text, text.len > 0 ? "; " : "");
	if (certificate == NULL)
		pool_text_puts(&text, "no certificate of that place");
	else
	{
		encode_hex(certificate->certificate->fingerprint, HASH_LEN, hex);
		pool_text_puts(&text, pool_format(explain->pool, "certificate %s, valid %s", hex,
										  period_text(explain->pool, &certificate->valid)));
	}
	return text.data;
}

const char *
explain_signed_by(Explain *explain, bool *is_signed)
{
	const Claim *claim = explain->claim;
	const Standing *now = explain->author != NULL ? explain->author->now : NULL;
	const char *by = "the author's ledger is not configured";

	*is_signed = false;
	for (size_t i = now != NULL ? now->nkeys : 0; i > 0 && !*is_signed; i--)
	{
		const KeyRow *key = &now->keys[i - 1];

		if (key->from_height > claim->height)
			continue;
		by = rules_signed(explain->rules, explain->pool, claim, key->key);
		*is_signed = by == NULL;
		if (*is_signed)
			by = pool_format(explain->pool, "key %s, which signs the chain from block %" PRId64
							 " on", key->key->fingerprint, key->from_height);
	}
	return by;
}
