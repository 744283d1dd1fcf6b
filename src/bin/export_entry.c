/*
 * export_entry.c: the lines of an export that are about entries.
 */
#include <stdlib.h>
#include <string.h>

#include "core/block.h"
#include "export_walk.h"
#include "payload.h"

#define EXPORT_PROGRESS 100000	/* entries between lines on the terminal */
#define EXPORT_UNREADABLE_MAX 100	/* of which the result tells */
#define EXPORT_WAITING_MAX (64 * 1024 * 1024)	/* bytes of entries about members that one block
												 * may close over */

/*
 * Keep an entry that the rules want until its block is verified: about members, as they say who
 * signs; all others if the state is asked for.
 */
static bool
walk_keep(Walk *walk, const Payload *payload, uint64_t seq, CoreError *error)
{
	bool		all = walk->options->derived != NULL;
	size_t		max = all ? BLOCK_BYTES_MAX : EXPORT_WAITING_MAX;
	ClaimKind	kind;
	Waiting    *kept;

	if (!claim_kind_from_name(payload->entry.kind, &kind) ||
		(!all && (CLAIM_SET(kind) & CLAIM_SET_MEMBER) == 0))
		return true;
	walk->waiting_bytes += payload->len;
	if (walk->waiting_bytes > max)
		return error_set(error, CORE_UNSUPPORTED, "more than %zu bytes about %s before the next "
						 "block", max, all ? "members and protocols" : "members");
	walk->waiting = pool_grow(walk->block_pool, walk->waiting, walk->nwaiting, sizeof(Waiting));
	kept = &walk->waiting[walk->nwaiting++];
	kept->text = pool_copy(walk->block_pool, payload->text, payload->len);
	kept->len = payload->len;
	kept->seq = seq;
	return true;
}

/* What is there, signed, and says nothing, as not everybody could read it. */
static void
walk_unreadable(Walk *walk, uint64_t seq, const CoreError *why)
{
	json_t	   *list = json_object_get(walk->result, "unreadable");

	if (list == NULL)
	{
		list = json_array();
		json_object_set_new(walk->result, "unreadable", list);
	}
	if (json_array_size(list) < EXPORT_UNREADABLE_MAX)
		json_array_append_new(list, json_pack("{s:s, s:I, s:s}", "chain", walk->origin, "entry",
											  (json_int_t) seq, "reason", why->message));
}

Authorised *
walk_authorised(const Walk *walk)
{
	return walk->options->derived != NULL ? walk->options->derived->authorised : NULL;
}

static Verdict
walk_payload(Walk *walk, const char *origin, uint64_t seq, Payload *payload, CoreError *error)
{
	uint8_t		leaf[HASH_LEN];
	char		where[64];
	Verdict		verdict = walk_enter(walk, origin, error);

	if (verdict != VERIFIED)
		return verdict;
	snprintf(where, sizeof(where), "entry %llu", (unsigned long long) seq);
	if (seq > walk->chain_entries && absent_fill(&walk->absent, &walk->check, seq))
		walk->chain_entries = seq;
	if (seq != walk->chain_entries)
	{
		error_set(error, CORE_MALFORMED, "entry %llu was expected here",
				  (unsigned long long) walk->chain_entries);
		return walk_fail(walk, NOT_VERIFIED, where, error);
	}
	if (!payload_is_of(payload, origin))
	{
		error_set(error, CORE_MALFORMED, "payload is not an entry of this chain");
		return walk_fail(walk, NOT_VERIFIED, where, error);
	}
	if (!payload->readable)
		walk_unreadable(walk, seq, &payload->unreadable);
	if (!hash_leaf(payload->text, payload->len, leaf) || !chain_check_leaf(&walk->check, leaf))
	{
		error_set(error, CORE_INTERNAL, "could not compute SHA-256");
		return UNUSABLE;
	}
	absent_entry(&walk->absent, payload->entry.kind);
	if (!walk_keep(walk, payload, seq, error))
		return walk_fail(walk, UNUSABLE, where, error);
	if (!export_set_entry(&walk->set, payload->entry.kind, seq, payload->text, payload->len, error))
		return walk_fail(walk, NOT_VERIFIED, where, error);
	if (walk_authorised(walk) != NULL)
		authorised_entry(walk_authorised(walk), payload->entry.kind, walk->origin,
						 (int64_t) seq, payload->text, payload->len);
	walk->chain_entries++;
	walk->entries++;
	if (walk->options->progress && walk->entries % EXPORT_PROGRESS == 0)
		fprintf(stderr, "\r%llu entries ...", (unsigned long long) walk->entries);
	return VERIFIED;
}

Verdict
walk_entry(Walk *walk, json_t *line, CoreError *error)
{
	const char *const fields[] = {"seq", "type", "origin", payload_field(line), NULL};
	const char *origin;
	uint64_t	seq;
	Payload		payload = {0};
	Verdict		verdict = UNUSABLE;

	if (input_fields(line, fields, error) && input_string(line, "origin", &origin, NULL, error) &&
		input_number(line, "seq", &seq, error) && payload_load(line, &payload, error))
		verdict = walk_payload(walk, origin, seq, &payload, error);
	payload_free(&payload);
	return verdict;
}

Verdict
walk_absent(Walk *walk, json_t *line, CoreError *error)
{
	const char *origin;
	char		where[64];
	Verdict		verdict;

	if (!input_string(line, "origin", &origin, NULL, error))
		return UNUSABLE;
	verdict = walk_enter(walk, origin, error);
	if (verdict != VERIFIED || absent_line(&walk->absent, line, walk->chain_entries, error))
		return verdict;
	snprintf(where, sizeof(where), "entry %llu", (unsigned long long) walk->chain_entries);
	return walk_fail(walk, NOT_VERIFIED, where, error);
}

Verdict
walk_set(Walk *walk, json_t *line, bool is_part, CoreError *error)
{
	char		where[64];

	if (is_part ?
		export_set_part(&walk->set, line, walk->origin, walk_authorised(walk), error) :
		export_set_line(&walk->set, line, walk->origin, walk_authorised(walk), error))
		return VERIFIED;
	snprintf(where, sizeof(where), "set of entry %llu", (unsigned long long) walk->set.seq);
	return walk_fail(walk, NOT_VERIFIED, where, error);
}
