/*
 * member.c: the claims about members, by whom and about whom; judging all of them.
 */
#include <string.h>

#include "rules/fork.h"
#include "rules/member.h"

Members *
members_new(const char *alliance, const char *data_center, Facts *facts)
{
	Pool	   *pool = pool_new();
	Members    *members = pool_alloc(pool, sizeof(Members));

	members->pool = pool;
	members->work[0] = pool_new();
	members->work[1] = pool_new();
	members->facts = facts;
	members->alliance = pool_text(pool, alliance);
	members->data_center = pool_text(pool, data_center);
	members->parties = map_new(pool);
	members->offers = map_new(pool);
	members->sequences = map_new(pool);
	return members;
}

void
members_free(Members *members)
{
	if (members == NULL)
		return;
	pool_free(members->work[0]);
	pool_free(members->work[1]);
	pool_free(members->pool);
}

Party *
members_party(const Members *members, const char *name)
{
	return name != NULL ? map_get(members->parties, name, strlen(name)) : NULL;
}

Party *
member_party_at(Members *members, const char *name)
{
	void	  **place = map_at(members->parties, name, strlen(name));
	Party	   *party = *place;

	if (party != NULL)
		return party;
	party = *place = pool_alloc(members->pool, sizeof(Party));
	party->name = pool_text(members->pool, name);
	party->center = strcmp(name, members->data_center) == 0;
	party->changed_from = INT64_MAX;
	members->all = pool_grow(members->pool, members->all, members->nparties, sizeof(Party *));
	members->all[members->nparties++] = party;
	if (party->center)
		members->center = party;
	return party;
}

void
member_list_add(Members *members, MemberClaims *list, MemberClaim *claim)
{
	list->items = pool_grow(members->pool, list->items, list->count, sizeof(MemberClaim *));
	list->items[list->count++] = claim;
}

void
member_judge(MemberClaim *claim, const char *reason)
{
	claim->effective = reason == NULL;
	claim->reason = reason;
}

/* What a claim is worth whatever else there is; NULL: that depends. */
static const char *
member_constant_reason(const MemberClaim *claim)
{
	static const char *const denied[] = {
		[CLAIM_GENESIS] = "only the first entry of the data centre's chain founds an alliance",
		[CLAIM_CONTRACT] = "only the data centre admits members",
		[CLAIM_SUSPEND] = "only the data centre suspends members",
		[CLAIM_REINSTATE] = "only the data centre reinstates members",
		[CLAIM_EXPEL] = "only the data centre expels members",
		[CLAIM_CRL] = "only the data centre adds revocation lists",
		[CLAIM_ANCHORS] = "only the data centre renews trust anchors",
		[CLAIM_REKEY] = "only the data centre and the member itself change its key"
	};
	const Claim *said = &claim->said->claim;

	if (said->kind == CLAIM_REKEY && claim->by != claim->about && !claim->by->center)
		return denied[CLAIM_REKEY];
	if (claim->said->empty)
		return "malformed entry";
	if (said->kind == CLAIM_FORK)
		return claim->said->fork->fault;
	if (claim->by->center ? said->kind != CLAIM_GENESIS || said->seq == 0 :
		said->kind == CLAIM_REKEY || said->kind >= sizeof(denied) / sizeof(denied[0]))
		return NULL;
	return denied[said->kind];
}

static void
member_file_center(Members *members, MemberClaim *claim)
{
	switch (claim->said->claim.kind)
	{
		case CLAIM_GENESIS:
			members->genesis = claim;
			members->anchors = claim->said->anchors;
			break;
		case CLAIM_CONTRACT:
			member_list_add(members, &claim->about->offers, claim);
			member_list_add(members, &members->center_claims, claim);
			break;
		case CLAIM_SUSPEND:
		case CLAIM_REINSTATE:
		case CLAIM_EXPEL:
			member_list_add(members, &claim->about->discipline, claim);
			member_list_add(members, &members->center_claims, claim);
			break;
		case CLAIM_REKEY:
			member_list_add(members, &claim->about->lost, claim);
			member_list_add(members, &members->center_lost, claim);
			break;
		case CLAIM_CRL:
			member_list_add(members, &members->crls, claim);
			break;
		case CLAIM_ANCHORS:
			member_list_add(members, &members->renewals, claim);
			break;
		default:
			break;
	}
}

/* Into the lists where it is looked for. */
static void
member_file(Members *members, MemberClaim *claim)
{
	const Claim *said = &claim->said->claim;

	if (said->kind == CLAIM_CONTRACT && claim->by->center)
	{
		void	  **place = map_at(members->offers, said->id, strlen(said->id));

		if (*place == NULL)
			*place = pool_alloc(members->pool, sizeof(MemberClaims));
		member_list_add(members, *place, claim);
	}
	switch (said->kind)
	{
		case CLAIM_ACCEPTANCE:
			member_list_add(members, &claim->by->acceptances, claim);
			member_list_add(members, &members->acceptances, claim);
			break;
		case CLAIM_CONFIGURE:
			member_list_add(members, &claim->by->configures, claim);
			member_list_add(members, &members->configures, claim);
			break;
		case CLAIM_ENDING:
			member_list_add(members, &claim->about->endings, claim);
			member_list_add(members, &members->endings, claim);
			break;
		case CLAIM_FORK:
			member_list_add(members, &claim->about->forks, claim);
			member_list_add(members, &members->forks, claim);
			break;
		case CLAIM_REKEY:
			if (claim->by == claim->about)
			{
				member_list_add(members, &claim->by->rekeys, claim);
				member_list_add(members, &members->rekeys, claim);
			}
			else if (claim->by->center)
				member_file_center(members, claim);
			break;
		default:
			if (claim->by->center)
				member_file_center(members, claim);
			break;
	}
}

MemberClaim *
members_add(Members *members, Statement *said)
{
	MemberClaim *claim = pool_alloc(members->pool, sizeof(MemberClaim));
	const char *reason;

	claim->said = said;
	claim->by = member_party_at(members, said->claim.origin);
	claim->about = member_party_at(members, said->claim.about);
	claim->told = "";			/* nothing was told yet: no reason is empty */
	member_judge(claim, "not judged yet");
	member_list_add(members, &members->claims, claim);
	reason = member_constant_reason(claim);
	/* an own change of key of an entry that says nothing has nobody it is about */
	claim->constant = reason != NULL && !(said->claim.kind == CLAIM_ACCEPTANCE ||
										  said->claim.kind == CLAIM_CONFIGURE ||
										  said->claim.kind == CLAIM_ENDING);
	if (reason != NULL)
		member_judge(claim, reason);
	if (!claim->constant)
		member_file(members, claim);
	return claim;
}

static void
member_list_remove(MemberClaims *list, const Party *by, int64_t first)
{
	size_t		kept = 0;

	for (size_t i = 0; i < list->count; i++)
		if (list->items[i]->by != by || list->items[i]->said->claim.seq < first)
			list->items[kept++] = list->items[i];
	list->count = kept;
}

void
members_remove(Members *members, const char *origin, int64_t first)
{
	Party	   *by = members_party(members, origin);
	MemberClaims *lists[] = {
		&members->claims, &members->center_claims, &members->center_lost, &members->crls,
		&members->endings, &members->configures, &members->acceptances, &members->rekeys,
		&members->renewals, &members->forks
	};

	if (by == NULL)
		return;
	if (by->center)
		for (size_t i = 0; i < members->claims.count; i++)
		{
			const Claim *said = &members->claims.items[i]->said->claim;

			if (members->claims.items[i]->by == by && said->seq >= first &&
				said->kind == CLAIM_CONTRACT)
			{
				MemberClaims *same = map_get(members->offers, said->id, strlen(said->id));

				if (same != NULL)
					member_list_remove(same, by, first);
			}
		}
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		member_list_remove(lists[i], by, first);
	for (size_t i = 0; i < members->nparties; i++)
	{
		Party	   *party = members->all[i];
		MemberClaims *own[] = {
			&party->offers, &party->discipline, &party->lost, &party->rekeys, &party->acceptances,
			&party->configures, &party->endings, &party->forks
		};

		for (size_t j = 0; j < sizeof(own) / sizeof(own[0]); j++)
			member_list_remove(own[j], by, first);
	}
	if (members->genesis != NULL && by->center && first <= 0)
	{
		members->genesis = NULL;
		members->anchors = NULL;
	}
}

MemberClaim *
member_offer(const Members *members, const char *id)
{
	const MemberClaims *same = id != NULL ? map_get(members->offers, id, strlen(id)) : NULL;

	for (size_t i = 0; same != NULL && i < same->count; i++)
		if (same->items[i]->effective)
			return same->items[i];
	return NULL;
}

Standing *
member_standing_new(Members *members)
{
	return pool_alloc(members->work[members->current], sizeof(Standing));
}

void
members_settle(Members *members)
{
	MemberClaims *anew[] = {&members->acceptances, &members->configures, &members->crls};

	members->current = 1 - members->current;
	pool_reset(members->work[members->current]);
	(void) member_party_at(members, members->data_center);
	for (size_t i = 0; i < members->nparties; i++)
	{
		members->all[i]->before = members->all[i]->now;
		members->all[i]->forked = NULL;
	}

	/* once more, if some were proven to have forked their chains: see member_fork.c */
	for (int pass = 1; pass <= 2; pass++)
	{
		for (size_t i = 0; i < members->nparties; i++)
			members->all[i]->now = member_standing_new(members);
		/* nothing is judged by what was */
		for (size_t i = 0; i < sizeof(anew) / sizeof(anew[0]); i++)
			for (size_t j = 0; j < anew[i]->count; j++)
				anew[i]->items[j]->effective = false;
		member_settle_center(members);
		member_settle_exclusions(members);
		member_settle_contracts(members);
		member_settle_ledgers(members);
		if (pass == 1 && (members->forks.count == 0 || !member_settle_forks(members)))
			break;
	}
	if (members->forks.count > 0)
		member_fork_rows(members);
	member_settle_present(members);
}
