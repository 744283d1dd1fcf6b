/*
 * chain_advance.c: moving a chain forward over what peers sent.
 *
 * One held block after the other, each with all its entries, is checked as
 * chain_check.h says and then becomes part of the ledger, with its entries
 * folded into the state, or goes to quarantine.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "ledger/chain.h"
#include "ledger/hooks.h"
#include "core/keycache.h"
#include "ledger/payload.h"
#include "ledger/shared.h"
#include "ledger/tile.h"
#include "ledger/trusted.h"

#define CHAIN_FETCH 1000		/* entries read from a cursor at once */

typedef enum ChainTrial
{
	TRIAL_ACCEPTED,
	TRIAL_INCOMPLETE,			/* entries are still missing, or the author's certificate is: hold
								 * it */
	TRIAL_REFUSED				/* provably wrong */
} ChainTrial;

static void
chain_insert_entry(const char *origin, int64 seq, const PayloadFields *fields,
				   const char *payload, const uint8_t leaf[HASH_LEN])
{
	static SPIPlanPtr plan = NULL;
	Oid			types[9] = {
		TEXTOID, INT8OID, UUIDOID, TEXTOID, TIMESTAMPTZOID, TEXTOID, BYTEAOID,
		TEXTOID, BYTEAOID
	};
	Datum		values[9];
	char		nulls[9];

	memset(nulls, ' ', sizeof(nulls));
	values[0] = CStringGetTextDatum(origin);
	values[1] = Int64GetDatum(seq);
	values[2] = UUIDPGetDatum(&fields->id);
	values[3] = CStringGetTextDatum(fields->kind);
	values[4] = TimestampTzGetDatum(fields->time);
	values[5] = CStringGetTextDatum(fields->actor);
	values[6] = chain_bytea(fields->subject, HASH_LEN);
	if (!fields->has_subject)
		nulls[6] = 'n';
	values[7] = CStringGetTextDatum(payload);
	values[8] = chain_bytea(leaf, HASH_LEN);
	trusted_execute(&plan,
					"INSERT INTO medchain.entry (origin, seq, id, kind, \"time\", actor, subject, "
					"payload, leaf_hash) "
					"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
					9, types, values, nulls, false);
}

/*
 * How many entries of this range the source has sent.  Whatever reads what is held reads it as the
 * active snapshot sees it, from here to the end of the transaction: the source may be about to
 * replace an entry, and what is inserted has to be what was checked.
 */
static int64
chain_held_entries(const char *source, const char *origin, int64 first, int64 last)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[4] = {TEXTOID, TEXTOID, INT8OID, INT8OID};
	Datum		values[4];
	bool		isnull;
	int64		count;

	values[0] = CStringGetTextDatum(source);
	values[1] = CStringGetTextDatum(origin);
	values[2] = Int64GetDatum(first);
	values[3] = Int64GetDatum(last);
	trusted_read(&plan,
				 "SELECT count(*) FROM medchain.held_entry WHERE source = $1 AND origin = $2 "
				 "AND seq >= $3 AND seq < $4",
				 4, types, values);
	count = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	return count;
}

/*
 * Walk the held entries first .. last in order.  With check: add their leaves, collect the tile
 * hashes that these complete, and see that they are entries of this chain.  Without: they are
 * verified; insert them.
 */
static bool
chain_walk_entries(const char *source, const char *origin, int64 first, int64 last,
				   ChainCheck *check, TileBatch *tiles, bool *governance, const char **detail)
{
	static SPIPlanPtr plan = NULL;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "medchain entries",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = CurrentMemoryContext;
	Oid			types[4] = {TEXTOID, TEXTOID, INT8OID, INT8OID};
	Datum		values[4];
	Portal		cursor;
	bool		fine = true;

	values[0] = CStringGetTextDatum(source);
	values[1] = CStringGetTextDatum(origin);
	values[2] = Int64GetDatum(first);
	values[3] = Int64GetDatum(last);
	if (plan == NULL)
	{
		plan = SPI_prepare("SELECT seq, payload FROM medchain.held_entry WHERE source = $1 AND "
						   "origin = $2 "
						   "AND seq >= $3 AND seq < $4 ORDER BY seq", 4, types);
		SPI_keepplan(plan);
	}
	cursor = SPI_cursor_open(NULL, plan, values, NULL, true);
	for (;;)
	{
		SPITupleTable *batch;
		uint64		rows;

		SPI_cursor_fetch(cursor, true, CHAIN_FETCH);
		batch = SPI_tuptable;
		rows = SPI_processed;
		for (uint64 i = 0; i < rows && fine; i++)
		{
			PayloadFields fields;
			const char *reason = NULL;
			uint8_t		leaf[HASH_LEN];
			bool		isnull;
			int64		seq = DatumGetInt64(SPI_getbinval(batch->vals[i], batch->tupdesc, 1,
														  &isnull));
			char	   *payload;

			CHECK_FOR_INTERRUPTS();
			MemoryContextReset(context);
			MemoryContextSwitchTo(context);
			payload = TextDatumGetCString(SPI_getbinval(batch->vals[i], batch->tupdesc, 2,
														&isnull));
			if (!hash_leaf(payload, strlen(payload), leaf))
				elog(ERROR, "could not compute SHA-256");
			if (!payload_parse(payload, strlen(payload), &fields, &reason))
				fine = false;
			else if (strcmp(fields.origin, origin) != 0)
			{
				fine = false;
				reason = "payload is of another origin";
			}
			MemoryContextSwitchTo(caller);
			if (!fine)
				*detail = psprintf("entry %lld: %s", (long long) seq, reason);
			else if (check == NULL)
				chain_insert_entry(origin, seq, &fields, payload, leaf);
			else
			{
				if (!chain_check_leaf(check, leaf))
					elog(ERROR, "could not compute SHA-256");
				tile_batch_add(tiles, &check->range);
				*governance |= ledger_hooks.is_governance(fields.kind);
			}
		}
		SPI_freetuptable(batch);
		if (rows < CHAIN_FETCH || !fine)
			break;
	}
	SPI_cursor_close(cursor);
	MemoryContextDelete(context);
	return fine;
}

static TimestampTz
chain_sealed_time(const NoteBlock *block)
{
	return DatumGetTimestampTz(DirectFunctionCall3(timestamptz_in, CStringGetDatum(block->sealed),
												   ObjectIdGetDatum(InvalidOid),
												   Int32GetDatum(-1)));
}

/* One held block against the frontier. */
static ChainTrial
chain_try(const LocalNode *node, const char *origin, const char *source, const char *note,
		  const ChainTerms *terms,
		  ChainCheck *check, NoteBlock *block, TileBatch *tiles, bool *governance,
		  const char **reason, const char **detail)
{
	CoreError	error = {0};
	ChainCheck	trial = *check;
	const char *key_pem = chain_terms_key(terms, check->height + 1)->pem;
	const Key  *key = keycache_get(key_pem, strlen(key_pem), &error);
	const uint8_t *named = chain_terms_hash(terms, check->height + 1);
	int64		first = (int64) check->range.size;
	ChainFault	fault;

	if (check->height >= terms->last_height)
	{
		*reason = "chain is closed";
		*detail = psprintf("the member was expelled; its last block is %lld",
						   (long long) terms->last_height);
		return TRIAL_REFUSED;
	}
	if (key == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("ledger key of \"%s\" is unusable: %s", origin, error.message)));
	if (!note_parse_block(note, strlen(note), block, &error))
		fault = CHAIN_BAD_NOTE;
	else if (note_verify(note, strlen(note), check->name, key, &error) != KEY_VALID)
	{
		fault = CHAIN_BAD_SIGNATURE;
		if (error.message[0] == '\0')
			error_set(&error, CORE_MALFORMED, "no valid signature by the configured key of \"%s\"",
					  check->name);
	}
	else if (block->size < check->range.size)
	{
		fault = CHAIN_BAD_SIZE;
		error_set(&error, CORE_MALFORMED, "tree shrinks from %llu to %llu entries",
				  (unsigned long long) check->range.size, (unsigned long long) block->size);
	}
	else
	{
		if (chain_held_entries(source, origin, first, (int64) block->size) < (int64) block->size -
			first)
			return TRIAL_INCOMPLETE;
		*governance = false;
		tile_batch_init(tiles);
		if (!chain_walk_entries(source, origin, first, (int64) block->size, &trial, tiles,
								governance, detail))
		{
			*reason = "bad entry";
			return TRIAL_REFUSED;
		}
		fault = chain_check_block(&trial, note, strlen(note), NULL, block, &error);
		if (fault == CHAIN_FINE && block->height == 0 && node->has_genesis &&
			strcmp(origin, node->data_center) == 0 && !hash_equal(trial.head, node->genesis_hash))
		{
			*reason = "not the genesis block";
			return TRIAL_REFUSED;
		}
		if (fault == CHAIN_FINE && named != NULL && !hash_equal(trial.head, named))
		{
			*reason = "not the block that counts";
			*detail = psprintf("the data centre names another block %lld",
							   (long long) block->height);
			return TRIAL_REFUSED;
		}

		/* last, as what is provably wrong must not wait */
		if (fault == CHAIN_FINE && strcmp(origin, node->data_center) != 0 &&
			!ledger_hooks.may_seal(origin, first, chain_sealed_time(block)))
			return TRIAL_INCOMPLETE;
	}
	if (fault == CHAIN_FAILED)
		ereport(ERROR,
				(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
				 errmsg("could not check block: %s", error.message)));
	if (fault != CHAIN_FINE)
	{
		*reason = chain_fault_name(fault);
		*detail = pstrdup(error.message);
		return TRIAL_REFUSED;
	}
	*check = trial;
	return TRIAL_ACCEPTED;
}

/* Put a verified block and its entries into the ledger, and fold them. */
static void
chain_accept(const LocalNode *node, const char *origin, const char *source, const char *note,
			 const ChainCheck *check, const NoteBlock *block, TileBatch *tiles, int64 first,
			 bool governance)
{
	const char *detail;

	chain_writing = true;
	PG_TRY();
	{
		chain_walk_entries(source, origin, first, (int64) block->size, NULL, NULL, NULL, &detail);
		tile_batch_write(tiles, origin);
		chain_insert_block(origin, block, check->head, note);
	}
	PG_FINALLY();
	{
		chain_writing = false;
	}
	PG_END_TRY();
	chain_store(node, origin, check);
	if (governance)
	{
		ledger_hooks.fold(origin, first, (int64) block->size - 1);
		shared_state_changed();
	}
}

/*
 * The held rows that accepted blocks make superfluous; another block for the height of one of them
 * is evidence, and stays with its entries, as it may yet prove to be the one that counts: see
 * chain_reconsider().  Rows that an apply worker is about to replace are left for another time:
 * how long its transaction lasts is up to a peer.
 */
static void
chain_clear_held(const char *origin, const ChainCheck *check)
{
	static SPIPlanPtr evidence = NULL;
	static SPIPlanPtr entries = NULL;
	Oid			types[3] = {TEXTOID, INT8OID, INT8OID};
	Datum		values[3];

	values[0] = CStringGetTextDatum(origin);
	values[1] = Int64GetDatum(check->height);
	trusted_execute(&evidence,
					"WITH gone AS (DELETE FROM medchain.held_block WHERE ctid = ANY (ARRAY("
					"    SELECT ctid FROM medchain.held_block WHERE origin = $1 AND height <= $2 "
					"    FOR UPDATE SKIP LOCKED)) RETURNING source, height, note) "
					"INSERT INTO medchain.quarantine (source, origin, height, reason, note) "
					"SELECT g.source, $1, g.height, 'differs from accepted block', g.note "
					"FROM gone g LEFT JOIN medchain.block b ON b.origin = $1 AND b.height = "
					"g.height WHERE b.hash IS DISTINCT FROM "
					"sha256(convert_to(substr(g.note, 1, position(E'\\n\\n' IN g.note)), 'UTF8'))",
					2, types, values, NULL, false);
	values[1] = Int64GetDatum((int64) check->range.size);
	values[2] = Int64GetDatum(check->height);
	trusted_execute(&entries,
					"DELETE FROM medchain.held_entry WHERE ctid = ANY (ARRAY("
					"    SELECT ctid FROM medchain.held_entry WHERE origin = $1 AND seq < $2 "
					"    AND source NOT IN (SELECT q.source FROM medchain.quarantine q "
					"        WHERE q.origin = $1 AND q.height = $3 "
					"        AND q.reason = 'differs from accepted block') "
					"    FOR UPDATE SKIP LOCKED))",
					3, types, values, NULL, false);
}

/* Has something arrived for a height that is known here by now, from somebody who was slower? */
static bool
chain_has_late(const char *origin, int64 height)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[2] = {TEXTOID, INT8OID};
	Datum		values[2] = {CStringGetTextDatum(origin), Int64GetDatum(height)};

	trusted_execute(&plan, "SELECT FROM medchain.held_block WHERE origin = $1 AND height <= $2 "
					"LIMIT 1", 2, types, values, NULL, false);
	return SPI_processed > 0;
}

static void
chain_drop_held_block(const char *source, const char *origin, int64 height)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[3] = {TEXTOID, TEXTOID, INT8OID};
	Datum		values[3];

	values[0] = CStringGetTextDatum(source);
	values[1] = CStringGetTextDatum(origin);
	values[2] = Int64GetDatum(height);
	trusted_execute(&plan, "DELETE FROM medchain.held_block WHERE source = $1 AND origin = $2 AND "
					"height = $3",
					3, types, values, NULL, false);
}

/*
 * Judge the candidates for the next block of a chain; true: one of them became part of it.  One
 * that an apply worker is about to replace has to wait for that.
 */
static bool
chain_next(const LocalNode *node, const char *origin, const ChainTerms *terms, ChainCheck *check)
{
	static SPIPlanPtr candidates = NULL;
	Oid			types[2] = {TEXTOID, INT8OID};
	Datum		values[2];
	int64		first = (int64) check->range.size;
	int64		height = check->height + 1;
	SPITupleTable *held;
	uint64		nheld;
	bool		accepted = false;

	values[0] = CStringGetTextDatum(origin);
	values[1] = Int64GetDatum(height);
	trusted_execute(&candidates,
					"SELECT source, note FROM medchain.held_block WHERE origin = $1 AND "
					"height = $2 ORDER BY source FOR UPDATE SKIP LOCKED",
					2, types, values, NULL, false);
	held = SPI_tuptable;
	nheld = SPI_processed;
	for (uint64 i = 0; i < nheld && !accepted; i++)
	{
		char	   *source = SPI_getvalue(held->vals[i], held->tupdesc, 1);
		char	   *note = SPI_getvalue(held->vals[i], held->tupdesc, 2);
		NoteBlock	block = {0};
		TileBatch	tiles;
		bool		governance = false;
		const char *reason = NULL;
		const char *detail = NULL;

		switch (chain_try(node, origin, source, note, terms, check, &block, &tiles,
						  &governance, &reason, &detail))
		{
			case TRIAL_ACCEPTED:
				chain_accept(node, origin, source, note, check, &block, &tiles, first,
							 governance);
				chain_clear_held(origin, check);
				accepted = true;
				break;
			case TRIAL_REFUSED:
				chain_drop_held_block(source, origin, height);
				chain_quarantine(source, origin, height, reason, detail, note, first,
								 Max(first, (int64) block.size));
				break;
			case TRIAL_INCOMPLETE:
				break;
		}
	}
	SPI_freetuptable(held);
	return accepted;
}

bool
chain_advance(const char *origin, int64 enough)
{
	MemoryContext caller = CurrentMemoryContext;
	LocalNode	node;
	ChainCheck	check;
	uint64		start;
	bool		progress = true;

	if (!chain_local_node(&node) || !node.at_home || strcmp(origin, node.node) == 0)
		return false;
	if (!node.has_genesis && strcmp(origin, node.data_center) != 0)
		return false;
	chain_load(&node, origin, CHAIN_LOCK_NOWAIT, &check);
	start = check.range.size;
	if (chain_has_late(origin, check.height))
		chain_clear_held(origin, &check);
	while (progress && (int64) (check.range.size - start) < enough)
	{
		MemoryContext round = AllocSetContextCreate(caller, "medchain advance",
													ALLOCSET_DEFAULT_SIZES);
		ChainTerms	terms;

		MemoryContextSwitchTo(round);
		chain_terms(&node, origin, &terms);

		/* what was taken back is held now, which this transaction's snapshot does not show */
		if (chain_cut_superseded(&node, origin, &terms, &check))
		{
			MemoryContextSwitchTo(caller);
			MemoryContextDelete(round);
			return true;
		}
		progress = terms.keys != NIL &&
			(chain_next(&node, origin, &terms, &check) ||
			 chain_reconsider(&node, origin, &terms, check.height + 1));
		MemoryContextSwitchTo(caller);
		MemoryContextDelete(round);
	}
	return progress;
}
