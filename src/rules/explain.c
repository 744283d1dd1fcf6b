/*
 * explain.c: what the rules say of one entry, condition by condition (see explain.h).
 *
 * Most kinds share the first conditions: the entry can be read, stands in no excluded part of its
 * chain, its author had standing there, and his ledger's key signed it.  What is particular to a
 * kind is one condition, told as its rule says it.
 */
#include <inttypes.h>
#include <string.h>

#include "core/encode.h"
#include "rules/explain.h"
#include "rules/rules_internal.h"

/* Whose standing a kind needs. */
typedef enum ExplainAuthor
{
	AUTHOR_ANYBODY, AUTHOR_CENTER, AUTHOR_RENEWS, AUTHOR_CONTRACT, AUTHOR_CONFIGURES, AUTHOR_ISSUES
} ExplainAuthor;

static const struct
{
	ExplainAuthor author;
	bool		envelope;		/* signed by a key of its author's ledger */
	const char *rule;			/* doc/ledger.md */
}			kinds[CLAIM_KINDS] = {

	[CLAIM_GENESIS] = {AUTHOR_ANYBODY, false,
		"it is the first entry of the data centre's chain, of this alliance, with trust "
	"anchors that accept its certificate"},
	[CLAIM_CONTRACT] = {AUTHOR_CENTER, true,
		"it is with another member that was not expelled before, and its terms and "
	"certificate are in order"},
	[CLAIM_ACCEPTANCE] = {AUTHOR_ANYBODY, false,
		"it countersigns a contract with its author, with the contract's certificate or "
	"a key of his ledger"},
	[CLAIM_CONFIGURE] = {AUTHOR_CONFIGURES, false,
		"it is the first for that member's ledger, which is not configured by a "
	"contract, with a public key"},
	[CLAIM_SUSPEND] = {AUTHOR_CENTER, false,
		"the member is not suspended, and the block that it names is not before that of "
	"the last such entry"},
	[CLAIM_REINSTATE] = {AUTHOR_CENTER, false,
		"the member is suspended, and the block that it names is not before that of its "
	"suspension"},
	[CLAIM_EXPEL] = {AUTHOR_CENTER, false,
		"it is about a member that was not expelled before, and names a block of its "
	"chain"},
	[CLAIM_ENDING] = {AUTHOR_ANYBODY, false,
		"it ends a contract of its author, or is the data centre's and names a block of "
	"the member's chain"},
	[CLAIM_REKEY] = {AUTHOR_ANYBODY, false,
		"it is signed by the key before, or is the data centre's after a loss; by the "
	"new key and that of a certificate that is accepted"},
	[CLAIM_CRL] = {AUTHOR_CENTER, false, "the revocation list is signed by a CA of the alliance"},
	[CLAIM_ANCHORS] = {AUTHOR_RENEWS, true,
		"its trust anchors are CAs, one of them valid then, and it names blocks of the "
	"members' chains"},
	[CLAIM_POLICY] = {AUTHOR_CENTER, false,
	"there is that policy and value, and it names blocks of the members' chains"},
	[CLAIM_EXAMINEE_KEY] = {AUTHOR_ISSUES, false,
		"the new key has signed it, and the one before, unless the data centre withdrew "
	"that"},
	[CLAIM_EXAMINEE_WITHDRAWAL] = {AUTHOR_CENTER, false,
	"it is about an examinee, and names blocks of the members' chains"},
	[CLAIM_PROTOCOL] = {AUTHOR_ISSUES, true,
		"its alliance, author, subject and terms are in order, no earlier protocol has "
	"its id, and the examinee has signed where that is needed"},
	[CLAIM_AMENDMENT] = {AUTHOR_ISSUES, true,
		"it amends an earlier protocol of its author about that subject, its terms are "
	"in order, and the examinee has signed where that is needed"},
	[CLAIM_REVOCATION] = {AUTHOR_ANYBODY, false,
		"there is that protocol, and it is the author's, or he is the data centre or the "
	"examinee's end node"},
	[CLAIM_NOTE] = {AUTHOR_CONTRACT, false,
	"there is that protocol, and its author has a part in it, or is an auditor"},
	[CLAIM_BIND_ROLE] = {AUTHOR_ANYBODY, false, "it is of effect on its own node alone"}
};

typedef struct Explain
{
	Rules	   *rules;
	Pool	   *pool;
	const Claim *claim;
	const Party *author;		/* NULL: nothing is known of that name */
	ExplainVisit visit;
	void	   *state;
	bool		failed;
} Explain;

static void
explain_tell(Explain *explain, const char *condition, bool holds, const char *judged_by)
{
	explain->visit(explain->state, condition, explain->failed ? EXPLAIN_NOT_ASKED :
				   holds ? EXPLAIN_HOLDS : EXPLAIN_FAILS, explain->failed ? NULL : judged_by);
	explain->failed = explain->failed || !holds;
}

static void
explain_excluded(Explain *explain)
{
	const Claim *claim = explain->claim;
	const char *reason = standing_excluded(explain->author, claim->seq, claim->time);
	const char *by = "no suspension, expulsion or revocation list names its place or time";
	const Standing *now = explain->author != NULL ? explain->author->now : NULL;

	for (size_t i = 0; reason != NULL && now != NULL && i < now->nexclusions; i++)
		if (strcmp(now->exclusions[i].reason, reason) == 0)
		{
			by = pool_format(explain->pool, "%s: entry %" PRId64 " of \"%s\"", reason,
							 now->exclusions[i].cause->said->claim.seq,
							 now->exclusions[i].cause->said->claim.origin);
			break;
		}
	explain_tell(explain, "it stands in no part of its chain that is excluded", reason == NULL,
				 by);
}

/* The contract and the certificate that the author had there, as text. */
static const char *
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
	if (certificate != NULL)
	{
		encode_hex(certificate->certificate->fingerprint, HASH_LEN, hex);
		pool_text_puts(&text, text.len > 0 ? "; " : "");
		pool_text_puts(&text, pool_format(explain->pool, "certificate %s, valid %s", hex,
										  period_text(explain->pool, &certificate->valid)));
	}
	return text.data;
}

static const char *
explain_renewal(const Explain *explain)
{
	const Members *members = explain->rules->members;

	for (size_t i = 0; i < members->renewals.count; i++)
		if (members->renewals.items[i]->said->claim.seq == explain->claim->seq)
			return member_anchors_late(members, members->renewals.items[i]);
	return "it is another's chain";
}

static void
explain_author(Explain *explain, ExplainAuthor author)
{
	static const char *const conditions[] = {
		[AUTHOR_CENTER] = "the data centre says it, with a certificate for that time",
		[AUTHOR_RENEWS] = "the data centre says it, whose certificate is valid then, or ended "
		"no longer ago than trust anchors can be renewed",
		[AUTHOR_CONTRACT] = "its author's contract and certificate are in force there",
		[AUTHOR_CONFIGURES] = "its author is an end node whose contract lets it configure ledgers "
		"there",
		[AUTHOR_ISSUES] = "its author's contract lets him issue protocols there"
	};
	const Claim *claim = explain->claim;
	const Party *party = explain->author;
	const char *reason = NULL;
	const char *by;

	switch (author)
	{
		case AUTHOR_ANYBODY:
			return;
		case AUTHOR_CENTER:
			if (strcmp(claim->origin, explain->rules->data_center) != 0)
				reason = "it is another's chain";
			else if (!standing_certified(party, claim->time))
				reason = "the data centre's certificate was not valid then";
			break;
		case AUTHOR_RENEWS:
			reason = explain_renewal(explain);
			break;
		case AUTHOR_CONTRACT:
			reason = standing_reason(party, claim->seq, claim->time, claim->sealed, 0,
									 "its contract is not in force");
			break;
		case AUTHOR_CONFIGURES:
			reason = standing_reason(party, claim->seq, claim->time, claim->sealed,
									 CAPABILITY_CONFIGURE, "its contract does not allow it");
			if (party == NULL || party->now == NULL || !party->now->member.end_node)
				reason = "it is no end node";
			break;
		case AUTHOR_ISSUES:
			reason = standing_reason(party, claim->seq, claim->time, claim->sealed,
									 CAPABILITY_ISSUE, "its contract does not allow it");
			break;
	}
	by = explain_standing(explain);
	if (reason != NULL)
		by = pool_format(explain->pool, "%s: %s", reason, by);
	explain_tell(explain, conditions[author], reason == NULL, by);
}

static void
explain_signature(Explain *explain)
{
	const Claim *claim = explain->claim;
	const Standing *now = explain->author != NULL ? explain->author->now : NULL;
	const char *by = "the author's ledger is not configured";
	bool		is_signed = false;

	for (size_t i = now != NULL ? now->nkeys : 0; i > 0 && !is_signed; i--)
	{
		const KeyRow *key = &now->keys[i - 1];

		if (key->from_height > claim->height)
			continue;
		by = rules_signed(explain->rules, explain->pool, claim, key->key);
		is_signed = by == NULL;
		if (is_signed)
			by = pool_format(explain->pool, "key %s, which signs the chain from block %" PRId64
							 " on", key->key->fingerprint, key->from_height);
	}
	explain_tell(explain, "a key that its author's ledger has had up to there signed it",
				 is_signed, by);
}

bool
rules_explain(Rules *rules, const char *origin, int64_t seq, ExplainVisit visit, void *state)
{
	ClaimQuery	query = {.kinds = CLAIM_SET_ALL, .origin = origin, .first = seq, .last = seq};
	Pool	   *pool = pool_new();
	Explain		explain = {.rules = rules, .pool = pool, .visit = visit, .state = state};
	Claim		claim;
	bool		found = rules->store->claim_next(rules->store_state, &query, NULL, pool, &claim);

	if (found)
	{
		const char *worth = claim.effective ? "every condition holds" :
		claim.reason != NULL ? claim.reason : "";

		explain.claim = &claim;
		explain.author = rules_author(rules, &claim);
		explain_tell(&explain, "what it says can be read, by all programs alike",
					 !claim_is_empty(&claim), claim_is_empty(&claim) ? "malformed entry" :
					 "the text of the entry");
		if (claim.kind != CLAIM_REKEY && claim.kind != CLAIM_BIND_ROLE)
			explain_excluded(&explain);
		explain_author(&explain, kinds[claim.kind].author);
		if (kinds[claim.kind].envelope)
			explain_signature(&explain);
		explain_tell(&explain, kinds[claim.kind].rule, claim.effective, claim.effective ?
					 "the entry, and those that it depends on" : worth);
		visit(state, "it has effect", claim.effective ? EXPLAIN_HOLDS : EXPLAIN_FAILS, worth);
	}
	pool_free(pool);
	return found;
}
