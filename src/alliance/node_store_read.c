/*
 * node_store_read.c: claims, entries and facts out of the tables.
 *
 * Claims are wanted in the order of (origin in byte order, seq), which is not that of a key of the
 * table where the database has another collation.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "alliance/fold.h"
#include "alliance/node_store_internal.h"
#include "core/encode.h"
#include "node/trusted.h"

/* With the leaf hash of the entry: facts are kept under it. */
#define CLAIM_COLUMNS_WITH(body) \
	"c.origin, c.seq, c.id, c.kind, c.\"time\", c.height, c.sealed, c.about, c.subject, " \
	body ", c.effective, c.reason, e.leaf_hash"

/*
 * A long body is read when somebody asks for it: what an entry costs must not depend on how much
 * others say about the same protocol or examinee.  The size is that on disk, which costs nothing.
 */
#define CLAIM_COLUMNS \
	CLAIM_COLUMNS_WITH("CASE WHEN pg_catalog.pg_column_size(c.body) <= 4000 THEN c.body END")
#define CLAIM_COLUMNS_READ CLAIM_COLUMNS_WITH("c.body")
#define CLAIM_ENTRY "LEFT JOIN medchain.entry e ON e.origin = c.origin AND e.seq = c.seq "

/* As in the predicate of an index (state.sql), so that it is used. */
#define MEMBER_KINDS \
	"ANY ('{genesis,contract,acceptance,configure,suspend,reinstate,expel,ending,rekey,crl," \
	"anchors,fork}'" \
	"::text[])"
#define BYTES "COLLATE \"C\""

/* A statement as the store runs them: it sees what was written here before, or a moment. */
static void
store_execute(NodeStore *store, SPIPlanPtr *plan, const char *sql, int nargs, Oid *types,
			  Datum *values)
{
	if (store->write)
		(void) trusted_execute(plan, sql, nargs, types, values, NULL, false);
	else
		trusted_read(plan, sql, nargs, types, values);
}

/* ----- values of a row ----- */

static Datum
store_value(HeapTuple row, TupleDesc desc, int column)
{
	bool		isnull;
	Datum		value = SPI_getbinval(row, desc, column, &isnull);

	return isnull ? (Datum) 0 : value;
}

static char *
store_text(Pool *pool, HeapTuple row, TupleDesc desc, int column)
{
	char	   *value = SPI_getvalue(row, desc, column);

	return value != NULL ? pool_text(pool, value) : NULL;
}

static bool
store_hash(HeapTuple row, TupleDesc desc, int column, uint8_t hash[HASH_LEN])
{
	Datum		value = store_value(row, desc, column);
	bytea	   *bytes;

	if (value == (Datum) 0)
		return false;
	bytes = DatumGetByteaPP(value);
	if (VARSIZE_ANY_EXHDR(bytes) != HASH_LEN)
		return false;
	memcpy(hash, VARDATA_ANY(bytes), HASH_LEN);
	return true;
}

/* The claim in a row, behind so many other columns; false if no rule made it. */
static bool
store_claim(Pool *pool, HeapTuple row, TupleDesc desc, int column, Claim *claim)
{
	char	   *id = SPI_getvalue(row, desc, column + 3);
	char	   *kind = SPI_getvalue(row, desc, column + 4);
	char	   *body;

	memset(claim, 0, sizeof(*claim));
	if (kind == NULL || !claim_kind_from_name(kind, &claim->kind))
		return false;
	claim->origin = store_text(pool, row, desc, column + 1);
	claim->seq = DatumGetInt64(store_value(row, desc, column + 2));
	strlcpy(claim->id, id, sizeof(claim->id));
	claim->time = DatumGetTimestampTz(store_value(row, desc, column + 5));
	claim->height = DatumGetInt64(store_value(row, desc, column + 6));
	claim->sealed = DatumGetTimestampTz(store_value(row, desc, column + 7));
	claim->about = store_text(pool, row, desc, column + 8);
	claim->has_subject = store_hash(row, desc, column + 9, claim->subject);
	body = SPI_getvalue(row, desc, column + 10);
	claim->unread = body == NULL;
	if (body != NULL)
		claim->body = json_slice_read(pool, body, strlen(body), JSON_TEXT_UNIQUE);
	claim->effective = DatumGetBool(store_value(row, desc, column + 11));
	claim->reason = store_text(pool, row, desc, column + 12);
	(void) store_hash(row, desc, column + 13, claim->leaf);
	return true;
}

/* ----- claims ----- */

#define READ_ABOUT 1
#define READ_SUBJECT 2
#define READ_ORIGIN 4
#define READ_AFTER 8
#define READ_EXAMINEES 16
#define READ_GLASSES 32
#define READ_PLANS 64

/* Each set of conditions is a statement, all with the same parameters. */
static char *
read_statement(int conditions)
{
	bool		keyed = (conditions & (READ_ABOUT | READ_SUBJECT)) != 0;
	bool		chain = (conditions & READ_ORIGIN) != 0;
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT " CLAIM_COLUMNS " FROM medchain.claim c " CLAIM_ENTRY
					 "WHERE c.kind = %s",
					 (conditions & READ_EXAMINEES) != 0 ? "'examinee_key'" :
					 (conditions & READ_GLASSES) != 0 ? "'break_glass'" : "ANY ($1)");
	if ((conditions & READ_ABOUT) != 0)
		appendStringInfoString(&sql, " AND c.about = $2");
	if ((conditions & READ_SUBJECT) != 0)
		appendStringInfoString(&sql, " AND c.subject = $3");
	if (chain)
		appendStringInfo(&sql, " AND c.origin %s = $4 AND c.seq BETWEEN $5 AND $6",
						 keyed ? BYTES : "");
	if ((conditions & READ_AFTER) != 0)
		appendStringInfoString(&sql, chain ? " AND c.seq > $8" :
							   " AND (c.origin " BYTES ", c.seq) > ($7, $8)");
	appendStringInfoString(&sql, chain && !keyed ? " ORDER BY c.seq LIMIT $9" :
						   " ORDER BY c.origin " BYTES ", c.seq LIMIT $9");
	return sql.data;
}

static Datum
read_kinds(uint32 kinds)
{
	const char *names[CLAIM_KINDS];
	size_t		count = 0;

	for (int i = 0; i < CLAIM_KINDS; i++)
		if ((kinds & CLAIM_SET(i)) != 0)
			names[count++] = claim_kind_name((ClaimKind) i);
	return fold_texts(names, count);
}

void
store_read(NodeStore *store, const ClaimQuery *query, const Claim *after, int limit, Pool *pool,
		   Claim **items, size_t *count)
{
	static SPIPlanPtr plans[READ_PLANS];
	static Oid	types[9] = {
		TEXTARRAYOID, TEXTOID, BYTEAOID, TEXTOID, INT8OID, INT8OID, TEXTOID, INT8OID, INT8OID
	};
	MemoryContext old = MemoryContextSwitchTo(store->temp);
	bool		any = query->about == NULL && query->subject == NULL && query->origin == NULL;
	int			conditions = (query->about != NULL ? READ_ABOUT : 0) |
	(query->subject != NULL ? READ_SUBJECT : 0) | (query->origin != NULL ? READ_ORIGIN : 0) |
	(after != NULL ? READ_AFTER : 0) |
	(any && query->kinds == CLAIM_SET(CLAIM_EXAMINEE_KEY) ? READ_EXAMINEES : 0) |
	(any && query->kinds == CLAIM_SET(CLAIM_BREAK_GLASS) ? READ_GLASSES : 0);
	Datum		values[9];

	/* what a statement has no condition for is any value */
	values[0] = read_kinds(query->kinds);
	values[1] = CStringGetTextDatum(query->about != NULL ? query->about : "");
	values[2] = trusted_bytea(query->subject != NULL ? query->subject : (const uint8_t *) "",
							  query->subject != NULL ? HASH_LEN : 0);
	values[3] = CStringGetTextDatum(query->origin != NULL ? query->origin : "");
	values[4] = Int64GetDatum(query->first);
	values[5] = Int64GetDatum(query->last);
	values[6] = CStringGetTextDatum(after != NULL ? after->origin : "");
	values[7] = Int64GetDatum(after != NULL ? after->seq : 0);
	values[8] = Int64GetDatum(limit);
	store_execute(store, &plans[conditions],
				  plans[conditions] == NULL ? read_statement(conditions) : NULL, 9, types, values);
	*count = 0;
	*items = pool_alloc(pool, Max(SPI_processed, 1) * sizeof(Claim));
	for (uint64 i = 0; i < SPI_processed; i++)
		if (store_claim(pool, SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 0, &(*items)[*count]))
			(*count)++;
	SPI_freetuptable(SPI_tuptable);
	MemoryContextSwitchTo(old);
	MemoryContextReset(store->temp);
}

/* The claims about each of some keys, in the order of keys and claims. */
#define READ_KEYS(column, type) \
	"SELECT k.key, " CLAIM_COLUMNS " FROM unnest($1) WITH ORDINALITY k(key, place) " \
	"CROSS JOIN LATERAL (SELECT * FROM medchain.claim x WHERE x." column " = " type \
	" ORDER BY x.origin " BYTES ", x.seq LIMIT $2) c " CLAIM_ENTRY \
	"ORDER BY k.place, c.origin " BYTES ", c.seq"

void
store_read_keys(NodeStore *store, bool subjects, const char *const *keys, size_t count, int limit,
				StoreVisit visit, void *state)
{
	static SPIPlanPtr plans[2];
	MemoryContext old = MemoryContextSwitchTo(store->temp);
	Oid			types[2] = {TEXTARRAYOID, INT8OID};
	Datum		values[2] = {fold_texts(keys, count), Int64GetDatum(limit)};
	Pool	   *pool = pool_new();
	SPITupleTable *rows;
	uint64		nrows;

	store_execute(store, &plans[subjects], subjects ?
				  READ_KEYS("subject", "decode(k.key, 'hex')") : READ_KEYS("about", "k.key"),
				  2, types, values);
	rows = SPI_tuptable;
	nrows = SPI_processed;
	for (uint64 i = 0; i < nrows; i++)
	{
		Claim		claim;

		if (store_claim(pool, rows->vals[i], rows->tupdesc, 1, &claim))
			visit(store, SPI_getvalue(rows->vals[i], rows->tupdesc, 1), &claim,
				  sizeof(Claim) + 4 * rows->vals[i]->t_len, state);
		pool_reset(pool);
	}
	SPI_freetuptable(rows);
	pool_free(pool);
	MemoryContextSwitchTo(old);
	MemoryContextReset(store->temp);
}

/* ----- claims about members that are new ----- */

#define FOLLOW \
	"SELECT * FROM (SELECT " CLAIM_COLUMNS_READ ", e.payload " \
	"FROM unnest($1, $2::bigint[]) k(origin, seq) " \
	"CROSS JOIN LATERAL (SELECT * FROM medchain.claim x " \
	"WHERE x.origin " BYTES " = k.origin AND x.seq > k.seq AND x.kind = " MEMBER_KINDS ") c " \
	CLAIM_ENTRY "UNION ALL " \
	"SELECT " CLAIM_COLUMNS_READ ", e.payload FROM medchain.claim c " CLAIM_ENTRY \
	"WHERE c.kind = " MEMBER_KINDS " AND c.origin " BYTES " <> ALL ($1)) c " \
	"ORDER BY origin " BYTES ", seq"
#define FOLLOW_PAYLOAD 14
#define FOLLOW_BATCH 200

void
node_store_follow(NodeStore *store, Rules *rules)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[2] = {TEXTARRAYOID, TEXTARRAYOID};
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "medchain rules follow",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Pool	   *pool = pool_new();
	const char **origins = NULL;
	const char **seqs = NULL;
	size_t		count = 0;
	Datum		values[2];
	Portal		portal;
	uint64		nrows;

	for (const KnownChain *chain = store->known_list; chain != NULL; chain = chain->next)
	{
		origins = pool_grow(pool, origins, count, sizeof(char *));
		seqs = pool_grow(pool, seqs, count, sizeof(char *));
		origins[count] = chain->origin;
		seqs[count++] = state_number(pool, chain->seq);
	}
	values[0] = fold_texts(origins, count);
	values[1] = fold_texts(seqs, count);
	trusted_plan_anew(&plan, FOLLOW, 2, types);
	portal = SPI_cursor_open(NULL, plan, values, NULL, !store->write);
	do
	{
		SPITupleTable *rows;

		MemoryContextReset(context);
		SPI_cursor_fetch(portal, true, FOLLOW_BATCH);
		rows = SPI_tuptable;
		nrows = SPI_processed;
		for (uint64 i = 0; i < nrows; i++)
		{
			char	   *payload = SPI_getvalue(rows->vals[i], rows->tupdesc, FOLLOW_PAYLOAD);
			Claim		claim;

			pool_reset(pool);
			if (!store_claim(pool, rows->vals[i], rows->tupdesc, 0, &claim))
				continue;
			rules_known(rules, &claim, payload != NULL ? payload : "",
						payload != NULL ? strlen(payload) : 0);
			store_known(store, claim.origin, claim.seq);
		}
		SPI_freetuptable(rows);
	} while (nrows > 0);
	SPI_cursor_close(portal);
	pool_free(pool);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	rules_known_all(rules);
}

/* ----- entries and facts ----- */

JsonSlice
store_claim_body(NodeStore *store, Pool *pool, const char *origin, int64 seq)
{
	static SPIPlanPtr plan = NULL;
	MemoryContext old = MemoryContextSwitchTo(store->temp);
	Oid			types[2] = {TEXTOID, INT8OID};
	Datum		values[2] = {CStringGetTextDatum(origin), Int64GetDatum(seq)};
	JsonSlice	body = {0};

	store_execute(store, &plan,
				  "SELECT body FROM medchain.claim WHERE origin = $1 AND seq = $2", 2, types,
				  values);
	if (SPI_processed > 0)
	{
		char	   *text = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);

		body = json_slice_read(pool, text, strlen(text), JSON_TEXT_UNIQUE);
	}
	SPI_freetuptable(SPI_tuptable);
	MemoryContextSwitchTo(old);
	MemoryContextReset(store->temp);
	return body;
}

const char *
store_entry_text(NodeStore *store, Pool *pool, const char *origin, int64 seq, size_t *len)
{
	static SPIPlanPtr plan = NULL;
	MemoryContext old = MemoryContextSwitchTo(store->temp);
	Oid			types[2] = {TEXTOID, INT8OID};
	Datum		values[2] = {CStringGetTextDatum(origin), Int64GetDatum(seq)};
	char	   *payload = NULL;

	store_execute(store, &plan,
				  "SELECT payload FROM medchain.entry WHERE origin = $1 AND seq = $2", 2, types,
				  values);
	if (SPI_processed > 0)
		payload = store_text(pool, SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	*len = payload != NULL ? strlen(payload) : 0;
	SPI_freetuptable(SPI_tuptable);
	MemoryContextSwitchTo(old);
	MemoryContextReset(store->temp);
	return payload;
}

char *
store_fact(NodeStore *store, Pool *pool, const uint8_t question[HASH_LEN])
{
	static SPIPlanPtr plan = NULL;
	MemoryContext old = MemoryContextSwitchTo(store->temp);
	Oid			types[1] = {BYTEAOID};
	Datum		values[1] = {trusted_bytea(question, HASH_LEN)};
	char	   *answer = NULL;

	store_execute(store, &plan, "SELECT answer FROM medchain.fact WHERE question = $1", 1, types,
				  values);
	if (SPI_processed > 0)
		answer = store_text(pool, SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	SPI_freetuptable(SPI_tuptable);
	MemoryContextSwitchTo(old);
	MemoryContextReset(store->temp);
	return answer;
}
