/*
 * standing.c: what a member may say at a point of its own chain.
 */
#include "rules/standing.h"

/*
 * Rule: a member can present itself at the times for which one of its certificates, from whichever
 * contract or change of key, is valid.  (doc/ledger.md, "Whose entry counts")
 */
bool
standing_certified(const Party *party, int64_t time)
{
	if (party == NULL || party->now == NULL)
		return false;
	for (size_t i = 0; i < party->now->ncertificates; i++)
		if (period_has(&party->now->certificates[i].valid, time))
			return true;
	return false;
}

/*
 * Rule: what stands in a part of a chain that the data centre excluded, or is dated into the time
 * of a suspension, has no effect whatever it says.  (doc/ledger.md, "Excluded parts of chains")
 */
const char *
standing_excluded(const Party *party, int64_t seq, int64_t time)
{
	if (party == NULL || party->now == NULL)
		return NULL;
	for (size_t i = 0; i < party->now->nexclusions; i++)
	{
		const ExclusionRow *row = &party->now->exclusions[i];

		if (seq >= row->from_seq &&
			(!row->has_to || seq < row->to_seq || period_has(&row->during, time)))
			return row->reason;
	}
	return NULL;
}

const ContractRow *
standing_contract(const Standing *standing, int64_t seq)
{
	for (size_t i = standing->ncontracts; i > 0; i--)
	{
		const ContractRow *row = &standing->contracts[i - 1];

		if (row->accepted != NULL && row->accepted->said->claim.seq < seq)
			return row;
	}
	return NULL;
}

const CertificateRow *
standing_certificate(const Standing *standing, int64_t seq)
{
	const CertificateRow *newest = NULL;

	for (size_t i = 0; i < standing->ncertificates; i++)
	{
		const CertificateRow *row = &standing->certificates[i];

		if (row->in_force && row->from_seq <= seq &&
			(newest == NULL || row->from_seq > newest->from_seq ||
			 (row->from_seq == newest->from_seq &&
			  row->cause->said->claim.seq > newest->cause->said->claim.seq)))
			newest = row;
	}
	return newest;
}

/* Was the certificate that is in force at that entry revoked before these times? */
static bool
standing_revoked(const Standing *standing, int64_t seq, int64_t time, int64_t sealed)
{
	const CertificateRow *newest = standing_certificate(standing, seq);

	return newest != NULL && newest->revocation != NULL &&
		(newest->revocation->since <= time || newest->revocation->since <= sealed);
}

/* Has it a certificate in force at that entry that is valid at that time? */
static bool
standing_valid(const Standing *standing, int64_t seq, int64_t time)
{
	for (size_t i = 0; i < standing->ncertificates; i++)
	{
		const CertificateRow *row = &standing->certificates[i];

		if (row->in_force && row->from_seq <= seq && period_has(&row->valid, time))
			return true;
	}
	return false;
}

/*
 * Rule: an author uses a capability in an entry if the newest contract that he countersigned
 * before it has it, was not ended before it and is valid at the times of the entry and of its
 * block, and if he has a certificate for these times that was not revoked before; the data centre,
 * which has no contract, if it has a certificate for the entry's time.  Without a capability: is
 * his contract in force there?  denied: the words for a contract without it.  (doc/ledger.md,
 * "Whose entry counts")
 */
const char *
standing_reason(const Party *party, int64_t seq, int64_t time, int64_t sealed,
				unsigned capability, const char *denied)
{
	const ContractRow *contract;

	if (party == NULL || party->now == NULL)
		return denied;
	if (party->center)
	{
		if ((capability & ~(unsigned) CAPABILITIES_DATA_CENTER) != 0)
			return denied;
		return standing_certified(party, time) ? NULL :
			"the data centre's certificate was not valid then";
	}
	contract = standing_contract(party->now, seq);
	if (contract == NULL || (capability & ~contract->offer->said->capabilities) != 0 ||
		party->now->nkeys == 0)
		return denied;
	if (contract->ended != NULL && contract->ended_seq <= seq)
		return "the author's contract was ended";
	if (!period_has(&contract->offer->said->valid, time) ||
		!period_has(&contract->offer->said->valid, sealed))
		return "the author's contract was not valid then";
	if (standing_revoked(party->now, seq, time, sealed))
		return "the author's certificate was revoked";
	if (!standing_valid(party->now, seq, time) || !standing_valid(party->now, seq, sealed))
		return "the author's certificate was not valid then";
	return NULL;
}

/*
 * Rule: a peer takes a block as sealed by a member if that has no certificate yet or one for that
 * time, and no revocation list has stopped the chain before the block; otherwise it waits, as what
 * allows it may not have arrived.  (doc/ledger.md, "Whose entry counts")
 */
bool
standing_may_seal(const Party *party, int64_t first, int64_t sealed)
{
	const Standing *now = party != NULL ? party->now : NULL;
	bool		certified;

	if (now == NULL)
		return true;
	certified = now->ncertificates == 0;
	for (size_t i = 0; i < now->ncertificates && !certified; i++)
		certified = period_has(&now->certificates[i].period, sealed);
	for (size_t i = 0; i < now->nexclusions && certified; i++)
		if (now->exclusions[i].cause->said->claim.kind == CLAIM_CRL &&
			!now->exclusions[i].has_to && now->exclusions[i].from_seq <= first)
			certified = false;
	return certified;
}

/*
 * Rule: by the newest state, a member takes part with a capability at a time within its contract
 * and certificate, if that contract has the capability.  (doc/ledger.md, "Whose entry counts")
 */
bool
standing_member_may(const Party *party, unsigned capability, int64_t time)
{
	const MemberRow *member = party != NULL && party->now != NULL ? &party->now->member : NULL;
	unsigned	capabilities;

	if (member == NULL || !member->there || !member->takes_part)
		return false;
	capabilities = member->center ? CAPABILITIES_DATA_CENTER :
		member->contract->said->capabilities;
	return period_has(&member->valid, time) && (capability & ~capabilities) == 0;
}
