/*
 * member_rows.c: what has changed for members: rows of state, and from where on their chains have
 * to be judged again.
 */
#include <string.h>

#include "rules/fork.h"
#include "rules/rules_internal.h"

/* ----- what is the same ----- */

static bool
rows_same_period(const Period *a, const Period *b)
{
	return a->empty == b->empty && a->has_from == b->has_from && a->has_to == b->has_to &&
		a->from_inclusive == b->from_inclusive && a->to_inclusive == b->to_inclusive &&
		a->from == b->from && a->to == b->to;
}

static bool
rows_same_contract(const ContractRow *a, const ContractRow *b)
{
	return a->offer == b->offer && a->accepted == b->accepted && a->ended == b->ended &&
		a->ended_seq == b->ended_seq;
}

static bool
rows_same_certificate(const CertificateRow *a, const CertificateRow *b)
{
	return a->cause == b->cause && a->certificate == b->certificate &&
		rows_same_period(&a->period, &b->period) && rows_same_period(&a->valid, &b->valid) &&
		a->in_force == b->in_force && a->from_seq == b->from_seq &&
		a->revocation == b->revocation;
}

static bool
rows_same_exclusion(const ExclusionRow *a, const ExclusionRow *b)
{
	return a->cause == b->cause && a->from_seq == b->from_seq && a->has_to == b->has_to &&
		a->to_seq == b->to_seq && rows_same_period(&a->during, &b->during) &&
		strcmp(a->reason, b->reason) == 0;
}

static bool
rows_same_fork(const ForkRow *a, const ForkRow *b)
{
	return a->claim == b->claim && a->excludes == b->excludes && a->decision == b->decision;
}

static bool
rows_same_key(const KeyRow *a, const KeyRow *b)
{
	return a->from_height == b->from_height && a->key == b->key && a->cause == b->cause;
}

static bool
rows_same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool
rows_same_member(const MemberRow *a, const MemberRow *b)
{
	return a->there == b->there && a->end_node == b->end_node && a->contract == b->contract &&
		a->certificate == b->certificate && rows_same_period(&a->valid, &b->valid) &&
		a->accepted == b->accepted && a->ledger_key == b->ledger_key &&
		a->configured_by == b->configured_by && a->suspended == b->suspended &&
		a->revoked == b->revoked && a->ended == b->ended && a->expelled == b->expelled &&
		rows_same_text(a->departure, b->departure) && a->takes_part == b->takes_part;
}

/* ----- what is of the same row ----- */

static bool
rows_named_contract(const ContractRow *a, const ContractRow *b)
{
	return strcmp(a->offer->said->claim.id, b->offer->said->claim.id) == 0;
}

static bool
rows_named_certificate(const CertificateRow *a, const CertificateRow *b)
{
	return a->cause->by == b->cause->by && a->cause->said->claim.seq == b->cause->said->claim.seq;
}

static bool
rows_named_exclusion(const ExclusionRow *a, const ExclusionRow *b)
{
	return a->cause->by == b->cause->by &&
		a->cause->said->claim.seq == b->cause->said->claim.seq;
}

static bool
rows_named_fork(const ForkRow *a, const ForkRow *b)
{
	return a->claim->by == b->claim->by &&
		a->claim->said->claim.seq == b->claim->said->claim.seq;
}

static bool
rows_named_key(const KeyRow *a, const KeyRow *b)
{
	return a->from_height == b->from_height;
}

/* ----- as rows ----- */

static const char *
rows_claim_time(Pool *pool, const MemberClaim *claim)
{
	return claim != NULL ? state_time(pool, claim->said->claim.time) : NULL;
}

static void
rows_member(Pool *pool, const Party *party, const MemberRow *member, StateRow *row)
{
	const Statement *said = member->contract->said;
	const MemberClaim *expelled = member->expelled;

	memset(row, 0, sizeof(*row));
	row->table = STATE_MEMBER;
	row->values[0] = party->name;
	row->values[1] = member->center ? "data_center" : said->kind;
	row->values[2] = member->certificate->given;
	row->values[3] = state_bytes(pool, member->certificate->fingerprint, HASH_LEN);
	row->values[4] = said->claim.id;
	row->values[5] = member->center ? "{\"admit\",\"query\",\"update\",\"audit\"}" :
		said->capability_list;
	row->values[6] = period_text(pool, &member->valid);
	row->values[7] = state_boolean(member->accepted);
	row->values[8] = member->ledger_key != NULL ? member->ledger_key->pem : NULL;
	row->values[9] = member->configured_by != NULL ? member->configured_by->name : NULL;
	row->values[10] = rows_claim_time(pool, member->suspended);
	row->values[11] = member->revoked != NULL ? state_time(pool, member->revoked->since) : NULL;
	row->values[12] = rows_claim_time(pool, member->ended);
	row->values[13] = rows_claim_time(pool, expelled);
	row->values[14] = member->departure;
	if (expelled != NULL)
	{
		row->values[15] = state_number(pool, expelled->said->last.height);
		if (expelled->said->last.has_hash)
			row->values[16] = state_bytes(pool, expelled->said->last.hash, HASH_LEN);
	}
	row->values[17] = state_boolean(member->takes_part);
}

static void
rows_contract(Pool *pool, const Party *party, const ContractRow *contract, StateRow *row)
{
	const Statement *offer = contract->offer->said;

	memset(row, 0, sizeof(*row));
	row->table = STATE_CONTRACT;
	row->values[0] = offer->claim.id;
	row->values[1] = party->name;
	row->values[2] = offer->kind;
	row->values[3] = offer->certificate->given;
	row->values[4] = offer->capability_list;
	row->values[5] = period_text(pool, &offer->valid);
	row->values[6] = state_time(pool, offer->claim.time);
	row->values[7] = state_number(pool, offer->claim.seq);
	if (contract->accepted != NULL)
	{
		row->values[8] = rows_claim_time(pool, contract->accepted);
		row->values[9] = state_number(pool, contract->accepted->said->claim.seq);
	}
	if (contract->ended != NULL)
	{
		row->values[10] = rows_claim_time(pool, contract->ended);
		row->values[11] = state_number(pool, contract->ended_seq);
		row->values[12] = contract->ended->by->name;
		row->values[13] = contract->ended->said->why;
	}
}

static void
rows_certificate(Pool *pool, const Party *party, const CertificateRow *certificate, StateRow *row)
{
	memset(row, 0, sizeof(*row));
	row->table = STATE_MEMBER_CERTIFICATE;
	row->values[0] = party->name;
	row->values[1] = state_bytes(pool, certificate->certificate->fingerprint, HASH_LEN);
	row->values[2] = certificate->certificate->given;
	row->values[3] = period_text(pool, &certificate->period);
	row->values[4] = period_text(pool, &certificate->valid);
	if (certificate->in_force)
		row->values[5] = state_number(pool, certificate->from_seq);
	if (certificate->revocation != NULL)
	{
		row->values[6] = state_time(pool, certificate->revocation->since);
		row->values[7] = certificate->revocation->reason;
	}
	row->values[8] = certificate->cause->by->name;
	row->values[9] = state_number(pool, certificate->cause->said->claim.seq);
}

static void
rows_exclusion(Pool *pool, const Party *party, const ExclusionRow *exclusion, StateRow *row)
{
	memset(row, 0, sizeof(*row));
	row->table = STATE_EXCLUSION;
	row->values[0] = party->name;
	row->values[1] = state_number(pool, exclusion->cause->said->claim.seq);
	row->values[2] = state_number(pool, exclusion->from_seq);
	row->values[3] = exclusion->has_to ? state_number(pool, exclusion->to_seq) : NULL;
	row->values[4] = period_text(pool, &exclusion->during);
	row->values[5] = exclusion->reason;
}

static void
rows_fork(Pool *pool, const Party *party, const ForkRow *fork, StateRow *row)
{
	const Statement *said = fork->claim->said;
	const ForkProof *proof = said->fork;

	memset(row, 0, sizeof(*row));
	row->table = STATE_FORK;
	row->values[0] = said->claim.origin;
	row->values[1] = state_number(pool, said->claim.seq);
	row->values[2] = party->name;
	row->values[3] = state_number(pool, proof->height);
	row->values[4] = state_bytes(pool, proof->notes[0].hash, HASH_LEN);
	row->values[5] = state_bytes(pool, proof->notes[1].hash, HASH_LEN);
	if (fork->excludes)
		row->values[6] = state_number(pool, proof->from_seq);
	if (fork->decision != NULL)
	{
		const ForkProof *decided = fork->decision->said->fork;

		row->values[7] = state_bytes(pool, decided->notes[decided->counts].hash, HASH_LEN);
	}
}

static void
rows_key(Pool *pool, const Party *party, const KeyRow *key, StateRow *row)
{
	const MemberClaim *cause = key->cause;

	memset(row, 0, sizeof(*row));
	row->table = STATE_LEDGER_KEY;
	row->values[0] = party->name;
	row->values[1] = state_number(pool, key->from_height);
	row->values[2] = key->key->pem;
	if (cause != NULL && cause->by != party && cause->said->last.has_hash)
		row->values[3] = state_bytes(pool, cause->said->last.hash, HASH_LEN);
}

/* ----- what is gone, and what is new ----- */

static void
rows_remove(Rules *rules, StateTable table, const char *first, const char *second)
{
	StateRow	key = {.table = table};

	key.values[state_tables[table].keys[0]] = first;
	if (second != NULL)
		key.values[state_tables[table].keys[1]] = second;
	rules->store->row_remove(rules->store_state, &key);
}

/*
 * Is there a row like that among others?  They are in much the same order: it is looked for from
 * behind the last one that was found.
 */
#define ROWS_KNOWN(kind, same, row) \
	static bool \
	kind(const row *rows, size_t count, const row *wanted, size_t *at) \
	{ \
		for (size_t i = 0; i < count; i++) \
		{ \
			size_t		place = (*at + i) % count; \
			\
			if (same(&rows[place], wanted)) \
			{ \
				*at = place + 1; \
				return true; \
			} \
		} \
		return false; \
	}

ROWS_KNOWN(rows_known_contract, rows_same_contract, ContractRow)
ROWS_KNOWN(rows_known_certificate, rows_same_certificate, CertificateRow)
ROWS_KNOWN(rows_known_exclusion, rows_same_exclusion, ExclusionRow)
ROWS_KNOWN(rows_known_fork, rows_same_fork, ForkRow)
ROWS_KNOWN(rows_known_key, rows_same_key, KeyRow)
ROWS_KNOWN(rows_there_contract, rows_named_contract, ContractRow)
ROWS_KNOWN(rows_there_certificate, rows_named_certificate, CertificateRow)
ROWS_KNOWN(rows_there_exclusion, rows_named_exclusion, ExclusionRow)
ROWS_KNOWN(rows_there_fork, rows_named_fork, ForkRow)
ROWS_KNOWN(rows_there_key, rows_named_key, KeyRow)

/* That is a row of its own. */
static bool
rows_is_fork(const ExclusionRow *exclusion)
{
	return exclusion->cause->said->claim.kind == CLAIM_FORK;
}

static void
rows_gone(Rules *rules, const Party *party, const Standing *before, const Standing *now)
{
	Pool	   *pool = rules->scratch;
	size_t		at[5] = {0};

	if (before->member.there && !now->member.there)
		rows_remove(rules, STATE_MEMBER, party->name, NULL);
	for (size_t i = 0; i < before->ncontracts; i++)
		if (!rows_there_contract(now->contracts, now->ncontracts, &before->contracts[i], &at[0]))
			rows_remove(rules, STATE_CONTRACT, before->contracts[i].offer->said->claim.id, NULL);
	for (size_t i = 0; i < before->ncertificates; i++)
		if (!rows_there_certificate(now->certificates, now->ncertificates,
									&before->certificates[i], &at[1]))
		{
			const MemberClaim *cause = before->certificates[i].cause;

			rows_remove(rules, STATE_MEMBER_CERTIFICATE, cause->by->name,
						state_number(pool, cause->said->claim.seq));
		}
	for (size_t i = 0; i < before->nexclusions; i++)
		if (!rows_is_fork(&before->exclusions[i]) &&
			!rows_there_exclusion(now->exclusions, now->nexclusions, &before->exclusions[i],
								  &at[2]))
			rows_remove(rules, STATE_EXCLUSION, party->name,
						state_number(pool, before->exclusions[i].cause->said->claim.seq));
	for (size_t i = 0; i < before->nforks; i++)
		if (!rows_there_fork(now->forks, now->nforks, &before->forks[i], &at[4]))
		{
			const Claim *said = &before->forks[i].claim->said->claim;

			rows_remove(rules, STATE_FORK, said->origin, state_number(pool, said->seq));
		}
	for (size_t i = 0; i < before->nkeys; i++)
		if (!rows_there_key(now->keys, now->nkeys, &before->keys[i], &at[3]))
			rows_remove(rules, STATE_LEDGER_KEY, party->name,
						state_number(pool, before->keys[i].from_height));
}

static void
rows_new(Rules *rules, const Party *party, const Standing *before, const Standing *now)
{
	Pool	   *pool = rules->scratch;
	StateRow	row;
	size_t		at[5] = {0};

#define ROWS_PUT(make, value) \
	do \
	{ \
		make(pool, party, value, &row); \
		rules->store->row_put(rules->store_state, &row); \
	} while (0)

	if (now->member.there && !rows_same_member(&before->member, &now->member))
		ROWS_PUT(rows_member, &now->member);
	for (size_t i = 0; i < now->ncontracts; i++)
		if (!rows_known_contract(before->contracts, before->ncontracts, &now->contracts[i], &at[0]))
			ROWS_PUT(rows_contract, &now->contracts[i]);
	for (size_t i = 0; i < now->ncertificates; i++)
		if (!rows_known_certificate(before->certificates, before->ncertificates,
									&now->certificates[i], &at[1]))
			ROWS_PUT(rows_certificate, &now->certificates[i]);
	for (size_t i = 0; i < now->nexclusions; i++)
		if (!rows_is_fork(&now->exclusions[i]) &&
			!rows_known_exclusion(before->exclusions, before->nexclusions, &now->exclusions[i],
								  &at[2]))
			ROWS_PUT(rows_exclusion, &now->exclusions[i]);
	for (size_t i = 0; i < now->nforks; i++)
		if (!rows_known_fork(before->forks, before->nforks, &now->forks[i], &at[4]))
			ROWS_PUT(rows_fork, &now->forks[i]);
	for (size_t i = 0; i < now->nkeys; i++)
		if (!rows_known_key(before->keys, before->nkeys, &now->keys[i], &at[3]))
			ROWS_PUT(rows_key, &now->keys[i]);
}

/* ----- from where on a chain has to be judged again ----- */

static void
rows_earlier(int64_t *from, int64_t seq)
{
	if (seq < *from)
		*from = seq;
}

/* Of the rows in one of two lists that are not in the other. */
static void
rows_changed(const Party *party, const Standing *one, const Standing *other, int64_t *from)
{
	size_t		at[4] = {0};

	for (size_t i = 0; i < one->ncontracts; i++)
		if (one->contracts[i].accepted != NULL &&
			!rows_known_contract(other->contracts, other->ncontracts, &one->contracts[i],
								 &at[0]))
			rows_earlier(from, one->contracts[i].accepted->said->claim.seq + 1);
	for (size_t i = 0; i < one->ncertificates; i++)
		if ((one->certificates[i].in_force || party->center) &&
			!rows_known_certificate(other->certificates, other->ncertificates,
									&one->certificates[i], &at[1]))
			rows_earlier(from, party->center ? 0 : one->certificates[i].from_seq);
	for (size_t i = 0; i < one->nexclusions; i++)
		if (!rows_known_exclusion(other->exclusions, other->nexclusions, &one->exclusions[i],
								  &at[2]))
			rows_earlier(from, one->exclusions[i].from_seq);

	/*
	 * a key that the member took itself is for what stands behind; where the data centre's word
	 * puts another on the chain is its word only
	 */
	for (size_t i = 0; i < one->nkeys; i++)
		if (!rows_known_key(other->keys, other->nkeys, &one->keys[i], &at[3]))
			rows_earlier(from, one->keys[i].cause != NULL && one->keys[i].cause->by == party ?
						 one->keys[i].cause->said->claim.seq + 1 : 0);
}

void
member_changes(Rules *rules, bool write)
{
	static const Standing nothing = {0};
	Members    *members = rules->members;

	for (int pass = 1; pass <= 2; pass++)
		for (size_t i = 0; i < members->nparties; i++)
		{
			Party	   *party = members->all[i];
			const Standing *before = party->before != NULL ? party->before : &nothing;
			const Standing *now = party->now != NULL ? party->now : &nothing;

			if (pass == 1 && write)
				rows_gone(rules, party, before, now);
			if (pass == 1)
				continue;
			party->changed_from = INT64_MAX;
			rows_changed(party, before, now, &party->changed_from);
			rows_changed(party, now, before, &party->changed_from);
			if (before->member.there != now->member.there ||
				before->member.end_node != now->member.end_node)
				party->changed_from = 0;
			if (write)
				rows_new(rules, party, before, now);
		}
	for (size_t i = 0; i < members->claims.count; i++)
	{
		MemberClaim *claim = members->claims.items[i];
		const char *worth = claim->effective ? NULL : claim->reason;

		if (rows_same_text(worth, claim->told))
			continue;
		if (write)
			rules->store->claim_judge(rules->store_state, claim->said->claim.origin,
									  claim->said->claim.seq, worth);
		claim->told = worth;
	}
	pool_reset(rules->scratch);
}
