/*
 * member_center.c: what the data centre says about members, in the order of its chain.
 */
#include <stdlib.h>
#include <string.h>

#include "rules/standing.h"

static const char *const center_uncertified = "the data centre's certificate was not valid then";

/*
 * Rule: what is the data centre's to say about a member, it says with a certificate for that time,
 * about others than itself, to whom it offered a contract before, and whom it did not expel before.
 * (doc/ledger.md, "Whose entry counts")
 */
const char *
member_governor_reason(const MemberClaim *claim, const Party *about, const char *denied)
{
	int64_t		seq = claim->said->claim.seq;

	if (!claim->by->center)
		return denied;
	if (!standing_certified(claim->by, claim->said->claim.time))
		return center_uncertified;
	if (about == NULL)
		return NULL;
	if (about->center)
		return "the data centre is a member by genesis";
	if (about->contracted == NULL || about->contracted->said->claim.seq >= seq)
		return "there is no such member";
	if (about->expelled != NULL && about->expelled->said->claim.seq < seq)
		return "the member was expelled before";
	return NULL;
}

/*
 * Rule: the first entry of the data centre's chain founds the alliance, if it names it, its author
 * and trust anchors that accept its certificate.  (doc/ledger.md, "Whose entry counts")
 */
static const char *
center_genesis_reason(Members *members, const MemberClaim *claim)
{
	const Statement *said = claim->said;

	if (said->empty)
		return "malformed entry";
	if (said->alliance == NULL || strcmp(said->alliance, members->alliance) != 0 ||
		said->member == NULL || strcmp(said->member, claim->by->name) != 0)
		return "genesis is of another alliance or member";
	return statement_path(members->facts, claim->said, said->anchors);
}

/*
 * Rule: an envelope is its author's if one of the keys that his ledger has had up to its block has
 * signed it.  (doc/ledger.md, "Whose entry counts")
 */
const char *
member_author_reason(Members *members, MemberClaim *claim)
{
	return member_key_reason(members, claim, "the author's ledger is not configured");
}

/*
 * Rule: a contract is with a member of that name, an end node or a chain node, for capabilities
 * that there are, for a time, and with a certificate that the alliance's trust anchors accept.
 * (doc/ledger.md, "Whose entry counts")
 */
const char *
member_terms_reason(Members *members, Statement *said)
{
	if (said->alliance == NULL || strcmp(said->alliance, members->alliance) != 0)
		return "contract is of another alliance";
	if (said->member == NULL || !entry_name_valid(said->member))
		return "contract has no valid member name";
	if (said->kind == NULL || (strcmp(said->kind, "end_node") != 0 &&
							   strcmp(said->kind, "chain_node") != 0))
		return "a contract is for an end_node or a chain_node";
	if (!said->capable)
		return "capabilities are admit, configure, issue, query, update, audit and emergency";
	if (!said->timed)
		return "contract has no valid period";
	return statement_path(members->facts, said,
						  member_anchors_at(members, members->center, said->claim.seq));
}

/*
 * Rule: the data centre admits members: by a contract with another, signed with its ledger's key
 * while its certificate is valid, and never again after an expulsion.  (doc/ledger.md, "Whose entry
 * counts")
 */
static const char *
center_contract_reason(Members *members, MemberClaim *claim)
{
	const char *reason;

	if (claim->about->center)
		return "the data centre is a member by genesis";
	if (!standing_certified(claim->by, claim->said->claim.time))
		return center_uncertified;
	reason = member_author_reason(members, claim);
	if (reason == NULL)
		reason = member_terms_reason(members, claim->said);
	if (reason == NULL && claim->about->expelled != NULL)
		reason = "the member was expelled before";
	return reason;
}

/*
 * Rule: a member is suspended if it is not, reinstated if it is, and expelled once; each such entry
 * names the last block of its chain that counts as before, which does not go back.  (doc/ledger.md,
 * "Excluded parts of chains")
 */
static const char *
center_discipline_reason(const MemberClaim *claim)
{
	const MemberClaim *previous = claim->about->disciplined;
	ClaimKind	kind = claim->said->claim.kind;
	bool		suspended = previous != NULL && previous->said->claim.kind == CLAIM_SUSPEND;
	const char *reason = member_governor_reason(claim, claim->about, NULL);

	if (reason != NULL)
		return reason;
	if (!claim->said->last.valid)
		return "it names no block of the member's chain";
	if (kind == CLAIM_SUSPEND && suspended)
		return "the member is suspended already";
	if (kind == CLAIM_REINSTATE && !suspended)
		return "the member is not suspended";
	if (kind != CLAIM_EXPEL && previous != NULL &&
		previous->said->last.size > claim->said->last.size)
		return "the entry before names a later block";
	return NULL;
}

/*
 * Rule: after the loss of a member's key the data centre names another one: that of a certificate
 * which is made out to the name in one of its contracts, which has signed as well, and from behind
 * a block of its chain on, which does not go back.  (doc/ledger.md, "Keys")
 */
static const char *
center_lost_reason(Members *members, MemberClaim *claim)
{
	const Statement *said = claim->said;
	const char *reason;

	if (said->empty)
		return "malformed entry";
	reason = member_governor_reason(claim, claim->about, NULL);
	if (reason == NULL)
		reason = member_author_reason(members, claim);
	if (reason == NULL)
		reason = member_rekey_reason(members, claim, NULL);
	if (reason != NULL)
		return reason;
	if (!said->last.valid)
		return "it names no block of the member's chain";
	if (strcmp(said->certificate->key->pem, said->public_key->pem) != 0)
		return "the new key is not the certificate's";
	if (!member_certificate_is_of(claim->about, said->certificate, claim))
		return "the certificate is for another name than the member's contract";
	for (size_t i = 0; i < claim->about->lost.count; i++)
	{
		const MemberClaim *other = claim->about->lost.items[i];

		if (other->said->claim.seq >= said->claim.seq)
			break;
		if (other->effective && other->said->last.height > said->last.height)
			return "the entry before names a later block";
	}
	return NULL;
}

static int
center_text_order(const void *a, const void *b)
{
	return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/*
 * All trust anchors up to there, and the CAs that came with certificates which the data centre took
 * before.
 */
const char *
member_issuers(Members *members, int64_t seq)
{
	Pool	   *work = members->work[members->current];
	const char **above = NULL;
	size_t		count = 0;
	PoolText	out;

	for (size_t i = 0; i < members->claims.count; i++)
	{
		const MemberClaim *claim = members->claims.items[i];
		const Statement *said = claim->said;

		if (!claim->by->center || !claim->effective || said->claim.seq >= seq ||
			said->certificate == NULL)
			continue;
		for (int j = 0; j < said->certificate->nabove; j++)
		{
			above = pool_grow(work, above, count, sizeof(char *));
			above[count++] = said->certificate->above[j];
		}
	}
	if (count > 1)
		qsort(above, count, sizeof(char *), center_text_order);
	pool_text_begin(&out, work);
	pool_text_puts(&out, members->anchors);
	for (size_t i = 0; i < members->renewals.count; i++)
		if (members->renewals.items[i]->effective &&
			members->renewals.items[i]->said->claim.seq < seq)
		{
			pool_text_char(&out, '\n');
			pool_text_puts(&out, members->renewals.items[i]->said->anchors);
		}
	for (size_t i = 0; i < count; i++)
		if (i == 0 || strcmp(above[i], above[i - 1]) != 0)
		{
			pool_text_char(&out, '\n');
			pool_text_puts(&out, above[i]);
		}
	return facts_keep(members->facts, out.data);
}

/*
 * Rule: the data centre adds revocation lists, each signed by a CA of the alliance: a trust anchor,
 * or one that came with a certificate which the data centre took before.  (doc/ledger.md,
 * "Certificates")
 */
static const char *
center_crl_reason(Members *members, const MemberClaim *claim)
{
	const Statement *said = claim->said;
	const char *reason = member_governor_reason(claim, NULL, NULL);

	if (reason != NULL)
		return reason;
	if (said->crl == NULL || !said->last_is_object)
		return "there is no revocation list in it";
	if (!said->points_valid)
		return "it names no block of a member's chain";
	reason = facts_crl(members->facts, said->crl, member_issuers(members, said->claim.seq));
	return reason == NULL ? NULL :
		facts_keep(members->facts, pool_format(members->work[members->current],
											   "revocation list is not accepted: %s", reason));
}

/* The data centre's certificates and keys, from its own chain. */
static void
center_found(Members *members)
{
	static const int64_t beginning = 0;
	MemberClaim *genesis = members->genesis;

	member_anchors_begin(members);
	if (genesis != NULL)
		member_judge(genesis, center_genesis_reason(members, genesis));
	if (genesis != NULL && genesis->effective)
	{
		member_certificate(members, genesis->by, genesis, &beginning);
		member_keys(members, genesis->by, genesis->said->certificate->key);
	}
	member_anchors_settle(members, INT64_MAX);
}

static void
center_judge(Members *members, MemberClaim *claim)
{
	Party	   *about = claim->about;

	if (claim->said->claim.kind == CLAIM_CONTRACT)
		member_judge(claim, center_contract_reason(members, claim));
	else
		member_judge(claim, center_discipline_reason(claim));
	if (!claim->effective)
		return;
	switch (claim->said->claim.kind)
	{
		case CLAIM_CONTRACT:
			if (about->contracted == NULL)
				about->contracted = claim;
			break;
		case CLAIM_EXPEL:
			about->expelled = claim;
			break;
		default:
			about->disciplined = claim;
			break;
	}
}

/*
 * What the data centre says is in one order, its own; once more when it is known whether its
 * certificate was revoked.
 */
void
member_settle_center(Members *members)
{
	for (int pass = 1; pass <= 2; pass++)
	{
		for (size_t i = 0; i < members->nparties; i++)
		{
			Party	   *party = members->all[i];

			party->contracted = party->expelled = party->disciplined = NULL;
			party->now->ncertificates = 0;
		}
		center_found(members);
		for (size_t i = 0; i < members->center_claims.count; i++)
			center_judge(members, members->center_claims.items[i]);
		for (size_t i = 0; i < members->center_lost.count; i++)
			member_judge(members->center_lost.items[i],
						 center_lost_reason(members, members->center_lost.items[i]));

		/* may be signed by a CA that came with one of those */
		for (size_t i = 0; pass == 1 && i < members->crls.count; i++)
			member_judge(members->crls.items[i],
						 center_crl_reason(members, members->crls.items[i]));
	}
}
