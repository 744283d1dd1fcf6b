/*
 * member_ledger.c: countersignatures, and the ledgers that they let be configured.
 */
#include <stdlib.h>
#include <string.h>

#include "rules/standing.h"

static const char *const ledger_denied = "only an end node configures ledgers";

/*
 * Rule: a member's kind, certificate and capabilities are those of the newest contract that it
 * countersigned, or, before it has any, of the newest that it was offered.  (doc/ledger.md,
 * "Contracts")
 */
static void
ledger_members(Members *members)
{
	for (size_t i = 0; i < members->nparties; i++)
	{
		Party	   *party = members->all[i];
		Standing   *now = party->now;
		const ContractRow *chosen = NULL;

		memset(&now->member, 0, sizeof(MemberRow));
		if (party->center)
		{
			if (members->genesis == NULL || !members->genesis->effective)
				continue;
			now->member.there = now->member.center = now->member.accepted = true;
			now->member.takes_part = true;
			now->member.contract = members->genesis;
			now->member.certificate = members->genesis->said->certificate;
			now->member.configured_by = party;
			continue;
		}
		for (size_t j = now->ncontracts; j > 0 && chosen == NULL; j--)
			if (now->contracts[j - 1].accepted != NULL)
				chosen = &now->contracts[j - 1];
		if (chosen == NULL && now->ncontracts > 0)
			chosen = &now->contracts[now->ncontracts - 1];
		if (chosen == NULL)
			continue;
		now->member.there = true;
		now->member.end_node = strcmp(chosen->offer->said->kind, "end_node") == 0;
		now->member.contract = chosen->offer;
		now->member.certificate = chosen->offer->said->certificate;
		now->member.valid = chosen->offer->said->valid;
		now->member.accepted = chosen->accepted != NULL;
		now->member.ended = chosen->ended;
	}
}

/*
 * Rule: an end node configures ledgers, with the capability for it, of members that there are, with
 * a public key that we take.  (doc/ledger.md, "Keys")
 */
static const char *
ledger_configure_reason(const Members *members, const MemberClaim *claim)
{
	const Statement *said = claim->said;
	const Claim *entry = &said->claim;
	const Party *about;
	const char *reason;

	if (said->empty)
		return "malformed entry";
	reason = standing_excluded(claim->by, entry->seq, entry->time);
	if (reason != NULL)
		return reason;
	if (!claim->by->now->member.end_node)
		return ledger_denied;
	reason = standing_reason(claim->by, entry->seq, entry->time, entry->sealed,
							 CAPABILITY_CONFIGURE, ledger_denied);
	if (reason != NULL)
		return reason;
	about = members_party(members, said->member);
	if (about == NULL || !about->now->member.there)
		return "there is no such member";
	if (said->public_key == NULL)
		return "there is no public key in it";
	return said->public_key->reason;
}

/* A configuration, and what decides which of several comes first. */
typedef struct Configuration
{
	MemberClaim *claim;
	int64_t		vouched;		/* the first contract with that key; INT64_MAX: none */
} Configuration;

static int
ledger_order(const void *a, const void *b)
{
	const Configuration *x = a;
	const Configuration *y = b;
	const Claim *p = &x->claim->said->claim;
	const Claim *q = &y->claim->said->claim;
	int			order;

	if (x->vouched != y->vouched)
		return x->vouched < y->vouched ? -1 : 1;
	if (p->time != q->time)
		return p->time < q->time ? -1 : 1;
	order = strcmp(p->origin, q->origin);
	return order != 0 ? order : p->seq < q->seq ? -1 : p->seq > q->seq;
}

/* A contract that was not taken back before it began. */
static bool
ledger_began(const ContractRow *row)
{
	return row->ended == NULL || row->ended_seq != 0;
}

static int64_t
ledger_vouched(const MemberClaim *claim)
{
	const KeyFact *key = claim->said->public_key;
	const Standing *about = claim->about->now;

	for (size_t i = 0; key != NULL && key->pem != NULL && i < about->ncontracts; i++)
	{
		const Statement *offer = about->contracts[i].offer->said;

		if (ledger_began(&about->contracts[i]) &&
			strcmp(offer->certificate->key->pem, key->pem) == 0)
			return offer->claim.seq;
	}
	return INT64_MAX;
}

/* The first end node's ledger is configured by its contract. */
static void
ledger_first(Members *members)
{
	const ContractRow *first = NULL;

	for (size_t i = 0; i < members->nparties; i++)
		for (size_t j = 0; j < members->all[i]->now->ncontracts; j++)
		{
			const ContractRow *row = &members->all[i]->now->contracts[j];

			if (strcmp(row->offer->said->kind, "end_node") == 0 && ledger_began(row) &&
				(first == NULL || row->offer->said->claim.seq < first->offer->said->claim.seq))
				first = row;
		}
	if (first != NULL)
	{
		Party	   *party = first->offer->about;

		member_keys(members, party, first->offer->said->certificate->key);
		party->now->member.configured_by = members->center;
	}
}

static size_t
ledger_position(const Configuration *all, size_t count, const MemberClaim *claim)
{
	Configuration wanted = {(MemberClaim *) claim, ledger_vouched(claim)};
	size_t		low = 0;
	size_t		high = count;

	while (low < high)
	{
		size_t		middle = (low + high) / 2;

		if (ledger_order(&all[middle], &wanted) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/*
 * Rule: a ledger is configured once: the first end node's by its contract, any other by the first
 * of the configurations that count, one at a time in an order that does not depend on arrival:
 * those with a key for which the CA vouches in one of the member's contracts come first, in the
 * order of these, and then by their times.  (Times are their authors' word, so an end node could
 * be before any other.)  A ledger that is configured may let its end node configure further ones.
 * (doc/ledger.md, "Keys")
 */
static void
ledger_configurations(Members *members)
{
	size_t		count = members->configures.count;
	Configuration *all = pool_alloc(members->work[members->current],
									(count + 1) * sizeof(Configuration));

	ledger_first(members);
	for (size_t i = 0; i < count; i++)
	{
		all[i].claim = members->configures.items[i];
		all[i].claim->effective = false;
		all[i].vouched = ledger_vouched(all[i].claim);
	}
	if (count > 1)
		qsort(all, count, sizeof(Configuration), ledger_order);
	for (size_t i = 0; i < count;)
	{
		MemberClaim *claim = all[i++].claim;
		Party	   *about = claim->about;

		if (!about->now->member.there || about->now->member.configured_by != NULL ||
			ledger_configure_reason(members, claim) != NULL)
			continue;
		member_keys(members, about, claim->said->public_key);
		about->now->member.configured_by = claim->by;
		claim->effective = true;

		/* only what stands on the chain that has just been configured may count now */
		for (size_t j = 0; j < about->configures.count; j++)
		{
			size_t		position = ledger_position(all, count, about->configures.items[j]);

			if (position < i)
				i = position;
		}
	}
	for (size_t i = 0; i < count; i++)
		if (!all[i].claim->effective)
		{
			const char *reason = ledger_configure_reason(members, all[i].claim);

			member_judge(all[i].claim,
						 reason != NULL ? reason : "the ledger is configured already");
		}
		else
			member_judge(all[i].claim, NULL);
	for (size_t i = 0; i < members->rekeys.count; i++)
		if (members->rekeys.items[i]->by->now->nkeys == 0)
			member_judge(members->rekeys.items[i], "the author's ledger is not configured");
}

/*
 * Rule: a member countersigns a contract that the data centre offered it: the very same text, with
 * the key of the certificate in it, or one that its ledger has had by then.  (doc/ledger.md,
 * "Contracts")
 */
static const char *
ledger_acceptance_reason(Members *members, MemberClaim *claim)
{
	Statement  *said = claim->said;
	const MemberClaim *offer;
	const char *reason;

	if (said->empty)
		return "malformed entry";
	reason = standing_excluded(claim->by, said->claim.seq, said->claim.time);
	if (reason != NULL)
		return reason;
	offer = member_offer(members, said->contract);
	if (offer == NULL)
		return "the contract is not known";
	if (offer->about != claim->by)
		return "the contract is with another member";
	reason = statement_signed(members->facts, said, offer->said->certificate->key);
	if (reason != NULL)
		reason = member_key_reason(members, claim, reason);
	if (reason != NULL)
		return reason;
	if (said->envelope.payload_len != offer->said->envelope.payload_len ||
		memcmp(said->envelope.payload, offer->said->envelope.payload,
			   said->envelope.payload_len) != 0)
		return "what was countersigned is not the contract";
	return NULL;
}

static size_t
ledger_accepted(const Members *members)
{
	size_t		count = 0;

	for (size_t i = 0; i < members->acceptances.count; i++)
		count += members->acceptances.items[i]->effective;
	return count;
}

/* Certificates that came with contracts are in force from the countersignature on. */
static void
ledger_in_force(Members *members)
{
	for (size_t i = 0; i < members->nparties; i++)
	{
		Standing   *now = members->all[i]->now;

		for (size_t j = 0; j < now->ncontracts; j++)
			for (size_t k = 0; k < now->ncertificates; k++)
				if (now->certificates[k].cause == now->contracts[j].offer)
				{
					const MemberClaim *accepted = now->contracts[j].accepted;

					now->certificates[k].in_force = accepted != NULL;
					now->certificates[k].from_seq = accepted != NULL ?
						accepted->said->claim.seq : 0;
				}
	}
}

/*
 * A countersignature may be by a key that its ledger has got, and lets an end node configure
 * ledgers.  Each round takes at least one more countersignature, or one less; who makes them take
 * turns (that needs a data centre that helps) gets the state after a number of rounds that all
 * nodes come to.
 */
void
member_settle_ledgers(Members *members)
{
	size_t		rounds = 2 * members->acceptances.count + 2;

	for (size_t round = 0; round < rounds; round++)
	{
		size_t		accepted;

		ledger_members(members);
		ledger_configurations(members);
		accepted = ledger_accepted(members);
		for (size_t i = 0; i < members->acceptances.count; i++)
			member_judge(members->acceptances.items[i],
						 ledger_acceptance_reason(members, members->acceptances.items[i]));
		if (accepted == ledger_accepted(members))
			break;
		member_contract_rows(members);
		ledger_in_force(members);
	}
}
