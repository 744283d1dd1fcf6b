/*
 * member_contract.c: parts of chains that have no effect; contracts, countersigned and ended.
 */
#include <stdlib.h>
#include <string.h>

#include "rules/fork.h"
#include "rules/standing.h"

/* ----- exclusions ----- */

static ExclusionRow *
contract_exclusion(Members *members, Party *party, MemberClaim *cause, int64_t from_seq)
{
	Standing   *now = party->now;
	ExclusionRow *row;

	now->exclusions = pool_grow(members->work[members->current], now->exclusions,
								now->nexclusions, sizeof(ExclusionRow));
	row = &now->exclusions[now->nexclusions++];
	memset(row, 0, sizeof(*row));
	row->cause = cause;
	row->from_seq = from_seq;
	return row;
}

/* The first in a list that has effect, is of that kind and behind that entry. */
static MemberClaim *
contract_next(const MemberClaims *list, ClaimKind kind, int64_t seq)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->items[i]->effective && list->items[i]->said->claim.kind == kind &&
			list->items[i]->said->claim.seq > seq)
			return list->items[i];
	return NULL;
}

/*
 * Rule: the chain of an expelled member counts up to the block that its expulsion names; that of a
 * suspended one not from the block that its suspension names up to the one that its end names, nor
 * what is dated between the two.  (doc/ledger.md, "Excluded parts of chains")
 */
static void
contract_disciplined(Members *members, Party *party)
{
	for (size_t i = 0; i < party->discipline.count; i++)
	{
		MemberClaim *claim = party->discipline.items[i];
		const Claim *said = &claim->said->claim;
		MemberClaim *end = NULL;
		ExclusionRow *row;
		int64_t		until;

		if (!claim->effective || said->kind == CLAIM_REINSTATE)
			continue;
		row = contract_exclusion(members, party, claim, claim->said->last.size);
		if (said->kind == CLAIM_EXPEL)
			row->reason = facts_keep(members->facts,
									 pool_format(members->work[members->current],
												 "the member was expelled: its chain counts up to "
												 "block %s", claim->said->last.height_text));
		else
		{
			row->reason = "the member was suspended";
			end = contract_next(&party->discipline, CLAIM_REINSTATE, said->seq);
		}
		if (end != NULL)
		{
			row->has_to = true;
			row->to_seq = end->said->last.size;
			until = end->said->claim.time > said->time ? end->said->claim.time : said->time;
		}
		row->during = period_between(&said->time, end != NULL ? &until : NULL);
	}
}

/*
 * Rule: the chain of a member whose certificate a list revokes does not count from the block that
 * the list's entry names for it, up to the one that the data centre's next change of its key names;
 * the data centre cannot stop its own chain.  (doc/ledger.md, "Excluded parts of chains")
 */
static void
contract_stopped(Members *members, MemberClaim *crl)
{
	for (size_t i = 0; i < crl->said->npoints; i++)
	{
		const StatementPoint *point = &crl->said->points[i];
		Party	   *party = member_party_at(members, point->member);
		MemberClaim *end;
		ExclusionRow *row;

		if (party->center)
			continue;
		if (party->now == NULL)
			party->now = member_standing_new(members);
		end = contract_next(&party->lost, CLAIM_REKEY, crl->said->claim.seq);
		row = contract_exclusion(members, party, crl, point->size);
		row->during.empty = true;
		row->reason = "the author's certificate was revoked";
		if (end != NULL)
		{
			row->has_to = true;
			row->to_seq = end->said->last.size;
		}
	}
}

/*
 * Rule: the chain of a member who was proven to have signed two blocks of one height does not count
 * from there on, until the data centre says which of them counts, or gives the chain another key
 * from there on.  (doc/ledger.md, "Forks")
 */
static void
contract_forked(Members *members, Party *party)
{
	ExclusionRow *row;

	if (party->forked == NULL)
		return;
	row = contract_exclusion(members, party, party->forked, party->forked->said->fork->from_seq);
	row->during.empty = true;
	row->reason = "the author has signed two blocks of one height";
}

/* Those of the data centre by its chain, and behind them, of which there is one, a fork. */
static int
contract_exclusion_order(const void *a, const void *b)
{
	bool		is_fork = ((const ExclusionRow *) a)->cause->said->claim.kind == CLAIM_FORK;
	bool		before_fork = ((const ExclusionRow *) b)->cause->said->claim.kind == CLAIM_FORK;
	int64_t		x = ((const ExclusionRow *) a)->cause->said->claim.seq;
	int64_t		y = ((const ExclusionRow *) b)->cause->said->claim.seq;

	if (is_fork != before_fork)
		return is_fork ? 1 : -1;
	return x < y ? -1 : x > y;
}

void
member_settle_exclusions(Members *members)
{
	for (size_t i = 0; i < members->nparties; i++)
		contract_disciplined(members, members->all[i]);
	for (size_t i = 0; i < members->crls.count; i++)
		if (members->crls.items[i]->effective)
			contract_stopped(members, members->crls.items[i]);
	for (size_t i = 0; i < members->nparties; i++)
	{
		Standing   *now = members->all[i]->now;

		contract_forked(members, members->all[i]);
		if (now->nexclusions > 1)
			qsort(now->exclusions, now->nexclusions, sizeof(ExclusionRow),
				  contract_exclusion_order);
	}
}

/* ----- contracts ----- */

static bool
contract_is_with(const Members *members, const char *id, const Party *party)
{
	const MemberClaims *same = id != NULL ? map_get(members->offers, id, strlen(id)) : NULL;

	for (size_t i = 0; same != NULL && i < same->count; i++)
		if (same->items[i]->effective && same->items[i]->about == party)
			return true;
	return false;
}

/*
 * Rule: a contract is ended by its member, where the entry stands on its chain, or by the data
 * centre, behind the block that its entry names.  (doc/ledger.md, "Contracts")
 */
static const char *
contract_ending_reason(const Members *members, const MemberClaim *claim)
{
	const Statement *said = claim->said;
	const Party *about = members_party(members, said->member != NULL ? said->member : "");
	const char *reason;
	bool		own = said->member != NULL && strcmp(claim->by->name, said->member) == 0;

	if (said->empty)
		return "malformed entry";
	reason = standing_excluded(claim->by, said->claim.seq, said->claim.time);
	if (reason != NULL)
		return reason;
	if (!own)
	{
		static const Party nobody = {.name = ""};

		reason = member_governor_reason(claim, about != NULL ? about : &nobody,
								   "only the data centre and the member itself end its contract");
		if (reason != NULL)
			return reason;
		if (!said->last.valid)
			return "it names no block of the member's chain";
	}
	return about != NULL && contract_is_with(members, said->contract, about) ? NULL :
		"the contract is not known";
}

/* The ending that is first on the member's chain. */
static void
contract_end(ContractRow *row, Party *party)
{
	for (size_t i = 0; i < party->endings.count; i++)
	{
		MemberClaim *claim = party->endings.items[i];
		const Claim *said = &claim->said->claim;
		int64_t		point = claim->by == party ? said->seq : claim->said->last.size;
		int			order;

		if (!claim->effective || strcmp(claim->said->contract, row->offer->said->claim.id) != 0)
			continue;
		if (row->ended != NULL)
		{
			order = point < row->ended_seq ? -1 : point > row->ended_seq;
			if (order == 0)
				order = strcmp(claim->by->name, row->ended->by->name);
			if (order == 0)
				order = said->seq < row->ended->said->claim.seq ? -1 : 1;
			if (order > 0)
				continue;
		}
		row->ended = claim;
		row->ended_seq = point;
	}
}

/*
 * Rule: an id names one contract, the data centre's first with it; it is in force from the member's
 * first countersignature on, to its first ending.  (doc/ledger.md, "Contracts")
 */
static void
contract_rows(Members *members, Party *party)
{
	Standing   *now = party->now;

	now->ncontracts = 0;
	now->contracts = NULL;
	for (size_t i = 0; i < party->offers.count; i++)
	{
		MemberClaim *offer = party->offers.items[i];
		ContractRow *row;

		if (!offer->effective || member_offer(members, offer->said->claim.id) != offer)
			continue;
		now->contracts = pool_grow(members->work[members->current], now->contracts,
								   now->ncontracts, sizeof(ContractRow));
		row = &now->contracts[now->ncontracts++];
		memset(row, 0, sizeof(*row));
		row->offer = offer;
		for (size_t j = 0; j < party->acceptances.count && row->accepted == NULL; j++)
		{
			MemberClaim *claim = party->acceptances.items[j];

			if (claim->effective && strcmp(claim->said->contract, offer->said->claim.id) == 0)
				row->accepted = claim;
		}
		contract_end(row, party);
	}
}

void
member_contract_rows(Members *members)
{
	for (size_t i = 0; i < members->nparties; i++)
		contract_rows(members, members->all[i]);
}

static int
contract_seq_order(const void *a, const void *b)
{
	int64_t		x = (*(MemberClaim *const *) a)->said->claim.seq;
	int64_t		y = (*(MemberClaim *const *) b)->said->claim.seq;

	return x < y ? -1 : x > y;
}

/* The data centre's contracts that count, with the certificates in them, and those after a loss. */
void
member_settle_contracts(Members *members)
{
	MemberClaims offers = {NULL, 0};

	for (size_t i = 0; i < members->endings.count; i++)
		member_judge(members->endings.items[i],
					 contract_ending_reason(members, members->endings.items[i]));
	member_contract_rows(members);
	for (size_t i = 0; i < members->nparties; i++)
		for (size_t j = 0; j < members->all[i]->now->ncontracts; j++)
		{
			offers.items = pool_grow(members->work[members->current], offers.items, offers.count,
									 sizeof(MemberClaim *));
			offers.items[offers.count++] = members->all[i]->now->contracts[j].offer;
		}
	if (offers.count > 1)
		qsort(offers.items, offers.count, sizeof(MemberClaim *), contract_seq_order);
	for (size_t i = 0; i < offers.count; i++)
		member_certificate(members, offers.items[i]->about, offers.items[i], NULL);
	for (size_t i = 0; i < members->center_lost.count; i++)
	{
		MemberClaim *claim = members->center_lost.items[i];

		if (claim->effective)
			member_certificate(members, claim->about, claim, &claim->said->last.size);
	}
}
