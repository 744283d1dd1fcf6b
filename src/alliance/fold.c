/*
 * fold.c: where the ledger hands entries over to the alliance.
 *
 * The rules themselves are in src/rules, which the offline verifier shares.  This file gives them
 * the entries, from the sealer and the keeper alike.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "alliance/fold.h"
#include "alliance/rulebook.h"
#include "ledger/chain_terms.h"
#include "node/trusted.h"

#define FOLD_FETCH 100			/* entries at a time */
#define FOLD_TOGETHER 1000		/* that are settled together, unless they have more than that: */
#define FOLD_BYTES (4 * 1024 * 1024)

bool
fold_is_governance(const char *kind)
{
	ClaimKind	known;

	return claim_kind_from_name(kind, &known);
}

/* Up to where the claims of a chain are there; -1: there are none. */
static int64
fold_newest(const char *origin)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(origin)};
	int64		newest = -1;
	bool		isnull;

	(void) trusted_execute(&plan, "SELECT seq FROM medchain.claim WHERE origin = $1 "
						   "ORDER BY seq DESC LIMIT 1", 1, types, values, NULL, false);
	if (SPI_processed > 0)
		newest = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1,
											 &isnull));
	SPI_freetuptable(SPI_tuptable);
	return newest;
}

char *
fold_kinds(uint32 kinds)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "'{");
	for (int i = 0; i < CLAIM_KINDS; i++)
		if ((kinds & CLAIM_SET(i)) != 0)
			appendStringInfo(&sql, "%s%s", sql.len > 2 ? "," : "",
							 claim_kind_name((ClaimKind) i));
	appendStringInfoString(&sql, "}'::text[]");
	return sql.data;
}

char *
fold_select(uint32 kinds, const char *condition)
{
	return psprintf("SELECT e.origin, e.seq, e.payload, b.height, b.sealed FROM medchain.entry e "
					"CROSS JOIN LATERAL (SELECT x.height, x.sealed FROM medchain.block x "
					"WHERE x.origin = e.origin AND x.size > e.seq "
					"ORDER BY x.size, x.height LIMIT 1) b "
					"WHERE %s AND e.kind = ANY (%s) ORDER BY e.origin, e.seq", condition,
					fold_kinds(kinds));
}

bool
fold_fetch(Portal cursor, FoldVisit visit, void *state)
{
	SPITupleTable *rows;
	uint64		nrows;

	SPI_cursor_fetch(cursor, true, FOLD_FETCH);
	rows = SPI_tuptable;
	nrows = SPI_processed;
	for (uint64 i = 0; i < nrows; i++)
	{
		HeapTuple	row = rows->vals[i];
		TupleDesc	desc = rows->tupdesc;
		bool		isnull;
		char	   *origin = SPI_getvalue(row, desc, 1);
		char	   *payload = SPI_getvalue(row, desc, 3);
		FoldEntry	entry = {
			.origin = origin,
			.seq = DatumGetInt64(SPI_getbinval(row, desc, 2, &isnull)),
			.payload = payload,
			.len = strlen(payload),
			.height = DatumGetInt64(SPI_getbinval(row, desc, 4, &isnull)),
			.sealed = DatumGetTimestampTz(SPI_getbinval(row, desc, 5, &isnull))
		};

		visit(state, &entry);
		pfree(origin);
		pfree(payload);
	}
	SPI_freetuptable(rows);
	return nrows > 0;
}

Datum
fold_texts(const char *const *texts, size_t count)
{
	Datum	   *values = palloc(Max(count, 1) * sizeof(Datum));
	bool	   *nulls = palloc(Max(count, 1) * sizeof(bool));
	int			dims[1] = {(int) count};
	int			bounds[1] = {1};

	if (count == 0)
		return PointerGetDatum(construct_empty_array(TEXTOID));
	for (size_t i = 0; i < count; i++)
	{
		nulls[i] = texts[i] == NULL;
		values[i] = nulls[i] ? (Datum) 0 : CStringGetTextDatum(texts[i]);
	}
	return PointerGetDatum(construct_md_array(values, nulls, 1, dims, bounds, TEXTOID, -1, false,
											  TYPALIGN_INT));
}

/* The entries of that range that the state depends on, each with height and time of its block. */
static Portal
fold_cursor(const char *origin, int64 first, int64 last)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[3] = {TEXTOID, INT8OID, INT8OID};
	Datum		values[3] = {
		CStringGetTextDatum(origin), Int64GetDatum(first), Int64GetDatum(last)
	};

	trusted_plan_anew(&plan, plan != NULL ? NULL :
			   fold_select(CLAIM_SET_ALL, "e.origin = $1 AND e.seq BETWEEN $2 AND $3"), 3, types);
	return SPI_cursor_open(NULL, plan, values, NULL, false);
}

/* What is taken of a range, to be settled together. */
typedef struct FoldTaken
{
	Rulebook   *book;
	int			count;
	size_t		bytes;
	int64		last;
} FoldTaken;

static void
fold_visit(void *state, const FoldEntry *entry)
{
	FoldTaken  *taken = state;

	node_store_entry(taken->book->store, entry->payload, entry->len);
	(void) rules_take(taken->book->rules, entry->payload, entry->len, entry->origin, entry->seq,
					  entry->height, entry->sealed);
	taken->count++;
	taken->bytes += entry->len;
	taken->last = entry->seq;
}

/* Take the next entries of a range; false if there are none. */
static bool
fold_take(Rulebook *book, Portal cursor, int64 *last)
{
	FoldTaken	taken = {.book = book};

	while (fold_fetch(cursor, fold_visit, &taken) && taken.count < FOLD_TOGETHER &&
		   taken.bytes < FOLD_BYTES)
		continue;
	*last = taken.last;
	return taken.count > 0;
}

void
fold_entries(const char *origin, int64 first, int64 last)
{
	Rulebook   *book = rulebook_write();
	int64		newest;
	int64		taken;
	Portal		cursor;

	if (book == NULL)
		return;
	newest = fold_newest(origin);
	cursor = fold_cursor(origin, Max(first, newest + 1), last);
	for (;;)
	{
		if (newest < first)
			node_store_fresh(book->store, origin, first);
		if (!fold_take(book, cursor, &taken))
			break;
		node_store_prefetch(book->store);
		rules_settle(book->rules, origin, first, taken);
		node_store_end(book->store);
		first = taken + 1;
		CHECK_FOR_INTERRUPTS();
	}
	SPI_cursor_close(cursor);
	rulebook_close(book);
}

void
fold_forget(const char *origin, int64 first)
{
	Rulebook   *book = rulebook_write();

	if (book == NULL)
		return;
	rules_forget(book->rules, origin, first);
	book->gone = true;
	rulebook_close(book);
}

PG_FUNCTION_INFO_V1(medchain_fold_entries);

/* fold_entries(origin text, first bigint, last bigint) -> void */
Datum
medchain_fold_entries(PG_FUNCTION_ARGS)
{
	TrustedScope scope;

	trusted_begin(&scope);
	fold_entries(text_to_cstring(PG_GETARG_TEXT_PP(0)), PG_GETARG_INT64(1), PG_GETARG_INT64(2));
	trusted_end(&scope);
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(medchain_fold_forget);

/* fold_forget(origin text, first bigint) -> void */
Datum
medchain_fold_forget(PG_FUNCTION_ARGS)
{
	TrustedScope scope;

	trusted_begin(&scope);
	fold_forget(text_to_cstring(PG_GETARG_TEXT_PP(0)), PG_GETARG_INT64(1));
	trusted_end(&scope);
	PG_RETURN_VOID();
}

bool
fold_changes_key(const char *kind)
{
	return strcmp(kind, "rekey") == 0;
}

/* A bytea column of the current result; false for null. */
static bool
fold_hash(HeapTuple row, TupleDesc desc, int column, uint8_t hash[HASH_LEN])
{
	bool		isnull;
	Datum		value = SPI_getbinval(row, desc, column, &isnull);

	if (isnull || VARSIZE_ANY_EXHDR(DatumGetByteaPP(value)) != HASH_LEN)
		return false;
	memcpy(hash, VARDATA_ANY(DatumGetByteaPP(value)), HASH_LEN);
	return true;
}

/* Which of two blocks of a height counts. */
static void
fold_choices(const char *origin, ChainTerms *terms)
{
	static SPIPlanPtr plan = NULL;
	MemoryContext context = CurrentMemoryContext;
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(origin)};

	trusted_execute(&plan, "SELECT DISTINCT height, counts FROM medchain.fork WHERE member = $1 "
					"AND counts IS NOT NULL ORDER BY height", 1, types, values, NULL, false);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		MemoryContext old = MemoryContextSwitchTo(context);
		ChainChoice *choice = palloc0(sizeof(ChainChoice));
		bool		isnull;

		choice->height = DatumGetInt64(SPI_getbinval(row, desc, 1, &isnull));
		if (fold_hash(row, desc, 2, choice->hash))
			terms->choices = lappend(terms->choices, choice);
		MemoryContextSwitchTo(old);
	}
	SPI_freetuptable(SPI_tuptable);
}

void
fold_ledger_terms(const char *origin, ChainTerms *terms)
{
	static SPIPlanPtr plan = NULL;
	MemoryContext context = CurrentMemoryContext;
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(origin)};

	trusted_execute(&plan, "SELECT k.from_height, k.public_key, k.follows, m.last_height, "
					"m.last_hash "
					"FROM medchain.ledger_key k JOIN medchain.member m ON m.name = k.member "
					"WHERE k.member = $1 ORDER BY k.from_height", 1, types, values, NULL, false);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		MemoryContext old = MemoryContextSwitchTo(context);
		ChainKey   *key = palloc0(sizeof(ChainKey));
		bool		isnull;
		int64		last;

		key->from_height = DatumGetInt64(SPI_getbinval(row, desc, 1, &isnull));
		key->pem = SPI_getvalue(row, desc, 2);
		key->pem = MemoryContextStrdup(context, key->pem);
		key->named = fold_hash(row, desc, 3, key->follows);
		last = DatumGetInt64(SPI_getbinval(row, desc, 4, &isnull));
		if (!isnull)
		{
			terms->last_height = last;
			terms->last_named = fold_hash(row, desc, 5, terms->last_hash);
		}
		terms->keys = lappend(terms->keys, key);
		MemoryContextSwitchTo(old);
	}
	SPI_freetuptable(SPI_tuptable);
	fold_choices(origin, terms);
}

bool
fold_may_seal(const char *origin, int64 first, TimestampTz sealed)
{
	Rulebook   *book = rulebook_read(true);
	bool		may;

	if (book == NULL)
		return true;
	may = rules_may_seal(book->rules, origin, first, sealed);
	rulebook_close(book);
	return may;
}
