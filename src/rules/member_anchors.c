/*
 * member_anchors.c: which trust anchors are in force where: those of genesis, until the data centre
 * renews them.
 *
 * A renewal counts from a point of each chain on, as what the data centre decides does everywhere.
 * What was accepted before stays what it was: the anchors of its own place accepted it.
 */
#include <string.h>

#include "rules/standing.h"

#define ANCHORS_GRACE_DAYS INT64_C(90)
#define ANCHORS_DAY (INT64_C(86400) * PERIOD_SECOND)

/* From which entry of that chain on a renewal counts: all that the data centre did not know. */
static int64_t
anchors_point(const Statement *said, const char *name)
{
	for (size_t i = 0; i < said->npoints; i++)
		if (strcmp(said->points[i].member, name) == 0)
			return said->points[i].size;
	return 0;
}

/*
 * Rule: an entry is judged by the newest trust anchors that the data centre set before it knew of
 * the entry's block; one of its own by the newest before it.  (doc/ledger.md, "Trust anchors")
 */
const char *
member_anchors_at(const Members *members, const Party *party, int64_t seq)
{
	for (size_t i = members->renewals.count; i > 0; i--)
	{
		const MemberClaim *claim = members->renewals.items[i - 1];

		if (claim->effective && (party->center ? claim->said->claim.seq < seq :
								 anchors_point(claim->said, party->name) <= seq))
			return claim->said->anchors;
	}
	return members->anchors;
}

/* How long after the end of the data centre's certificate a renewal may come there. */
static int64_t
anchors_grace(const Members *members, int64_t seq)
{
	for (size_t i = members->renewals.count; i > 0; i--)
	{
		const MemberClaim *claim = members->renewals.items[i - 1];

		if (claim->effective && claim->said->claim.seq < seq && claim->said->grace >= 0)
			return claim->said->grace;
	}
	return ANCHORS_GRACE_DAYS * ANCHORS_DAY;
}

/* The latest time that its chain has told up to that entry, so that nobody goes back in time. */
static int64_t
anchors_latest(const Members *members, const MemberClaim *claim)
{
	const Claim *said = &claim->said->claim;
	int64_t		latest = said->sealed > said->time ? said->sealed : said->time;

	for (size_t i = 0; i < members->claims.count; i++)
	{
		const MemberClaim *other = members->claims.items[i];

		if (other->by == claim->by && other->said->claim.seq < said->seq &&
			other->said->claim.sealed > latest)
			latest = other->said->claim.sealed;
	}
	return latest;
}

/*
 * Rule: the data centre renews trust anchors with a certificate that is valid, or ended no longer
 * ago than the renewal before says (90 days, if none does), and was not revoked: by the entry's
 * time, its block's and those of the blocks before.  (doc/ledger.md, "Trust anchors")
 */
const char *
member_anchors_late(const Members *members, const MemberClaim *claim)
{
	const Claim *said = &claim->said->claim;
	int64_t		latest = anchors_latest(members, claim);
	const CertificateRow *row;

	if (standing_certified(claim->by, said->time) && standing_certified(claim->by, latest))
		return NULL;
	row = claim->by->now != NULL ? standing_certificate(claim->by->now, said->seq) : NULL;
	if (row == NULL || row->revocation != NULL || row->period.empty ||
		said->time < row->period.from)
		return "the data centre's certificate was not valid then";
	return latest <= row->period.to + anchors_grace(members, said->seq) ? NULL :
		"the data centre's certificate ended too long ago to renew trust anchors";
}

/*
 * Rule: trust anchors are certificates of CAs, one of which is valid when they are set.
 * (doc/ledger.md, "Trust anchors")
 */
const char *
member_anchors_terms(Members *members, const Statement *said)
{
	const char *reason;

	if (said->alliance == NULL || strcmp(said->alliance, members->alliance) != 0)
		return "trust anchors are of another alliance";
	if (said->anchors == NULL)
		return "there are no trust anchors in it";
	if (!said->graced)
		return "the time to renew trust anchors after the end is no number of days up to 366";
	if (!said->last_is_object)
		return "it names no blocks";
	if (!said->points_valid)
		return "it names no block of a member's chain";
	reason = facts_anchors(members->facts, said->anchors, said->claim.time);
	return reason == NULL ? NULL :
		facts_keep(members->facts, pool_format(members->work[members->current],
											   "trust anchors are not accepted: %s", reason));
}

/* Of all renewals, whatever they are worth: a list that counts is signed by one that is. */
static void
anchors_issuers(Members *members)
{
	PoolText	out;

	pool_text_begin(&out, members->work[members->current]);
	pool_text_puts(&out, members->anchors != NULL ? members->anchors : "");
	for (size_t i = 0; i < members->renewals.count; i++)
	{
		const Statement *said = members->renewals.items[i]->said;

		if (said->anchors != NULL && strstr(out.data, said->anchors) == NULL &&
			facts_anchors(members->facts, said->anchors, said->claim.time) == NULL)
		{
			pool_text_char(&out, '\n');
			pool_text_puts(&out, said->anchors);
		}
	}
	members->issuers = facts_keep(members->facts, out.data);
}

void
member_anchors_begin(Members *members)
{
	members->nrenewed = 0;
	anchors_issuers(members);
}

void
member_anchors_settle(Members *members, int64_t seq)
{
	for (; members->nrenewed < members->renewals.count; members->nrenewed++)
	{
		MemberClaim *claim = members->renewals.items[members->nrenewed];
		const char *reason;

		if (claim->said->claim.seq >= seq)
			break;
		reason = member_author_reason(members, claim);
		if (reason == NULL)
			reason = member_anchors_terms(members, claim->said);
		claim->in_order = reason == NULL;
		member_judge(claim, reason != NULL ? reason : member_anchors_late(members, claim));
	}
}

/*
 * Rule: a member's own change of key counts for its blocks if any of the alliance's trust anchors
 * accept the certificate: those of genesis, or of any renewal that the data centre's ledger key
 * signed.  None of these is ever taken back, so no block that was accepted loses its key.  What the
 * certificate is worth is another question.  (doc/ledger.md, "Keys")
 */
const char *
member_anchors_rekey(Members *members, const MemberClaim *claim)
{
	Statement  *said = claim->said;
	const char *reason = statement_path(members->facts, said,
										member_anchors_at(members, claim->by, said->claim.seq));

	if (reason == NULL || statement_path(members->facts, said, members->anchors) == NULL)
		return NULL;
	for (size_t i = 0; i < members->renewals.count; i++)
	{
		const MemberClaim *renewal = members->renewals.items[i];

		if (claim->by->center && renewal->said->claim.seq >= said->claim.seq)
			break;
		if (renewal->in_order &&
			statement_path(members->facts, said, renewal->said->anchors) == NULL)
			return NULL;
	}
	return reason;
}
