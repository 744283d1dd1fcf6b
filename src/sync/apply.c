/*
 * apply.c: the hook in the apply worker.
 *
 * BEFORE INSERT triggers on medchain.entry and medchain.block, ENABLE ALWAYS, see
 * every replicated row, of the initial copy as of the stream, and what fetch.c asks for.  None is
 * inserted as it comes: entries and blocks are held, per source, until the keeper has verified
 * a block with all its entries.  What is wrong goes to medchain.quarantine.  Nothing in
 * here may fail because of the data: an error would stop the subscription.
 *
 * And nothing in here may take a lock that anybody else waits for: an apply worker's transaction
 * ends when the peer says so, and a hostile one never does.
 */
#include "postgres.h"

#include "access/detoast.h"
#include "commands/trigger.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "replication/logicalworker.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "core/block.h"
#include "core/encode.h"
#include "ledger/block_row.h"
#include "ledger/home.h"
#include "ledger/local_node.h"
#include "ledger/quarantine.h"
#include "ledger/screen.h"
#include "node/steady.h"
#include "node/trusted.h"
#include "rules/block_kinds.h"
#include "sync/apply.h"
#include "sync/hold.h"

#define APPLY_OWN_WAIT 500		/* milliseconds for an entry of our own */
#define APPLY_OWN_PAUSE 10

/*
 * A row that neither the sealer, the keeper nor replication brings: a restore, while this database
 * is no node, or a copy of one; afterwards somebody who forges.
 */
static void
apply_require_restore(const char *relation)
{
	if (home_status() == HOME_HERE)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("rows of \"medchain.%s\" are written by medchain alone", relation),
				 errhint("Use medchain.append(). A dump is restored into a database of its "
						 "own.")));
}

/*
 * The node that something arrives for, or NULL.  In a copy, an error keeps what the peer has to say
 * in its slot; workers that find one when they start do not even connect (copy.h).
 */
static const LocalNode *
apply_local_node(void)
{
	const LocalNode *node = hold_node();

	if (node != NULL && !node->at_home)
		(void) home_require();
	return node;
}

/* First column of the one row that $1, $2 find, or NULL. */
static char *
apply_lookup(SPIPlanPtr *plan, const char *sql, const char *origin, int64 number)
{
	Oid			types[2] = {TEXTOID, INT8OID};
	Datum		values[2];

	values[0] = CStringGetTextDatum(origin);
	values[1] = Int64GetDatum(number);
	trusted_execute(plan, sql, 2, types, values, NULL, false);
	return SPI_processed > 0 ? SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1) : NULL;
}

/* Of no block, or of one that needs no look at its entries. */
static void
apply_refuse(const char *origin, int64 height, const char *reason, const char *detail,
			 const char *note, bool is_signed)
{
	Refused		refused = {
		.source = hold_source(), .origin = origin, .height = height, .reason = reason,
		.detail = detail, .note = note, .is_signed = is_signed
	};

	quarantine_add(&refused);
}

/*
 * The entry there, or NULL.  What the sealer commits goes out before anybody here can see it, and a
 * peer may send it back as quickly: one of our own is waited for, but not for each of many.
 */
static char *
apply_find_entry(const char *origin, int64 seq, bool own)
{
	static SPIPlanPtr plan = NULL;
	static TimestampTz waited = 0;
	static const char sql[] = "SELECT payload FROM medchain.entry WHERE origin = $1 AND seq = $2";
	char	   *known = apply_lookup(&plan, sql, origin, seq);

	if (known != NULL || !own ||
		!TimestampDifferenceExceeds(waited, steady_now(), APPLY_OWN_WAIT))
		return known;
	for (int i = 0; i < APPLY_OWN_WAIT / APPLY_OWN_PAUSE && known == NULL; i++)
	{
		CHECK_FOR_INTERRUPTS();
		pg_usleep(APPLY_OWN_PAUSE * 1000L);
		known = apply_lookup(&plan, sql, origin, seq);
	}
	waited = steady_now();
	return known;
}

/* What should be known here: the same is fine, something else is evidence. */
static void
apply_known_entry(const LocalNode *node, const HoldChain *chain, int64 seq, Datum payload)
{
	bool		own = strcmp(chain->origin, node->node) == 0;
	char	   *known = apply_find_entry(chain->origin, seq, own);
	text	   *arrived = DatumGetTextPP(payload);
	size_t		len = VARSIZE_ANY_EXHDR(arrived);
	char	   *detail;

	if (known != NULL && strlen(known) == len && memcmp(known, VARDATA_ANY(arrived), len) == 0)
		return;
	if (known == NULL && !own)
	{
		hold_entry(chain, seq, payload);
		return;
	}

	/* it may be the one that counts, if the chain has got a new key that we have not heard of */
	if (!own)
		hold_entry(chain, seq, payload);
	detail = psprintf("entry %lld: %.*s", (long long) seq, (int) Min(len, 400),
					  VARDATA_ANY(arrived));
	encode_repair_utf8(detail);
	apply_refuse(chain->origin, -1, known ? "differs from accepted entry" :
				 "entry of our own chain that we never wrote", detail, NULL, false);
}

void
apply_entry(const LocalNode *node, const char *origin, int64 seq, Datum payload)
{
	const HoldChain *chain = hold_chain(origin);

	if (!chain->known && strcmp(origin, node->node) != 0)
		hold_drop(chain, 1, 0);
	else if (seq < chain->size || strcmp(origin, node->node) == 0)
		apply_known_entry(node, chain, seq, payload);
	else
		hold_entry(chain, seq, payload);
}

/* The same of a block: cosignatures may differ, the text may not. */
static bool
apply_known_block(const LocalNode *node, const HoldChain *chain, int64 height, const char *note)
{
	static SPIPlanPtr plan = NULL;
	bool		own = strcmp(chain->origin, node->node) == 0;
	char	   *known;
	size_t		known_len;
	size_t		len;

	if (height > chain->height && !own)
		return false;
	known = apply_lookup(&plan, "SELECT note FROM medchain.block WHERE origin = $1 AND height = $2",
						 chain->origin, height);
	if (known == NULL && !own)
		return false;
	if (known == NULL || !note_text_length(known, strlen(known), &known_len, NULL) ||
		!note_text_length(note, strlen(note), &len, NULL) || len != known_len ||
		memcmp(known, note, len) != 0)
		apply_refuse(chain->origin, height, known ? "differs from accepted block" :
					 "block of our own chain that we never sealed", NULL, note,
					 screen_signed(node, chain->origin, height, note));
	return true;
}

void
apply_block(const LocalNode *node, const char *origin, const ArrivedBlock *block)
{
	const HoldChain *chain = hold_chain(origin);
	const char *reason;
	char	   *detail = NULL;

	if (!chain->known && strcmp(origin, node->node) != 0)
	{
		hold_drop(chain, 0, 1);
		return;
	}
	if (apply_known_block(node, chain, block->height, block->note))
		return;
	reason = screen_block(node, origin, block->height, block->note, &detail);
	if (reason != NULL)
		apply_refuse(origin, block->height, reason, detail, block->note, false);
	else
		hold_block(chain, block);
}

void
apply_refuse_message(const char *reason, const char *detail)
{
	TrustedScope scope;

	trusted_begin(&scope);
	if (hold_node() != NULL)
		apply_refuse("", -1, reason, detail, NULL, false);
	trusted_end(&scope);
}

/* A column of the arriving row; complete, unless that is missing. */
static Datum
apply_column(TriggerData *trigger, const char *column, bool *complete)
{
	TupleDesc	desc = RelationGetDescr(trigger->tg_relation);
	bool		isnull;
	Datum		value = SPI_getbinval(trigger->tg_trigtuple, desc, SPI_fnumber(desc, column),
									  &isnull);

	*complete = *complete && !isnull;
	return isnull ? (Datum) 0 : value;
}

/* The same, if it is there and has at most so many bytes. */
static bool
apply_optional(TriggerData *trigger, const char *column, Size max, Datum *value)
{
	bool		there = true;

	*value = apply_column(trigger, column, &there);
	return there && toast_raw_datum_size(*value) - VARHDRSZ <= max;
}

/* What a block carries, as far as the peer sends that and it can be a block's. */
static void
apply_carried(TriggerData *trigger, BlockCarried *carried)
{
	Datum		leaves;
	Datum		kinds;
	Datum		note;

	if (apply_optional(trigger, "leaves", BLOCK_ENTRIES_MAX * HASH_LEN, &leaves))
		carried->leaves = DatumGetByteaPP(leaves);
	if (!apply_optional(trigger, "kinds", BLOCK_KINDS_MAX, &kinds) ||
		!apply_optional(trigger, "kinds_note", NOTE_MAX, &note))
		return;
	carried->kinds = TextDatumGetCString(kinds);
	carried->kinds_note = TextDatumGetCString(note);
}

/* True: the row is a peer's, and is not to be inserted as it is.  In a trusted scope. */
static bool
apply_arrives(const char *relation)
{
	if (IsLogicalWorker())
		return true;
	apply_require_restore(relation);
	return false;
}

/* Names are short: what is not, is nobody's. */
static char *
apply_origin(Datum origin)
{
	return TextDatumGetCString(PointerGetDatum(DatumGetTextPSlice(origin, 0, NOTE_NAME_MAX + 1)));
}

PG_FUNCTION_INFO_V1(medchain_arrive_entry);

Datum
medchain_arrive_entry(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	TrustedScope scope;
	bool		arrives;
	bool		complete = true;
	Datum		origin;
	Datum		seq;
	Datum		payload;

	if (!CALLED_AS_TRIGGER(fcinfo))
		elog(ERROR, "medchain_arrive_entry: not called as a trigger");
	if (ledger_writing)
		return PointerGetDatum(trigger->tg_trigtuple);
	origin = apply_column(trigger, "origin", &complete);
	seq = apply_column(trigger, "seq", &complete);
	payload = apply_column(trigger, "payload", &complete);
	if (complete && IsLogicalWorker() &&
		hold_next(DatumGetTextPP(origin), DatumGetInt64(seq), payload))
		return PointerGetDatum(NULL);
	trusted_begin(&scope);
	arrives = apply_arrives("entry");
	if (arrives)
	{
		const LocalNode *node = apply_local_node();

		if (node != NULL && complete && DatumGetInt64(seq) >= 0)
			apply_entry(node, apply_origin(origin), DatumGetInt64(seq), payload);
		else if (node != NULL)
			apply_refuse("", -1, "bad entry", "origin, seq or payload is missing", NULL, false);
	}
	trusted_end(&scope);
	return PointerGetDatum(arrives ? NULL : trigger->tg_trigtuple);
}

PG_FUNCTION_INFO_V1(medchain_arrive_block);

Datum
medchain_arrive_block(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	TrustedScope scope;
	bool		arrives;

	if (!CALLED_AS_TRIGGER(fcinfo))
		elog(ERROR, "medchain_arrive_block: not called as a trigger");
	if (ledger_writing)
		return PointerGetDatum(trigger->tg_trigtuple);
	trusted_begin(&scope);
	arrives = apply_arrives("block");
	if (arrives)
	{
		const LocalNode *node = apply_local_node();
		bool		complete = true;
		Datum		origin = apply_column(trigger, "origin", &complete);
		Datum		height = apply_column(trigger, "height", &complete);
		Datum		note = apply_column(trigger, "note", &complete);

		if (node != NULL && complete && DatumGetInt64(height) >= 0)
		{
			ArrivedBlock block = {.height = DatumGetInt64(height)};

			/* one byte more than a note may have is enough to see that it is none */
			block.note = TextDatumGetCString(PointerGetDatum(DatumGetTextPSlice(note, 0,
																				NOTE_MAX + 1)));
			apply_carried(trigger, &block.carried);
			apply_block(node, apply_origin(origin), &block);
		}
		else if (node != NULL)
			apply_refuse("", -1, "bad note", "origin, height or note is missing", NULL, false);
	}
	trusted_end(&scope);
	return PointerGetDatum(arrives ? NULL : trigger->tg_trigtuple);
}
