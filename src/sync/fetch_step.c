/*
 * fetch_step.c: asking a peer for the next blocks of a chain, and for their entries.
 *
 * Of a chain whose payloads are not all taken, the blocks come with the leaf hashes.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "core/block.h"
#include "core/note.h"
#include "ledger/local_node.h"
#include "node/steady.h"
#include "node/trusted.h"
#include "node/worker.h"
#include "rules/block_kinds.h"
#include "sync/apply.h"
#include "sync/fetch_copy.h"
#include "sync/fetch_step.h"
#include "sync/hold.h"
#include "sync/hold_room.h"

#define FETCH_PARTS 4			/* of what is asked for of a block, and between them */
#define FETCH_SEPARATOR 1
#define FETCH_BLOCKS 1000		/* asked for at once */
#define FETCH_ENTRIES 10000		/* ... or as many as the first of them has */
#define FETCH_LEAVES 1000000	/* ... or so many that come without their payloads */
#define FETCH_STEP 120000		/* milliseconds for all of an answer */

/* Only what was asked for. */
static void
fetch_require(bool asked_for)
{
	if (!asked_for)
		ereport(ERROR,
				(errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("the peer sent something else than was asked for")));
}

/*
 * What was asked for in one text: the leaf hashes in hexadecimal, the kinds and the note about
 * them, each up to the byte 1, which is in none of them; the block's note.
 */
static void
fetch_split_block(char *text, ArrivedBlock *block)
{
	char	   *parts[FETCH_PARTS];
	size_t		len;

	for (int i = 0; i < FETCH_PARTS; i++)
	{
		parts[i] = text;

		if (i == FETCH_PARTS - 1)
			break;
		text = strchr(text, FETCH_SEPARATOR);

		fetch_require(text !=NULL);
		*text ++= '\0';
	}
	block->note = parts[FETCH_PARTS - 1];
	len = strlen(parts[0]);
	if (len > 0)
	{
		bytea	   *leaves = palloc(VARHDRSZ + len / 2 + 1);

		SET_VARSIZE(leaves, VARHDRSZ + hex_decode(parts[0], len, VARDATA(leaves)));
		block->carried.leaves = leaves;
	}
	if (parts[1][0] == '\0' || parts[2][0] == '\0')
		return;
	block->carried.kinds = parts[1];
	block->carried.kinds_note = parts[2];
}

/* A BlockKindWanted. */
static bool
fetch_is_governance(const char *kind, void *arg)
{
	return block_kind_is_governance(kind);
}

/*
 * Ask for the entries of that block as well, as long as they follow each other, and are not too
 * many at once.
 */
static void
fetch_follow(FetchStep *step, const ArrivedBlock *arrived)
{
	const char *kinds = arrived->carried.kinds;
	bool		first = arrived->height == step->height + 1;
	bool		light = step->task->kinds != NULL && arrived->carried.leaves != NULL;
	NoteBlock	block;
	int64_t		wanted = 0;
	int64_t		all;

	if (arrived->height == step->last_height + 1 &&
		note_parse_block(arrived->note, strlen(arrived->note), &block, NULL) &&
		(int64) block.size >= step->last_size)
	{
		/* a number of those that are asked for beside governance is not known before they come */
		if (light && (kinds == NULL ||
					  !block_kinds_count(kinds, strlen(kinds), fetch_is_governance, NULL, &wanted,
										 &all)))
			light = false;
		if ((int64) block.size - step->size <= (first ? BLOCK_ENTRIES_MAX :
												light ? FETCH_LEAVES : FETCH_ENTRIES) &&
			(first || step->wanted + wanted <= FETCH_ENTRIES))
		{
			step->last_height = arrived->height;
			step->last_size = (int64) block.size;
			step->wanted += wanted;
			return;
		}
	}
	if (first)
		step->last_height = arrived->height;	/* the keeper will say what is wrong with it */
}

/* Of our own chain?  That is asked for when some of it was lost, and held like any other. */
static bool
fetch_own(const FetchStep *step)
{
	return strcmp(step->task->origin, hold_node()->node) == 0;
}

/* A row at a time in a scope of its own, which takes its memory with it. */
static void
fetch_take_block(void *state, int64 height, char *text)
{
	FetchStep  *step = state;
	ArrivedBlock arrived = {.height = height};
	TrustedScope scope;

	fetch_require(height > step->height);
	fetch_split_block(text, &arrived);
	trusted_begin(&scope);
	if (fetch_own(step))
		hold_block(hold_chain(step->task->origin), &arrived);
	else
		apply_block(hold_node(), step->task->origin, &arrived);
	trusted_end(&scope);
	fetch_follow(step, &arrived);
}

static void
fetch_take_entry(void *state, int64 seq, char *payload)
{
	FetchStep  *step = state;
	TrustedScope scope;

	fetch_require(seq >= step->size && seq < step->last_size);
	trusted_begin(&scope);
	if (fetch_own(step))
		hold_entry(hold_chain(step->task->origin), seq, CStringGetTextDatum(payload));
	else
		apply_entry(hold_node(), step->task->origin, seq, CStringGetTextDatum(payload));
	trusted_end(&scope);
}

/* A transaction of this task. */
static void
fetch_begin(SharedDatabase *slot, const FetchTask *task, TrustedScope *scope, const char *activity)
{
	worker_begin(slot, activity);
	trusted_begin(scope);
	if (hold_node() == NULL || !hold_node()->at_home)
		worker_retire();
	hold_set_source(task->source);
}

static void
fetch_commit(TrustedScope *scope, MemoryContext lasting)
{
	trusted_end(scope);
	worker_commit();
	MemoryContextSwitchTo(lasting);
}

/*
 * What was held so far of that chain has not helped: it comes again, in order.  If that is still
 * not room enough, so it is with other chains that this peer passes on.  In a transaction of its
 * own, as the keeper may want to remove the same rows, and must not wait for a peer's answer.
 */
static void
fetch_make_room(SharedDatabase *slot, const FetchTask *task)
{
	static SPIPlanPtr own[2] = {NULL, NULL};
	static SPIPlanPtr others[3] = {NULL, NULL, NULL};
	MemoryContext lasting = CurrentMemoryContext;
	Oid			types[2] = {TEXTOID, TEXTOID};
	Datum		values[2];
	TrustedScope scope;
	const HoldChain *chain;

	fetch_begin(slot, task, &scope, "making room for what was not kept");
	values[0] = CStringGetTextDatum(task->source);
	values[1] = CStringGetTextDatum(task->origin);
	trusted_execute(&own[0], "DELETE FROM medchain.held_entry WHERE source = $1 AND origin = $2",
					2, types, values, NULL, false);
	trusted_execute(&own[1], "DELETE FROM medchain.held_block WHERE source = $1 AND origin = $2",
					2, types, values, NULL, false);
	chain = hold_chain(task->origin);
	if (!hold_room_recount(chain))
	{
		trusted_execute(&others[0],
						"INSERT INTO medchain.missing AS f (source, origin, wanted) "
					  "SELECT DISTINCT h.source, h.origin, true FROM (SELECT source, origin FROM "
						"medchain.held_block UNION ALL SELECT source, origin FROM "
						"medchain.held_entry) h "
						"WHERE h.source = $1 AND h.origin <> $1 AND h.origin <> $2 "
						"ON CONFLICT (source, origin) DO UPDATE SET wanted = true",
						2, types, values, NULL, false);
		trusted_execute(&others[1], "DELETE FROM medchain.held_entry WHERE source = $1 AND origin "
						"<> $1 AND origin <> $2", 2, types, values, NULL, false);
		trusted_execute(&others[2], "DELETE FROM medchain.held_block WHERE source = $1 AND origin "
						"<> $1 AND origin <> $2", 2, types, values, NULL, false);
		(void) hold_room_recount(chain);
	}
	fetch_commit(&scope, lasting);
}

/* Ask for the next blocks of the chain and their entries. */
void
fetch_step(SharedDatabase *slot, WalReceiverConn *connection, const FetchTask *task,
		   FetchStep *step)
{
	MemoryContext lasting = CurrentMemoryContext;
	TimestampTz until = TimestampTzPlusMilliseconds(steady_now(), FETCH_STEP);
	char	   *origin = quote_literal_cstr(task->origin);
	TrustedScope scope;
	const HoldChain *chain;

	fetch_make_room(slot, task);
	fetch_begin(slot, task, &scope, "asking a peer for what was not kept");
	chain = hold_chain(task->origin);
	step->task = task;
	step->height = step->last_height = chain->height;
	step->size = step->last_size = chain->size;
	step->wanted = 0;
	fetch_copy(connection,
			   psprintf("COPY (SELECT height, pg_catalog.concat_ws(pg_catalog.chr(%d), %s, "
						"coalesce(kinds, ''), coalesce(kinds_note, ''), note) "
						"FROM medchain.block WHERE origin "
						"OPERATOR(pg_catalog.=) %s AND height OPERATOR(pg_catalog.>) "
						INT64_FORMAT " ORDER BY height LIMIT %d) TO STDOUT", FETCH_SEPARATOR,
						task->kinds == NULL ? "''" :
						"coalesce(pg_catalog.encode(leaves, 'hex'), '')",
						origin, step->height, FETCH_BLOCKS),
			   FETCH_BLOCKS, until, fetch_take_block, step);
	if (step->last_size > step->size)
		fetch_copy(connection,
				   psprintf("COPY (SELECT seq, payload FROM medchain.entry WHERE origin "
							"OPERATOR(pg_catalog.=) %s AND seq OPERATOR(pg_catalog.>=) "
							INT64_FORMAT " AND seq OPERATOR(pg_catalog.<) " INT64_FORMAT
							"%s ORDER BY seq) TO STDOUT", origin, step->size, step->last_size,
							task->kinds == NULL ? "" :
						  psprintf(" AND kind OPERATOR(pg_catalog.=) ANY (%s::pg_catalog.text[])",
								   quote_literal_cstr(task->kinds))),
				   step->last_size - step->size, until, fetch_take_entry, step);
	fetch_commit(&scope, lasting);
}

/* A block that was asked for as it may be another than ours; as one that comes by itself. */
static void
fetch_take_doubted(void *state, int64 height, char *note)
{
	const FetchTask *task = state;
	ArrivedBlock arrived = {.height = height, .note = note};
	TrustedScope scope;

	fetch_require(height >= task->doubt_first && height <= task->doubt_last);
	trusted_begin(&scope);
	apply_block(hold_node(), task->origin, &arrived);
	trusted_end(&scope);
}

void
fetch_doubted(SharedDatabase *slot, WalReceiverConn *connection, const FetchTask *task)
{
	static SPIPlanPtr done = NULL;
	MemoryContext lasting = CurrentMemoryContext;
	TimestampTz until = TimestampTzPlusMilliseconds(steady_now(), FETCH_STEP);
	Oid			types[2] = {TEXTOID, TEXTOID};
	Datum		values[2];
	TrustedScope scope;

	fetch_begin(slot, task, &scope, "asking a peer for other blocks than ours");
	fetch_copy(connection,
			   psprintf("COPY (SELECT height, note FROM medchain.block WHERE origin "
						"OPERATOR(pg_catalog.=) %s AND height OPERATOR(pg_catalog.>=) "
						INT64_FORMAT " AND height OPERATOR(pg_catalog.<=) " INT64_FORMAT
						" ORDER BY height) TO STDOUT", quote_literal_cstr(task->origin),
						task->doubt_first, task->doubt_last),
			   FETCH_BLOCKS, until, fetch_take_doubted, unconstify(FetchTask *, task));
	values[0] = CStringGetTextDatum(task->source);
	values[1] = CStringGetTextDatum(task->origin);
	trusted_execute(&done, "UPDATE medchain.missing SET doubt_first = NULL, "
					"doubt_last = NULL, failures = 0, error = NULL "
					"WHERE source = $1 AND origin = $2", 2, types, values, NULL, false);
	fetch_commit(&scope, lasting);
}
