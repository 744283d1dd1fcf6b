/*
 * member_fork.c: members who were proven to have signed two blocks of one height.
 *
 * Which keys count depends on who configured ledgers, and that on who is excluded: so proofs are
 * judged over the keys that there would be without any proof, and members once more with what
 * follows.
 */
#include <string.h>

#include "rules/fork.h"
#include "rules/standing.h"

static const KeyFact *
fork_key(const Standing *standing, int64_t height)
{
	const KeyFact *key = NULL;

	for (size_t i = 0; i < standing->nkeys && standing->keys[i].from_height <= height; i++)
		key = standing->keys[i].key;
	return key;
}

/*
 * Rule: a proof has two blocks of one height of the chain of the member that it names, both signed
 * with the key in force there, and the block before, signed likewise.  (doc/ledger.md, "Forks")
 */
const char *
member_fork_reason(Members *members, MemberClaim *claim)
{
	Statement  *said = claim->said;
	ForkProof  *proof = said->fork;
	const Standing *about = claim->about->now;
	size_t		alliance = strlen(members->alliance);
	const char *name = proof->notes[0].block.name;
	const KeyFact *key;

	if (said->member == NULL || strncmp(name, members->alliance, alliance) != 0 ||
		name[alliance] != '/' || strcmp(name + alliance + 1, said->member) != 0)
		return "it is about another chain than that of the member it names";
	key = fork_key(about, proof->height);
	if (key == NULL)
		return "the member's ledger is not configured";
	if (!fork_note_signed(members->facts, &proof->notes[0], key) ||
		!fork_note_signed(members->facts, &proof->notes[1], key) ||
		(proof->height > 0 && !fork_note_signed(members->facts, &proof->before,
												fork_key(about, proof->height - 1))))
		return "a block in it is not signed with the key in force there";
	return NULL;
}

/* What the data centre has said of that height, where it stands. */
static void **
fork_decision(Members *members, const MemberClaim *claim)
{
	const void *named[] = {
		claim->about, (const void *) (uintptr_t) claim->said->fork->height
	};

	return map_at(members->decisions, named, sizeof(named));
}

/*
 * Rule: the data centre says which of the two counts, once, while its certificate is valid.
 * (doc/ledger.md, "Forks")
 */
static const char *
fork_decision_reason(Members *members, MemberClaim *claim)
{
	void	  **first = fork_decision(members, claim);
	const char *reason = member_governor_reason(claim, NULL, "only the data centre says which "
												"block counts");

	if (reason != NULL)
		return reason;
	if (!claim->said->fork->chosen)
		return "it is none of the two blocks that is to count";
	if (*first != NULL)
		return "which block counts was said before";
	*first = claim;
	return NULL;
}

/* Before another that excludes as much. */
static bool
fork_is_before(const MemberClaim *claim, const MemberClaim *other)
{
	const Claim *a = &claim->said->claim;
	const Claim *b = &other->said->claim;
	int			order;

	if (claim->said->fork->from_seq != other->said->fork->from_seq)
		return claim->said->fork->from_seq < other->said->fork->from_seq;
	if (a->time != b->time)
		return a->time < b->time;
	order = strcmp(a->origin, b->origin);
	return order != 0 ? order < 0 : a->seq < b->seq;
}

bool
member_settle_forks(Members *members)
{
	bool		found = false;

	members->decisions = map_new(members->work[members->current]);
	for (size_t i = 0; i < members->nparties; i++)
		members->all[i]->forked = NULL;
	for (size_t i = 0; i < members->forks.count; i++)
	{
		MemberClaim *claim = members->forks.items[i];
		const char *reason = member_fork_reason(members, claim);

		if (reason == NULL && claim->said->fork->decides)
			reason = fork_decision_reason(members, claim);
		member_judge(claim, reason);
	}
	for (size_t i = 0; i < members->forks.count; i++)
	{
		MemberClaim *claim = members->forks.items[i];
		Party	   *about = claim->about;

		if (!claim->effective || about->center ||
			*fork_decision(members, claim) != NULL ||
			(about->forked != NULL && !fork_is_before(claim, about->forked)))
			continue;
		about->forked = claim;
		found = true;
	}
	return found;
}

/* What is known of the forks of a chain, by the claims. */
void
member_fork_rows(Members *members)
{
	for (size_t i = 0; i < members->forks.count; i++)
	{
		MemberClaim *claim = members->forks.items[i];
		Standing   *now = claim->about->now;
		const MemberClaim *decision;
		ForkRow    *row;

		if (!claim->effective)
			continue;
		decision = *fork_decision(members, claim);
		now->forks = pool_grow(members->work[members->current], now->forks, now->nforks,
							   sizeof(ForkRow));
		row = &now->forks[now->nforks++];
		row->claim = claim;
		row->excludes = decision == NULL && !claim->about->center;
		row->decision = decision;
	}
}

const KeyFact *
member_fork_key(const Party *party)
{
	return party->forked != NULL ? fork_key(party->now, party->forked->said->fork->height) : NULL;
}
