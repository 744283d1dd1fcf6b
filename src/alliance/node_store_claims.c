/*
 * node_store_claims.c: writing claims, and removing them.
 *
 * There is one for each entry that the state depends on, so they are not written as the texts that
 * other rows are: what a claim has in memory as PostgreSQL has it is handed over as it is.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "alliance/node_store_internal.h"
#include "node/trusted.h"

#define CLAIM_COLUMNS 12

/* Values for a statement, column by column. */
typedef struct ClaimBatch
{
	int			ncolumns;
	const Oid  *types;			/* of the columns */
	const Oid  *arrays;			/* of arrays of these */
	const char *sql;
	SPIPlanPtr *plan;
	Datum	   *values[CLAIM_COLUMNS];
	bool	   *nulls[CLAIM_COLUMNS];
	int			count;
} ClaimBatch;

static void
claims_begin(ClaimBatch *batch)
{
	for (int i = 0; i < batch->ncolumns; i++)
	{
		batch->values[i] = palloc(WRITE_ROWS * sizeof(Datum));
		batch->nulls[i] = palloc(WRITE_ROWS * sizeof(bool));
	}
}

static Datum
claims_array(const ClaimBatch *batch, int column)
{
	int			dims[1] = {batch->count};
	int			bounds[1] = {1};
	int16		len;
	bool		by_value;
	char		align;

	get_typlenbyvalalign(batch->types[column], &len, &by_value, &align);
	return PointerGetDatum(construct_md_array(batch->values[column], batch->nulls[column], 1, dims,
											  bounds, batch->types[column], len, by_value, align));
}

/* Run the statement, and empty the batch with all that its values point to. */
static void
claims_write(NodeStore *store, ClaimBatch *batch)
{
	Datum		arrays[CLAIM_COLUMNS];

	if (batch->count == 0)
		return;
	for (int i = 0; i < batch->ncolumns; i++)
		arrays[i] = claims_array(batch, i);
	(void) trusted_execute(batch->plan, batch->sql, batch->ncolumns, (Oid *) batch->arrays, arrays,
						   NULL, false);
	batch->count = 0;
	MemoryContextReset(store->temp);
}

static void
claims_set(ClaimBatch *batch, int column, Datum value)
{
	batch->values[column][batch->count] = value;
	batch->nulls[column][batch->count] = false;
}

static void
claims_set_text(ClaimBatch *batch, int column, const char *string)
{
	batch->nulls[column][batch->count] = string == NULL;
	batch->values[column][batch->count] = string != NULL ? CStringGetTextDatum(string) : (Datum) 0;
}

/* The values are in the current memory context, what is in the pool is read. */
static void
claims_add(ClaimBatch *batch, Pool *pool, const Claim *claim)
{
	claims_set_text(batch, 0, claim->origin);
	claims_set(batch, 1, Int64GetDatum(claim->seq));
	claims_set_text(batch, 2, claim->id);
	claims_set_text(batch, 3, claim_kind_name(claim->kind));
	claims_set(batch, 4, TimestampTzGetDatum(claim->time));
	claims_set(batch, 5, Int64GetDatum(claim->height));
	claims_set(batch, 6, TimestampTzGetDatum(claim->sealed));
	claims_set_text(batch, 7, claim->about);
	claims_set(batch, 8, claim->has_subject ? trusted_bytea(claim->subject, HASH_LEN) : (Datum) 0);
	batch->nulls[8][batch->count] = !claim->has_subject;
	claims_set_text(batch, 9, json_slice_canonical(pool, claim->body, NULL));
	claims_set(batch, 10, BoolGetDatum(claim->effective));
	claims_set_text(batch, 11, claim->effective ? NULL : claim->reason);
	batch->count++;
	pool_reset(pool);
}

/* Of those that were not there: no claim is folded twice. */
static void
claims_begin_fresh(ClaimBatch *batch)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[CLAIM_COLUMNS] = {
		TEXTOID, INT8OID, TEXTOID, TEXTOID, TIMESTAMPTZOID, INT8OID, TIMESTAMPTZOID, TEXTOID,
		BYTEAOID, TEXTOID, BOOLOID, TEXTOID
	};
	static const Oid arrays[CLAIM_COLUMNS] = {
		TEXTARRAYOID, INT8ARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TIMESTAMPTZARRAYOID, INT8ARRAYOID,
		TIMESTAMPTZARRAYOID, TEXTARRAYOID, BYTEAARRAYOID, TEXTARRAYOID, BOOLARRAYOID, TEXTARRAYOID
	};

	batch->ncolumns = CLAIM_COLUMNS;
	batch->types = types;
	batch->arrays = arrays;
	batch->plan = &plan;
	batch->sql = "INSERT INTO medchain.claim (origin, seq, id, kind, \"time\", height, sealed, "
		"about, subject, body, effective, reason) "
		"SELECT unnest($1), unnest($2), unnest($3)::uuid, unnest($4), unnest($5), unnest($6), "
		"unnest($7), unnest($8), unnest($9), unnest($10)::jsonb, unnest($11), unnest($12)";
	claims_begin(batch);
}

static void
claims_begin_judged(ClaimBatch *batch)
{
	static SPIPlanPtr plan = NULL;
	static const Oid types[3] = {TEXTOID, INT8OID, TEXTOID};
	static const Oid arrays[3] = {TEXTARRAYOID, INT8ARRAYOID, TEXTARRAYOID};

	batch->ncolumns = lengthof(types);
	batch->types = types;
	batch->arrays = arrays;
	batch->plan = &plan;
	batch->sql = "UPDATE medchain.claim c SET effective = u.reason IS NULL, reason = u.reason "
		"FROM (SELECT unnest($1) AS origin, unnest($2) AS seq, unnest($3) AS reason) u "
		"WHERE c.origin = u.origin AND c.seq = u.seq";
	claims_begin(batch);
}

void
store_write_claims(NodeStore *store)
{
	ClaimQuery	query = {.kinds = CLAIM_SET_ALL};
	Pool	   *pool = pool_new();
	ClaimBatch	fresh = {0};
	ClaimBatch	judged = {0};
	MemoryContext old;

	claims_begin_fresh(&fresh);
	claims_begin_judged(&judged);
	old = MemoryContextSwitchTo(store->temp);
	for (const WaitingClaim *waiting = store->claim_list; waiting != NULL; waiting = waiting->next)
	{
		Claim		claim;

		if (!waiting->fresh)
			continue;
		query.origin = waiting->origin;
		query.first = query.last = waiting->seq;
		if (!memory_store.claim_next(store->cache, &query, NULL, NULL, &claim))
			elog(ERROR, "a claim of chain \"%s\" got lost", waiting->origin);
		claims_add(&fresh, pool, &claim);
		if (fresh.count == WRITE_ROWS)
			claims_write(store, &fresh);
	}
	claims_write(store, &fresh);
	for (const WaitingClaim *waiting = store->claim_list; waiting != NULL; waiting = waiting->next)
	{
		if (waiting->fresh || !waiting->judged)
			continue;
		claims_set_text(&judged, 0, waiting->origin);
		claims_set(&judged, 1, Int64GetDatum(waiting->seq));
		claims_set_text(&judged, 2, waiting->reason);
		if (++judged.count == WRITE_ROWS)
			claims_write(store, &judged);
	}
	claims_write(store, &judged);
	MemoryContextSwitchTo(old);
	pool_free(pool);
}

uint32
store_remove_claims(NodeStore *store, const char *origin, int64 first)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[2] = {TEXTOID, INT8OID};
	Datum		values[2] = {CStringGetTextDatum(origin), Int64GetDatum(first)};
	uint32		kinds = 0;

	(void) trusted_execute(&plan, "WITH gone AS (DELETE FROM medchain.claim WHERE origin = $1 "
						   "AND seq >= $2 RETURNING kind) SELECT DISTINCT kind FROM gone", 2,
						   types, values, NULL, false);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		char	   *name = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
		ClaimKind	kind;

		if (claim_kind_from_name(name, &kind))
			kinds |= CLAIM_SET(kind);
	}
	SPI_freetuptable(SPI_tuptable);
	CommandCounterIncrement();
	return kinds;
}
