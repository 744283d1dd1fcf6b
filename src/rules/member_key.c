/*
 * member_key.c: keys and certificates of members.
 */
#include <string.h>

#include "rules/standing.h"

/*
 * Rule: a certificate, or a CA above it, is revoked from the earliest date on that a list on the
 * ledger says.  anchors: those that accepted it; with others, its CAs might be other ones.
 * (doc/ledger.md, "Certificates")
 */
const RevocationFact *
member_revocation(Members *members, const CertificateFact *certificate, const char *anchors)
{
	const RevocationFact *earliest = NULL;

	for (size_t i = 0; i < members->crls.count; i++)
		if (members->crls.items[i]->effective)
		{
			const RevocationFact *fact = facts_revocation(members->facts,
														  members->crls.items[i]->said->crl,
														  certificate, anchors);

			if (fact->revoked && (earliest == NULL || fact->since < earliest->since))
				earliest = fact;
		}
	return earliest;
}

/*
 * Rule: a certificate counts for the time that it and every CA above it, on the path to the trust
 * anchor by which it was accepted, is made out for, to where it was revoked.  (doc/ledger.md,
 * "Certificates")
 */
void
member_certificate(Members *members, Party *party, MemberClaim *cause, const int64_t *from_seq)
{
	Standing   *now = party->now;
	CertificateRow *row;
	Period		before_revocation = {0};

	if (cause->certified > 0 && cause->certified <= now->ncertificates &&
		now->certificates[cause->certified - 1].cause == cause)
		return;
	now->certificates = pool_grow(members->work[members->current], now->certificates,
								  now->ncertificates, sizeof(CertificateRow));
	row = &now->certificates[now->ncertificates++];
	cause->certified = now->ncertificates;
	memset(row, 0, sizeof(*row));
	row->certificate = cause->said->certificate;
	row->period = cause->said->path->term;
	row->cause = cause;
	if (from_seq != NULL)
	{
		row->in_force = true;
		row->from_seq = *from_seq;
	}
	row->revocation = member_revocation(members, row->certificate, cause->said->path_anchors);
	if (row->revocation != NULL)
		before_revocation = period_between(NULL, &row->revocation->since);
	row->valid = period_intersect(&row->period, &before_revocation);
}

/*
 * Rule: the CA vouches for names: a certificate is a member's if it is made out to the name in one
 * of its contracts (the data centre's, in genesis).  (doc/ledger.md, "Certificates")
 */
bool
member_certificate_is_of(const Party *party, const CertificateFact *certificate,
						 const MemberClaim *before)
{
	if (party->center && party->now->nkeys > 0)
	{
		const CertificateFact *first = party->now->certificates[0].certificate;

		return strcmp(first->subject, certificate->subject) == 0;
	}
	for (size_t i = 0; i < party->offers.count; i++)
	{
		const MemberClaim *offer = party->offers.items[i];

		if (before != NULL && offer->said->claim.seq >= before->said->claim.seq)
			break;
		if (offer->effective &&
			strcmp(offer->said->certificate->subject, certificate->subject) == 0)
			return true;
	}
	return false;
}

/* "old key: ..." */
static const char *
member_reason_of(Members *members, const char *what, const char *reason)
{
	return facts_keep(members->facts, pool_format(members->work[members->current], "%s: %s", what,
												  reason));
}

/*
 * Rule: a change of key follows the key in force, which has signed it as well as the new key and
 * that of the certificate, which the trust anchors accept.  key: the one in force; NULL: it was
 * lost.  It is judged by what is on the member's own chain alone, as the blocks behind it have to
 * be judged by it at once, whatever else has arrived.  (doc/ledger.md, "Keys")
 */
const char *
member_rekey_reason(Members *members, const MemberClaim *claim, const KeyFact *key)
{
	Statement  *said = claim->said;
	const KeyFact *fresh = said->public_key;
	const char *reason;

	if (said->alliance == NULL || strcmp(said->alliance, members->alliance) != 0)
		return "change of key is of another alliance";
	if (key != NULL && (said->previous == NULL || strcmp(said->previous, key->fingerprint) != 0))
		return "change of key does not follow the key in force";
	if (key != NULL && (reason = statement_signed(members->facts, said, key)) != NULL)
		return member_reason_of(members, "old key", reason);
	if (fresh != NULL && fresh->reason != NULL)
		return fresh->reason;
	if (fresh == NULL)
		fresh = facts_key(members->facts, "");
	if ((reason = statement_signed(members->facts, said, fresh)) != NULL)
		return member_reason_of(members, "new key", reason);
	if ((reason = key == NULL ?
		 statement_path(members->facts, said,
						member_anchors_at(members, claim->by, said->claim.seq)) :
		 member_anchors_rekey(members, claim)) != NULL)
		return reason;
	/* whose certificate it is has signed too: nobody takes that of another */
	if ((reason = statement_signed(members->facts, said, said->certificate->key)) != NULL)
		return member_reason_of(members, "key of the certificate", reason);
	return NULL;
}

/* The same for the same keys in the same order, and for no others. */
static const void *
member_keys_until(Members *members, const void *before, const KeyFact *key)
{
	const void *named[] = {before, key};
	void	  **place = map_at(members->sequences, named, sizeof(named));

	if (*place == NULL)
		*place = pool_alloc(members->pool, 1);
	return *place;
}

/* It is asked once: who has had ten thousand keys may have said ten thousand things. */
const char *
member_key_reason(Members *members, MemberClaim *claim, const char *otherwise)
{
	const Standing *now = claim->by->now;
	size_t		count = 0;
	size_t		behind = now->nkeys;

	while (count < behind)
	{
		size_t		middle = (count + behind) / 2;

		if (now->keys[middle].from_height <= claim->said->claim.height)
			count = middle + 1;
		else
			behind = middle;
	}
	if (count == 0)
		return otherwise;
	if (claim->asked != now->keys[count - 1].until)
	{
		claim->answered = otherwise;
		for (size_t i = count; i > 0 && claim->answered != NULL; i--)
			claim->answered = statement_signed(members->facts, claim->said, now->keys[i - 1].key);
		claim->asked = now->keys[count - 1].until;
	}
	return claim->answered;
}

static void
member_key_add(Members *members, Party *party, int64_t from_height, const KeyFact *key,
			   MemberClaim *cause)
{
	Standing   *now = party->now;
	KeyRow	   *row;

	if (now->nkeys > 0 && now->keys[now->nkeys - 1].from_height == from_height)
		row = &now->keys[now->nkeys - 1];
	else
	{
		now->keys = pool_grow(members->work[members->current], now->keys, now->nkeys,
							  sizeof(KeyRow));
		row = &now->keys[now->nkeys++];
		memset(row, 0, sizeof(*row));
	}
	row->from_height = from_height;
	row->key = key;
	row->cause = cause;
	row->until = member_keys_until(members, row == now->keys ? NULL : (row - 1)->until, key);
}

/*
 * Rule: the blocks of a chain are signed with the key that its ledger was configured with; behind
 * a change of key by the member with the new one; and behind the block that the data centre named
 * after a loss with that.  Of two changes at one place the data centre's counts.  (doc/ledger.md,
 * "Keys")
 */
void
member_keys(Members *members, Party *party, const KeyFact *first)
{
	const KeyFact *key = first;
	size_t		own = 0;
	size_t		lost = 0;

	party->now->nkeys = 0;
	party->now->keys = NULL;
	member_key_add(members, party, 0, first, NULL);
	for (;;)
	{
		MemberClaim *rekey = own < party->rekeys.count ? party->rekeys.items[own] : NULL;
		MemberClaim *other;

		while (lost < party->lost.count && !party->lost.items[lost]->effective)
			lost++;
		other = lost < party->lost.count ? party->lost.items[lost] : NULL;
		if (rekey == NULL && other == NULL)
			break;
		if (rekey == NULL || (other != NULL &&
							  other->said->last.height < rekey->said->claim.height))
		{
			lost++;
			key = other->said->public_key;
			member_key_add(members, party, other->said->last.height + 1, key, other);
			continue;
		}
		own++;
		if (party->center)
			member_anchors_settle(members, rekey->said->claim.seq);
		member_judge(rekey, member_rekey_reason(members, rekey, key));
		if (!rekey->effective)
			continue;

		/*
		 * what is excluded, or has somebody else's name on it, or a certificate that only other
		 * anchors accept than those in force there, changes the key that blocks are signed with,
		 * and nobody's standing
		 */
		if (standing_excluded(party, rekey->said->claim.seq, rekey->said->claim.time) == NULL &&
			statement_path(members->facts, rekey->said,
						   member_anchors_at(members, party, rekey->said->claim.seq)) == NULL &&
			member_certificate_is_of(party, rekey->said->certificate, NULL))
			member_certificate(members, party, rekey, &rekey->said->claim.seq);
		key = rekey->said->public_key;
		member_key_add(members, party, rekey->said->claim.height + 1, key, rekey);
	}
}
