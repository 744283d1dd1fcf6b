/*
 * apply.c: the hook in the apply worker.
 *
 * BEFORE INSERT triggers on medchain.entry and medchain.block, ENABLE ALWAYS, see
 * every replicated row, of the initial copy as of the stream.  None is inserted as it
 * comes: entries and blocks are held, per source, until the keeper has verified
 * a block with all its entries.  What is wrong goes to medchain.quarantine.  Nothing in
 * here may fail because of the data: an error would stop the subscription.
 *
 * And nothing in here may take a lock that anybody else waits for: an apply worker's transaction
 * ends when the peer says so, and a hostile one never does.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "replication/logicalworker.h"
#include "replication/worker_internal.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "core/encode.h"
#include "ledger/chain.h"
#include "ledger/home.h"
#include "ledger/shared.h"
#include "ledger/trusted.h"
#include "sync/apply.h"

static bool block_arrived = false;	/* in this transaction */

/* A text or bigint column of the arriving row; NULL or -1 where it is null. */
static char *
apply_text(TriggerData *trigger, const char *column)
{
	return SPI_getvalue(trigger->tg_trigtuple, RelationGetDescr(trigger->tg_relation),
						SPI_fnumber(RelationGetDescr(trigger->tg_relation), column));
}

static int64
apply_int64(TriggerData *trigger, const char *column)
{
	TupleDesc	desc = RelationGetDescr(trigger->tg_relation);
	bool		isnull;
	Datum		value = SPI_getbinval(trigger->tg_trigtuple, desc, SPI_fnumber(desc, column),
									  &isnull);

	return isnull ? -1 : DatumGetInt64(value);
}

/* The member behind the subscription this worker applies. */
static char *
apply_source(void)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(MySubscription->name)};

	trusted_execute(&plan, "SELECT member FROM medchain.peer WHERE subscription = $1", 1, types,
					values, NULL, false);
	return SPI_processed > 0 ? SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1) :
		pstrdup(MySubscription->name);
}

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
 * The node that something arrives for.  In a copy, an error keeps what the peer has to say in its
 * slot, for the day when the copy is the node; after pg_upgrade that is soon.
 */
static bool
apply_local_node(LocalNode *node)
{
	if (!chain_local_node(node))
		return false;
	if (!node->at_home)
		(void) home_require();
	return true;
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

static void
apply_hold_entry(const char *source, const char *origin, int64 seq, const char *payload)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[4] = {TEXTOID, TEXTOID, INT8OID, TEXTOID};
	Datum		values[4];

	values[0] = CStringGetTextDatum(source);
	values[1] = CStringGetTextDatum(origin);
	values[2] = Int64GetDatum(seq);
	values[3] = CStringGetTextDatum(payload);
	trusted_execute(&plan, "INSERT INTO medchain.held_entry (source, origin, seq, payload) VALUES "
					"($1, $2, $3, $4) "
					"ON CONFLICT (source, origin, seq) DO UPDATE SET payload = EXCLUDED.payload",
					4, types, values, NULL, false);
}

/* What we have already: the same is fine, something else is evidence. */
static bool
apply_entry_known(const LocalNode *node, const char *source, const char *origin, int64 seq,
				  const char *payload)
{
	static SPIPlanPtr plan = NULL;
	char	   *known = apply_lookup(&plan,
				"SELECT payload FROM medchain.entry WHERE origin = $1 AND seq = $2", origin, seq);

	if (known == NULL && strcmp(origin, node->node) != 0)
		return false;
	if (known == NULL || strcmp(known, payload) != 0)
	{
		char	   *detail;

		/*
		 * it may be the one that counts, if the chain has got a new key that we have not heard of
		 */
		if (known != NULL && strcmp(origin, node->node) != 0)
			apply_hold_entry(source, origin, seq, payload);
		detail = psprintf("entry %lld: %.400s", (long long) seq, payload);
		encode_repair_utf8(detail);
		chain_quarantine(source, origin, -1, known ? "differs from accepted entry" :
						 "entry of our own chain that we never wrote",
						 detail, NULL, 0, 0);
	}
	return true;
}

PG_FUNCTION_INFO_V1(medchain_arrive_entry);

Datum
medchain_arrive_entry(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	TrustedScope scope;
	LocalNode	node;

	if (!CALLED_AS_TRIGGER(fcinfo))
		elog(ERROR, "medchain_arrive_entry: not called as a trigger");
	if (chain_writing)
		return PointerGetDatum(trigger->tg_trigtuple);

	trusted_begin(&scope);
	if (!IsLogicalWorker())
	{
		apply_require_restore("entry");
		trusted_end(&scope);
		return PointerGetDatum(trigger->tg_trigtuple);
	}
	if (apply_local_node(&node))
	{
		char	   *origin = apply_text(trigger, "origin");
		char	   *payload = apply_text(trigger, "payload");
		int64		seq = apply_int64(trigger, "seq");
		char	   *source = apply_source();

		if (origin == NULL || payload == NULL || seq < 0)
			chain_quarantine(source, origin ? origin : "", -1, "bad entry",
							 "origin, seq or payload is missing", NULL, 0, 0);
		else if (!apply_entry_known(&node, source, origin, seq, payload))
			apply_hold_entry(source, origin, seq, payload);
	}
	trusted_end(&scope);
	return PointerGetDatum(NULL);
}

static bool
apply_block_known(const LocalNode *node, const char *source, const char *origin, int64 height,
				  const char *note)
{
	static SPIPlanPtr plan = NULL;
	char	   *known = apply_lookup(&plan,
			 "SELECT note FROM medchain.block WHERE origin = $1 AND height = $2", origin, height);
	size_t		known_len;
	size_t		len;

	if (known == NULL && strcmp(origin, node->node) != 0)
		return false;

	/* cosignatures may differ, the text may not */
	if (known == NULL || !note_text_length(known, strlen(known), &known_len, NULL) ||
		!note_text_length(note, strlen(note), &len, NULL) || len != known_len ||
		memcmp(known, note, len) != 0)
		chain_quarantine(source, origin, height, known ? "differs from accepted block" :
						 "block of our own chain that we never sealed",
						 NULL, note, 0, 0);
	return true;
}

static void
apply_hold_block(const char *source, const char *origin, int64 height, const char *note)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[4] = {TEXTOID, TEXTOID, INT8OID, TEXTOID};
	Datum		values[4];

	values[0] = CStringGetTextDatum(source);
	values[1] = CStringGetTextDatum(origin);
	values[2] = Int64GetDatum(height);
	values[3] = CStringGetTextDatum(note);
	trusted_execute(&plan, "INSERT INTO medchain.held_block (source, origin, height, note) VALUES "
					"($1, $2, $3, $4) "
					"ON CONFLICT (source, origin, height) DO UPDATE SET note = EXCLUDED.note",
					4, types, values, NULL, false);
}

static void
apply_block(TriggerData *trigger, const LocalNode *node)
{
	char	   *origin = apply_text(trigger, "origin");
	char	   *note = apply_text(trigger, "note");
	int64		height = apply_int64(trigger, "height");
	char	   *source = apply_source();
	const char *reason;
	char	   *detail = NULL;

	if (origin == NULL || note == NULL || height < 0)
	{
		chain_quarantine(source, origin ? origin : "", height, "bad note",
						 "origin, height or note is missing", note, 0, 0);
		return;
	}
	if (apply_block_known(node, source, origin, height, note))
		return;
	reason = chain_screen(origin, height, note, &detail);
	if (reason != NULL)
	{
		chain_quarantine(source, origin, height, reason, detail, note, 0, 0);
		return;
	}
	apply_hold_block(source, origin, height, note);
	block_arrived = true;
}

PG_FUNCTION_INFO_V1(medchain_arrive_block);

Datum
medchain_arrive_block(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	TrustedScope scope;
	LocalNode	node;

	if (!CALLED_AS_TRIGGER(fcinfo))
		elog(ERROR, "medchain_arrive_block: not called as a trigger");
	if (chain_writing)
		return PointerGetDatum(trigger->tg_trigtuple);

	trusted_begin(&scope);
	if (!IsLogicalWorker())
	{
		apply_require_restore("block");
		trusted_end(&scope);
		return PointerGetDatum(trigger->tg_trigtuple);
	}
	if (apply_local_node(&node))
		apply_block(trigger, &node);
	trusted_end(&scope);
	return PointerGetDatum(NULL);
}

/* The keeper accepts what has arrived, when it can see it. */
static void
apply_xact_callback(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT && block_arrived)
	{
		SharedDatabase *slot = shared_database();

		if (slot != NULL)
			(void) shared_wake(slot, WORKER_KEEPER);
	}
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT)
		block_arrived = false;
}

void
apply_install(void)
{
	RegisterXactCallback(apply_xact_callback, NULL);
}

static List *
apply_add_origins(List *origins, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);

	for (uint64 i = 0; i < SPI_processed; i++)
	{
		char	   *origin = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);

		origins = lappend(origins, MemoryContextStrdup(context, origin));
	}
	SPI_freetuptable(SPI_tuptable);
	MemoryContextSwitchTo(old);
	return origins;
}

List *
apply_due(MemoryContext context, bool changed)
{
	static SPIPlanPtr arrived = NULL;
	static SPIPlanPtr rekeyed = NULL;
	List	   *origins;

	trusted_execute(&arrived,
					"SELECT DISTINCT h.origin FROM medchain.held_block h LEFT JOIN medchain.chain "
					"c ON c.origin = h.origin WHERE h.height <= coalesce(c.height, -1) + 1 "
					"ORDER BY 1", 0, NULL, NULL, NULL, false);
	origins = apply_add_origins(NIL, context);
	if (!changed)
		return origins;
	trusted_execute(&rekeyed,
					"WITH contested AS (SELECT about AS member FROM medchain.claim WHERE kind = "
					"'configure' AND NOT effective) "
					"SELECT k.member FROM medchain.ledger_key k JOIN medchain.chain c ON "
					"c.origin = k.member "
					"WHERE k.follows IS NOT NULL AND k.from_height <= c.height "
					"UNION SELECT c.origin FROM medchain.chain c JOIN contested t ON t.member = "
					"c.origin "
					"UNION SELECT q.origin FROM medchain.quarantine q LEFT JOIN medchain.chain c "
					"ON c.origin = q.origin "
					"JOIN medchain.ledger_key k ON k.member = q.origin AND k.from_height <= "
					"q.height "
				  "WHERE q.height = coalesce(c.height, -1) + 1 AND q.reason IN ('bad signature', "
					"'differs from accepted block') "
					"AND (k.from_height > 0 OR q.origin IN (SELECT t.member FROM contested t)) "
					"ORDER BY 1", 0, NULL, NULL, NULL, false);
	return apply_add_origins(origins, context);
}
