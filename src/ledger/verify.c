/*
 * verify.c: medchain.verify(): recompute everything this database says about its chains.
 *
 * For each origin, block by block: every payload is hashed again, every index
 * column is compared with what it is an index over, the tree is grown, and
 * chain_check_block() judges the header as the apply hook would.  Then the
 * frontier, the state, which is folded anew and compared (fold_faults(), in
 * fold.sql), and the tiles.  The first fault of an origin ends its walk: what follows a
 * broken link means nothing.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
#include "utils/uuid.h"

#include "compat.h"
#include "ledger/chain.h"
#include "ledger/keycache.h"
#include "ledger/payload.h"
#include "ledger/tile.h"
#include "ledger/trusted.h"

#define VERIFY_FETCH 1000		/* rows read from a cursor at once */

typedef struct Verification
{
	const char *origin;
	int64		since;			/* first height whose entries are hashed again */
	ChainCheck	check;
	TileAudit	tiles;
	const Key  *key;			/* NULL: not configured */
	int64		blocks;
	int64		entries;
	int64		height;			/* where the fault is; -1: none, or not at a block */
	char	   *fault;			/* NULL: none */
	char	   *detail;
	MemoryContext context;		/* of fault and detail */
} Verification;

/* Entries are read in step with the blocks that close over them. */
typedef struct EntryReader
{
	Portal		cursor;
	SPITupleTable *batch;
	uint64		rows;
	uint64		next;
} EntryReader;

static void verify_fault(Verification *v, int64 height, const char *fault, const char *fmt,...)
			pg_attribute_printf(4, 5);

static void
verify_fault(Verification *v, int64 height, const char *fault, const char *fmt,...)
{
	va_list		args;
	char		text[1024];

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	v->height = height;
	v->fault = MemoryContextStrdup(v->context, fault);
	v->detail = MemoryContextStrdup(v->context, text);
}

static Portal
verify_open(const char *sql, const char *origin)
{
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(origin)};

	return SPI_cursor_open_with_args(NULL, sql, 1, types, values, NULL, true, CURSOR_OPT_NO_SCROLL);
}

static HeapTuple
verify_next_entry(EntryReader *reader, TupleDesc *desc)
{
	if (reader->next == reader->rows)
	{
		if (reader->batch != NULL)
			SPI_freetuptable(reader->batch);
		SPI_cursor_fetch(reader->cursor, true, VERIFY_FETCH);
		reader->batch = SPI_tuptable;
		reader->rows = SPI_processed;
		reader->next = 0;
		if (reader->rows == 0)
			return NULL;
	}
	*desc = reader->batch->tupdesc;
	return reader->batch->vals[reader->next++];
}

static bool
verify_same_text(HeapTuple row, TupleDesc desc, int column, const char *expected)
{
	bool		isnull;
	Datum		value = SPI_getbinval(row, desc, column, &isnull);

	return !isnull && strcmp(TextDatumGetCString(value), expected) == 0;
}

static bool
verify_same_bytes(HeapTuple row, TupleDesc desc, int column, const uint8_t *expected, bool expected_null)
{
	bool		isnull;
	Datum		value = SPI_getbinval(row, desc, column, &isnull);
	bytea	   *bytes;

	if (isnull || expected_null)
		return isnull && expected_null;
	bytes = DatumGetByteaPP(value);
	return VARSIZE_ANY_EXHDR(bytes) == HASH_LEN && memcmp(VARDATA_ANY(bytes), expected, HASH_LEN) == 0;
}

/* Columns: seq, id, kind, time, actor, subject, payload, leaf_hash. */
static bool
verify_entry(Verification *v, int64 height, HeapTuple row, TupleDesc desc, bool hash_again)
{
	bool		isnull;
	int64		seq = DatumGetInt64(SPI_getbinval(row, desc, 1, &isnull));
	char	   *payload;
	PayloadFields fields;
	const char *reason;
	uint8_t		leaf[HASH_LEN];

	if (seq != (int64) v->check.range.size)
	{
		verify_fault(v, height, "missing entry", "entry %lld is missing; the next one here is %lld",
					 (long long) v->check.range.size, (long long) seq);
		return false;
	}
	if (!hash_again)
	{
		bytea	   *stored = DatumGetByteaPP(SPI_getbinval(row, desc, 8, &isnull));

		if (VARSIZE_ANY_EXHDR(stored) != HASH_LEN)
		{
			verify_fault(v, height, "bad leaf hash", "entry %lld: leaf_hash has %d bytes", (long long) seq,
						 (int) VARSIZE_ANY_EXHDR(stored));
			return false;
		}
		memcpy(leaf, VARDATA_ANY(stored), HASH_LEN);
	}
	else
	{
		payload = TextDatumGetCString(SPI_getbinval(row, desc, 7, &isnull));
		if (!hash_leaf(payload, strlen(payload), leaf))
			elog(ERROR, "could not compute SHA-256");
		if (!verify_same_bytes(row, desc, 8, leaf, false))
		{
			verify_fault(v, height, "bad leaf hash", "entry %lld: leaf_hash is not the hash of payload", (long long) seq);
			return false;
		}
		if (!payload_parse(payload, strlen(payload), &fields, &reason))
		{
			verify_fault(v, height, "bad entry", "entry %lld: %s", (long long) seq, reason);
			return false;
		}
		reason = NULL;
		if (strcmp(fields.origin, v->origin) != 0)
			reason = "origin";
		else if (memcmp(DatumGetUUIDP(SPI_getbinval(row, desc, 2, &isnull))->data, fields.id.data, UUID_LEN) != 0)
			reason = "id";
		else if (!verify_same_text(row, desc, 3, fields.kind))
			reason = "kind";
		else if (DatumGetTimestampTz(SPI_getbinval(row, desc, 4, &isnull)) != fields.time)
			reason = "time";
		else if (!verify_same_text(row, desc, 5, fields.actor))
			reason = "actor";
		else if (!verify_same_bytes(row, desc, 6, fields.subject, !fields.has_subject))
			reason = "subject";
		if (reason != NULL)
		{
			verify_fault(v, height, "bad index column", "entry %lld: column %s differs from the payload",
						 (long long) seq, reason);
			return false;
		}
		v->entries++;
	}
	if (!chain_check_leaf(&v->check, leaf))
		elog(ERROR, "could not compute SHA-256");
	tile_audit_leaf(&v->tiles, &v->check.range, height);
	return true;
}

/* Columns: height, size, root, previous, hash, sealed as the note spells it, note. */
static bool
verify_block(Verification *v, HeapTuple row, TupleDesc desc, EntryReader *entries)
{
	bool		isnull;
	int64		height = DatumGetInt64(SPI_getbinval(row, desc, 1, &isnull));
	int64		size = DatumGetInt64(SPI_getbinval(row, desc, 2, &isnull));
	char	   *note = TextDatumGetCString(SPI_getbinval(row, desc, 7, &isnull));
	bool		again = height >= v->since;
	NoteBlock	block;
	CoreError	error = {0};
	ChainFault	fault;
	const char *column = NULL;

	if (height != v->check.height + 1)
	{
		verify_fault(v, v->check.height + 1, "missing block", "block %lld is missing; the next one here is %lld",
					 (long long) (v->check.height + 1), (long long) height);
		return false;
	}
	while ((int64) v->check.range.size < size)
	{
		TupleDesc	entry_desc;
		HeapTuple	entry = verify_next_entry(entries, &entry_desc);

		CHECK_FOR_INTERRUPTS();
		if (entry == NULL)
		{
			verify_fault(v, height, "missing entry", "entry %lld is missing", (long long) v->check.range.size);
			return false;
		}
		if (!verify_entry(v, height, entry, entry_desc, again))
			return false;
	}
	fault = chain_check_block(&v->check, note, strlen(note), again ? v->key : NULL, &block, &error);
	if (fault == CHAIN_FAILED)
		ereport(ERROR,
				(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
				 errmsg("could not check block: %s", error.message)));
	if (fault != CHAIN_FINE)
	{
		verify_fault(v, height, chain_fault_name(fault), "%s", error.message);
		return false;
	}
	if (size != (int64) block.size)
		column = "size";
	else if (!verify_same_bytes(row, desc, 3, block.root, false))
		column = "root";
	else if (!verify_same_bytes(row, desc, 4, block.previous, false))
		column = "previous";
	else if (!verify_same_bytes(row, desc, 5, v->check.head, false))
		column = "hash";
	else if (!verify_same_text(row, desc, 6, block.sealed))
		column = "sealed";
	if (column != NULL)
	{
		verify_fault(v, height, "bad index column", "block %lld: column %s differs from the note",
					 (long long) height, column);
		return false;
	}
	if (again)
		v->blocks++;
	return true;
}

static void
verify_walk(Verification *v)
{
	EntryReader entries = {0};
	Portal		blocks;
	MemoryContext round = AllocSetContextCreate(CurrentMemoryContext, "medchain verify", ALLOCSET_DEFAULT_SIZES);
	bool		fine = true;

	entries.cursor = verify_open("SELECT seq, id, kind, \"time\", actor, subject, payload, leaf_hash "
								 "FROM medchain.entry WHERE origin = $1 ORDER BY seq", v->origin);
	blocks = verify_open("SELECT height, size, root, previous, hash, "
						 "to_char(sealed AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), note "
						 "FROM medchain.block WHERE origin = $1 ORDER BY height", v->origin);
	while (fine)
	{
		SPITupleTable *batch;
		uint64		rows;

		SPI_cursor_fetch(blocks, true, VERIFY_FETCH);
		batch = SPI_tuptable;
		rows = SPI_processed;
		for (uint64 i = 0; i < rows && fine; i++)
		{
			MemoryContext old = MemoryContextSwitchTo(round);

			fine = verify_block(v, batch->vals[i], batch->tupdesc, &entries);
			MemoryContextSwitchTo(old);
			MemoryContextReset(round);
		}
		SPI_freetuptable(batch);
		if (rows == 0)
			break;
	}
	if (fine)
	{
		TupleDesc	desc;
		HeapTuple	entry = verify_next_entry(&entries, &desc);

		if (entry != NULL)
		{
			bool		isnull;

			verify_fault(v, v->check.height, "entry beyond head", "entry %lld is in no block",
						 (long long) DatumGetInt64(SPI_getbinval(entry, desc, 1, &isnull)));
		}
	}
	SPI_cursor_close(blocks);
	SPI_cursor_close(entries.cursor);
	MemoryContextDelete(round);
}

/* medchain.chain must stand exactly where the walk ended. */
static void
verify_frontier(Verification *v, const LocalNode *node)
{
	ChainCheck	stored;

	/* by the snapshot of the walk, or a block sealed meanwhile would look like a fault */
	chain_load(node, v->origin, CHAIN_SNAPSHOT, &stored);
	if (stored.height != v->check.height)
		verify_fault(v, Min(stored.height, v->check.height) + 1, stored.height > v->check.height ? "missing block" : "bad frontier",
					 "medchain.chain stands at height %lld, the last block is %lld",
					 (long long) stored.height, (long long) v->check.height);
	else if (!hash_equal(stored.head, v->check.head))
		verify_fault(v, v->check.height, "bad frontier", "head in medchain.chain is not that of the last block");
	else if (stored.range.size != v->check.range.size ||
			 memcmp(stored.range.hashes, v->check.range.hashes, (size_t) v->check.range.nhashes * HASH_LEN) != 0)
		verify_fault(v, v->check.height, "bad frontier", "tree in medchain.chain is not that of the entries");
}

/* The state is folded again in temporary tables, which these do not allow. */
static bool
verify_can_fold(void)
{
	return !RecoveryInProgress() && !XactReadOnly;
}

/*
 * Tiles come last: they only repeat what the entries say, and where these are
 * wrong, the tiles differ as well.
 */
static void
verify_tiles(Verification *v)
{
	tile_audit_end(&v->tiles, &v->check.range, v->check.height);
	if (v->tiles.detail != NULL)
		verify_fault(v, v->tiles.height, "bad tile", "%s", v->tiles.detail);
}

/* The first difference, for each origin, between the state and the fold of the ledger; NULL if that can't be said. */
static SPITupleTable *
verify_fold(void)
{
	if (!verify_can_fold())
		return NULL;
	SPI_execute("SELECT DISTINCT ON (origin) origin, detail FROM medchain.fold_faults() ORDER BY origin, detail", false, 0);
	return SPI_tuptable;
}

static void
verify_state(Verification *v, SPITupleTable *faults)
{
	for (uint64 i = 0; faults != NULL && i < faults->numvals && v->fault == NULL; i++)
		if (verify_same_text(faults->vals[i], faults->tupdesc, 1, v->origin))
			verify_fault(v, -1, "state differs from the ledger", "%s",
						 SPI_getvalue(faults->vals[i], faults->tupdesc, 2));
}

static void
verify_origin(Verification *v, const LocalNode *node, const char *origin, int64 since, SPITupleTable *state_faults)
{
	char	   *pem = chain_key(node, origin, 0);
	CoreError	error = {0};

	memset(v, 0, sizeof(*v));
	v->origin = origin;
	v->since = since;
	v->height = -1;
	v->context = CurrentMemoryContext;

	/* the empty state of this chain, not what medchain.chain says */
	chain_start(node, origin, &v->check);
	tile_audit_init(&v->tiles, origin);
	if (pem != NULL)
	{
		v->key = keycache_get(pem, strlen(pem), &error);
		if (v->key == NULL)
		{
			verify_fault(v, -1, "bad key", "ledger key is unusable: %s", error.message);
			return;
		}
	}
	verify_walk(v);
	if (v->fault == NULL && strcmp(origin, node->data_center) == 0 && node->has_genesis)
	{
		/* the first block of the alliance is pinned, so that nobody can replace the whole chain */
		Oid			types[2] = {TEXTOID, BYTEAOID};
		Datum		values[2] = {CStringGetTextDatum(origin), chain_bytea(node->genesis_hash, HASH_LEN)};

		SPI_execute_with_args("SELECT FROM medchain.block WHERE origin = $1 AND height = 0 AND hash <> $2",
							  2, types, values, NULL, true, 1);
		if (SPI_processed > 0)
			verify_fault(v, 0, "bad genesis", "the first block is not the genesis block this node has joined");
	}
	if (v->fault == NULL)
		verify_frontier(v, node);
	if (v->fault == NULL)
		verify_state(v, state_faults);
	if (v->fault == NULL)
		verify_tiles(v);
	if (v->fault == NULL && v->key == NULL && v->check.height >= 0)
		v->detail = "signatures were not checked: the ledger is not configured yet";
	if (v->fault == NULL && !verify_can_fold())
		v->detail = "the state was not folded again: the transaction is read-only";
}

/* Every chain there is a trace of, or the one asked for. */
static List *
verify_origins(const char *only)
{
	MemoryContext context = CurrentMemoryContext;
	Oid			types[1] = {TEXTOID};
	Datum		values[1];
	char		nulls[1] = {only ? ' ' : 'n'};
	List	   *origins = NIL;

	values[0] = only ? CStringGetTextDatum(only) : (Datum) 0;
	SPI_execute_with_args("SELECT origin FROM (SELECT origin FROM medchain.chain UNION SELECT node FROM medchain.local_node "
						  "UNION SELECT name FROM medchain.member "
						  "UNION (WITH RECURSIVE o AS ((SELECT min(origin) AS origin FROM medchain.block) UNION ALL "
						  "  SELECT (SELECT min(origin) FROM medchain.block b WHERE b.origin > o.origin) FROM o WHERE o.origin IS NOT NULL) "
						  "  SELECT origin FROM o)) x "
						  "WHERE origin IS NOT NULL AND origin = coalesce($1, origin) ORDER BY origin COLLATE \"C\"",
						  1, types, values, nulls, true, 0);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		char	   *origin = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
		MemoryContext old = MemoryContextSwitchTo(context);

		origins = lappend(origins, pstrdup(origin));
		MemoryContextSwitchTo(old);
	}
	if (only != NULL && origins == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no chain \"%s\" here", only),
				 errhint("See the view medchain.chains.")));
	return origins;
}

PG_FUNCTION_INFO_V1(medchain_verify);

/* verify(origin text, since_height bigint) -> setof (origin, blocks, entries, ok, height, fault, detail) */
Datum
medchain_verify(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	const char *only = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	int64		since = PG_ARGISNULL(1) ? 0 : PG_GETARG_INT64(1);
	TrustedScope scope;
	LocalNode	node;
	ListCell   *cell;
	SPITupleTable *state_faults;

	if (since < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("since_height must not be negative")));
	InitMaterializedSRF(fcinfo, 0);
	trusted_begin(&scope);
	if (!chain_local_node(&node))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this database is not a node of an alliance"),
				 errhint("Call medchain.found_alliance() or medchain.join_alliance() first.")));
	state_faults = verify_fold();
	foreach(cell, verify_origins(only))
	{
		Verification v;
		Datum		values[7];
		bool		nulls[7] = {false};

		if (!node.has_genesis && strcmp((char *) lfirst(cell), node.data_center) != 0)
			continue;
		verify_origin(&v, &node, lfirst(cell), since, state_faults);
		values[0] = CStringGetTextDatum(v.origin);
		values[1] = Int64GetDatum(v.blocks);
		values[2] = Int64GetDatum(v.entries);
		values[3] = BoolGetDatum(v.fault == NULL);
		values[4] = Int64GetDatum(v.height);
		nulls[4] = v.height < 0;
		values[5] = v.fault ? CStringGetTextDatum(v.fault) : (Datum) 0;
		nulls[5] = v.fault == NULL;
		values[6] = v.detail ? CStringGetTextDatum(v.detail) : (Datum) 0;
		nulls[6] = v.detail == NULL;
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	trusted_end(&scope);
	return (Datum) 0;
}
