/*
 * member_present.c: what of all this holds for members now, for sessions and views.
 */
#include <string.h>

#include "rules/member.h"

/* The certificate that it has now: the newest in force, or else the newest that was offered. */
static const CertificateRow *
present_certificate(const Party *party)
{
	const Standing *now = party->now;
	const CertificateRow *newest = NULL;

	for (size_t i = 0; i < now->ncertificates; i++)
	{
		const CertificateRow *row = &now->certificates[i];
		bool		own = row->cause->by == party;
		bool		newest_own = newest != NULL && newest->cause->by == party;

		if (newest == NULL || row->in_force != newest->in_force)
		{
			if (newest == NULL || row->in_force)
				newest = row;
		}
		else if (row->in_force && row->from_seq != newest->from_seq)
		{
			if (row->from_seq > newest->from_seq)
				newest = row;
		}
		else if (own != newest_own)
		{
			if (!own)
				newest = row;
		}
		else if (row->cause->said->claim.seq > newest->cause->said->claim.seq)
			newest = row;
	}
	return newest;
}

/* Why it does not take part any more, in the words of who said so. */
static const char *
present_departure(const Standing *now)
{
	const MemberRow *member = &now->member;

	if (member->expelled != NULL && member->expelled->said->why != NULL)
		return member->expelled->said->why;
	if (member->expelled == NULL && member->suspended != NULL &&
		member->suspended->said->why != NULL)
		return member->suspended->said->why;
	if (member->ended != NULL && member->ended->said->why != NULL)
		return member->ended->said->why;
	for (size_t i = 0; i < now->ncertificates; i++)
		if (memcmp(now->certificates[i].certificate->fingerprint,
				   member->certificate->fingerprint, HASH_LEN) == 0)
			return now->certificates[i].revocation != NULL ?
				now->certificates[i].revocation->reason : NULL;
	return NULL;
}

/*
 * Rule: a member takes part if its contract is countersigned and not ended, its ledger configured,
 * and no exclusion of its chain is open.  (doc/ledger.md, "Whose entry counts")
 */
static void
present_member(Party *party)
{
	Standing   *now = party->now;
	MemberRow  *member = &now->member;
	const CertificateRow *certificate = present_certificate(party);
	bool		open = false;

	if (certificate != NULL)
	{
		member->certificate = certificate->certificate;
		member->revoked = certificate->revocation;
		member->valid = period_intersect(&member->valid, &certificate->valid);
	}
	if (now->nkeys > 0)
		member->ledger_key = party->forked != NULL ? member_fork_key(party) :
			now->keys[now->nkeys - 1].key;
	for (size_t i = 0; i < now->nexclusions; i++)
	{
		MemberClaim *cause = now->exclusions[i].cause;

		if (now->exclusions[i].has_to)
			continue;
		open = true;
		if (cause->said->claim.kind == CLAIM_SUSPEND ||
			(cause->said->claim.kind == CLAIM_FORK && member->suspended == NULL))
			member->suspended = cause;
	}
	member->expelled = party->expelled;
	member->departure = present_departure(now);
	member->takes_part = member->accepted && member->ledger_key != NULL &&
		member->ended == NULL && !open;
}

void
member_settle_present(Members *members)
{
	for (size_t i = 0; i < members->nparties; i++)
		if (members->all[i]->now->member.there)
			present_member(members->all[i]);
}
