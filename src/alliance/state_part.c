/*
 * state_part.c: what is about examinees and their protocols, derived and compared part by part.
 *
 * A part owns the claims about a range of subjects; or some of those without a subject, or of those
 * that the table of claims has lost.  What they depend on comes with them, and is derived, but not
 * compared.  The table of claims says only where to look: what a claim is, its entry says, and a
 * row that says anything else is a fault wherever it is owned.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "alliance/fold.h"
#include "alliance/state_check.h"
#include "core/encode.h"
#include "node/trusted.h"

#define PART_FETCH 200
#define PART_CLAIMS 500			/* without a subject, or lost, in one part */

/* The parts that are no range of subjects. */
enum
{
	PART_MEMBERS, PART_NOBODY, PART_LOST, PART_SURPLUS, PART_RANGES
};

typedef struct PartTexts
{
	Map		   *known;
	const char **items;
	size_t		count;
} PartTexts;

typedef struct Part
{
	StateCheck *check;
	MemoryContext context;
	MemoryContext outside;
	Pool	   *pool;
	const uint8 *low;			/* NULL: from the first */
	const uint8 *high;			/* not any more; NULL: to the last */
	bool		ranged;
	Map		   *own;			/* claims, by place */
	StateRow  **rows;			/* of claims that are its own */
	size_t		nrows;
	PartTexts	abouts;			/* of its own claims about protocols */
	PartTexts	ids;			/* of its own protocols */
	Map		   *compared;		/* those whose rows are its own, too */
	PartTexts	subjects;		/* of others, that something here depends on */
	PartTexts	others;			/* ids of their protocols */
	const char **origins;		/* of keys of examinees, and where they are there */
	const char **seqs;
	size_t		nkeys;
} Part;

uint32
state_part_count(const StateJob *job)
{
	return job->whole ? 1 : PART_RANGES + job->nbounds + 1;
}

/* ----- a store of two: members' claims and rows, and those of the part ----- */

static MemoryStore *
part_store(const StateCheck *check, bool parted)
{
	return parted && check->part != NULL ? check->part : check->members;
}

static bool
part_has_table(StateTable table)
{
	return table == STATE_EXAMINEE_KEY || table == STATE_PROTOCOL ||
		table == STATE_PROTOCOL_GRANT || table == STATE_DATA_INDEX;
}

static void
part_claim_add(void *state, const Claim *claim)
{
	memory_store.claim_add(part_store(state, (CLAIM_SET(claim->kind) & CHECK_PARTED) != 0), claim);
}

static void
part_claim_judge(void *state, const char *origin, int64_t seq, const char *reason)
{
	/* the members' are judged before there is a part */
	memory_store.claim_judge(part_store(state, true), origin, seq, reason);
}

static bool
part_claim_next(void *state, const ClaimQuery *query, const Claim *after, Pool *pool, Claim *claim)
{
	const StateCheck *check = state;

	if (check->part != NULL && (query->kinds & CHECK_PARTED) == 0)
		return false;			/* those are judged */
	return memory_store.claim_next(part_store(check, true), query, after, pool, claim);
}

static const char *
part_entry_text(void *state, Pool *pool, const char *origin, int64_t seq, size_t *len)
{
	return memory_store.entry_text(part_store(state, true), pool, origin, seq, len);
}

static void
part_row_put(void *state, const StateRow *row)
{
	memory_store.row_put(part_store(state, part_has_table(row->table)), row);
}

static void
part_row_remove(void *state, const StateRow *key)
{
	memory_store.row_remove(part_store(state, part_has_table(key->table)), key);
}

static void
part_rows_trim(void *state, StateTable table, const char *protocol, int64_t first)
{
	memory_store.rows_trim(part_store(state, true), table, protocol, first);
}

const RulesStore state_part_store = {
	.claim_add = part_claim_add,
	.claim_judge = part_claim_judge,
	.claim_next = part_claim_next,
	.entry_text = part_entry_text,
	.row_put = part_row_put,
	.row_remove = part_row_remove,
	.rows_trim = part_rows_trim
};

/* ----- what is in a part ----- */

static void
part_text_add(Part *part, PartTexts *texts, const char *text)
{
	void	  **place;

	if (texts->known == NULL)
		texts->known = map_new(part->pool);
	place = map_at(texts->known, text, strlen(text));
	if (*place != NULL)
		return;
	texts->items = pool_grow(part->pool, texts->items, texts->count, sizeof(char *));
	texts->items[texts->count] = pool_text(part->pool, text);
	*place = part;
	texts->count++;
}

static bool
part_text_known(const PartTexts *texts, const char *text)
{
	return texts->known != NULL && map_get(texts->known, text, strlen(text)) != NULL;
}

static const char *
part_place(Pool *pool, const char *origin, const char *seq)
{
	return pool_format(pool, "%s %s", origin, seq);
}

static bool
part_in_range(const Part *part, const uint8 *subject)
{
	return part->ranged && (part->low == NULL || memcmp(subject, part->low, HASH_LEN) >= 0) &&
		(part->high == NULL || memcmp(subject, part->high, HASH_LEN) < 0);
}

/* A claim that is its own: whatever else has to be there for it. */
static void
part_own(Part *part, const Claim *claim)
{
	Pool	   *pool = part->pool;
	const char *seq = state_number(pool, claim->seq);
	const char *place = part_place(pool, claim->origin, seq);

	*map_at(part->own, place, strlen(place)) = part;
	if ((CLAIM_SET(claim->kind) & CLAIM_SET_PROTOCOL) != 0)
		part_text_add(part, &part->abouts, claim->about);
	if (claim->kind == CLAIM_PROTOCOL)
		part_text_add(part, &part->ids, claim->id);
	if (claim->kind != CLAIM_EXAMINEE_KEY)
		return;
	part->origins = pool_grow(pool, part->origins, part->nkeys, sizeof(char *));
	part->seqs = pool_grow(pool, part->seqs, part->nkeys, sizeof(char *));
	part->origins[part->nkeys] = pool_text(pool, claim->origin);
	part->seqs[part->nkeys++] = seq;
}

/* The claim that an entry makes; false if it makes none that is in a part. */
static bool
part_take(Part *part, const char *payload, const char *origin, int64 seq, int64 height,
		  TimestampTz sealed, bool own)
{
	StateCheck *check = part->check;
	Claim		claim;
	bool		taken = claim_read(check->pool, payload, strlen(payload), origin, seq, height,
								   sealed, &claim) &&
	(CLAIM_SET(claim.kind) & CHECK_PARTED) != 0;

	if (taken)
	{
		memory_store_entry(check->part, payload, strlen(payload));
		memory_store.claim_add(check->part, &claim);
		if (own)
			part_own(part, &claim);
		if (claim.kind == CLAIM_PROTOCOL || claim.kind == CLAIM_AMENDMENT)
		{
			char		hex[ENCODE_HEX_SIZE(HASH_LEN)];

			encode_hex(claim.subject, HASH_LEN, hex);
			if (claim.has_subject && !part_in_range(part, claim.subject) &&
				!part_text_known(&part->subjects, hex))
				part_text_add(part, &part->subjects, hex);
			else if (!own && !part_text_known(&part->abouts, claim.about))
				part_text_add(part, &part->others, claim.about);
		}
	}
	pool_reset(check->pool);
	return taken;
}

#define PART_BLOCK(entry) \
	"LEFT JOIN LATERAL (SELECT x.height, x.sealed FROM medchain.block x " \
	"WHERE x.origin = " entry ".origin AND x.size > " entry ".seq " \
	"ORDER BY x.size, x.height LIMIT 1) b ON true "

/* The statement for claims of the table, with what their entries are. */
static char *
part_select(const char *condition)
{
	return psprintf("SELECT %s, e.payload, b.height, b.sealed FROM medchain.claim c "
					"LEFT JOIN LATERAL (SELECT x.payload FROM medchain.entry x "
					"WHERE x.origin = c.origin AND x.seq = c.seq OFFSET 0) e ON true "
					PART_BLOCK("c") "WHERE c.kind = ANY (%s) AND %s",
					state_rows_columns(STATE_CLAIM, "c."), fold_kinds(CHECK_PARTED), condition);
}

static void
part_claim_row(Part *part, HeapTuple tuple, TupleDesc desc, bool own)
{
	int			column = state_tables[STATE_CLAIM].ncolumns;
	char	   *origin = SPI_getvalue(tuple, desc, 1);
	const char *place = part_place(part->check->pool, origin, SPI_getvalue(tuple, desc, 2));
	bool		there = map_get(part->own, place, strlen(place)) != NULL;
	bool		isnull;
	char	   *payload = there ? NULL : SPI_getvalue(tuple, desc, column + 1);
	Datum		height = SPI_getbinval(tuple, desc, column + 2, &isnull);
	Datum		sealed = isnull ? (Datum) 0 : SPI_getbinval(tuple, desc, column + 3, &isnull);
	StateRow   *row;

	pool_reset(part->check->pool);
	if (payload != NULL && !isnull)
		(void) part_take(part, payload, origin,
						 DatumGetInt64(SPI_getbinval(tuple, desc, 2, &isnull)),
						 DatumGetInt64(height), DatumGetTimestampTz(sealed), own);
	if (!own)
		return;
	row = pool_alloc(part->pool, sizeof(StateRow));
	state_rows_read(part->pool, STATE_CLAIM, tuple, desc, row);
	part->rows = pool_grow(part->pool, part->rows, part->nrows, sizeof(StateRow *));
	part->rows[part->nrows++] = row;
}

/* An entry that there is no row of claim for. */
static void
part_lost_row(Part *part, HeapTuple tuple, TupleDesc desc, bool own)
{
	bool		isnull;
	Datum		height = SPI_getbinval(tuple, desc, 5, &isnull);
	Datum		sealed = isnull ? (Datum) 0 : SPI_getbinval(tuple, desc, 6, &isnull);

	if (isnull ||
		!part_take(part, SPI_getvalue(tuple, desc, 4), SPI_getvalue(tuple, desc, 1),
				   DatumGetInt64(SPI_getbinval(tuple, desc, 2, &isnull)), DatumGetInt64(height),
				   DatumGetTimestampTz(sealed), own))
		part_text_add(part, &part->ids, SPI_getvalue(tuple, desc, 3));
}

typedef void (*PartRow) (Part *part, HeapTuple tuple, TupleDesc desc, bool own);

/* At most so many rows; false if there was none. */
static bool
part_fetch(Part *part, Portal portal, PartRow visit, bool own, uint64 limit)
{
	uint64		count = 0;
	uint64		nrows;

	do
	{
		SPITupleTable *rows;

		SPI_cursor_fetch(portal, true, PART_FETCH);
		rows = SPI_tuptable;
		nrows = SPI_processed;
		MemoryContextSwitchTo(part->check->step);	/* SPI leaves us in its own */
		for (uint64 i = 0; i < nrows; i++)
			visit(part, rows->vals[i], rows->tupdesc, own);
		SPI_freetuptable(rows);
		MemoryContextSwitchTo(part->context);
		MemoryContextReset(part->check->step);
		CHECK_FOR_INTERRUPTS();
		count += nrows;
	} while (nrows > 0 && count < limit);
	return count > 0;
}

/* All claims for which a condition holds that has one parameter, or two. */
static void
part_load(Part *part, SPIPlanPtr *plan, const char *condition, int nargs, Oid *types,
		  Datum *values, bool own)
{
	Portal		portal;

	trusted_plan_anew(plan, *plan != NULL ? NULL : part_select(condition), nargs, types);
	portal = SPI_cursor_open(NULL, *plan, values, NULL, true);
	(void) part_fetch(part, portal, part_claim_row, own, PG_UINT64_MAX);
	SPI_cursor_close(portal);
	MemoryContextSwitchTo(part->context);
}

static void
part_load_texts(Part *part, SPIPlanPtr *plan, const char *condition, const PartTexts *texts)
{
	Oid			types[1] = {TEXTARRAYOID};
	Datum		values[1];

	if (texts->count == 0)
		return;
	values[0] = fold_texts(texts->items, texts->count);
	part_load(part, plan, condition, 1, types, values, false);
}

/*
 * What its own claims depend on: whatever is said of their protocols; and of those that are about
 * other subjects, all that is about these, and who else wants the ids of their protocols.
 */
static void
part_load_others(Part *part)
{
	static SPIPlanPtr about_plan = NULL;
	static SPIPlanPtr subject_plan = NULL;
	static SPIPlanPtr other_plan = NULL;

	part_load_texts(part, &about_plan, "c.about = ANY ($1)", &part->abouts);
	part_load_texts(part, &subject_plan, "c.subject = ANY (ARRAY(SELECT decode(x, 'hex') "
					"FROM unnest($1) x))", &part->subjects);
	part_load_texts(part, &other_plan, "c.about = ANY ($1) AND c.kind = 'protocol'",
					&part->others);
}

/* ----- comparing ----- */

/* Is it this part that compares the rows of a protocol?  It has the first claim with that id. */
static bool
part_compares(Part *part, const char *id)
{
	ClaimQuery	query = {.kinds = CLAIM_SET(CLAIM_PROTOCOL), .about = id};
	Pool	   *pool = part->check->pool;
	Claim		first;
	bool		mine = true;

	if (memory_store.claim_next(part->check->part, &query, NULL, pool, &first))
	{
		const char *place = part_place(pool, first.origin, state_number(pool, first.seq));

		mine = map_get(part->own, place, strlen(place)) != NULL;
	}
	pool_reset(pool);
	return mine;
}

static void
part_compare_rows(Part *part, SPIPlanPtr *plan, StateTable table, const char *rest, int nargs,
				  Oid *types, Datum *values)
{
	StateCheck *check = part->check;
	Pool	   *pool = pool_new();
	SPITupleTable *rows;
	uint64		nrows;

	trusted_read(plan, *plan != NULL ? NULL :
				 psprintf("SELECT %s FROM %s", state_rows_columns(table, "t."), rest), nargs,
				 types, values);
	rows = SPI_tuptable;
	nrows = SPI_processed;
	MemoryContextSwitchTo(check->step);
	for (uint64 i = 0; i < nrows; i++)
	{
		StateRow	row;

		state_rows_read(pool, table, rows->vals[i], rows->tupdesc, &row);
		check_here(check, check->part, &row);
		pool_reset(pool);
	}
	SPI_freetuptable(rows);
	MemoryContextSwitchTo(part->context);
	MemoryContextReset(check->step);
	pool_free(pool);
}

static void
part_compare_protocols(Part *part)
{
	static SPIPlanPtr plans[STATE_TABLES];
	static const struct
	{
		StateTable	table;
		const char *rest;
	}			tables[] = {
		{STATE_PROTOCOL, "medchain.protocol t WHERE t.id = ANY ($1::uuid[])"},
		{STATE_PROTOCOL_GRANT, "medchain.protocol_grant t WHERE t.protocol = ANY ($1::uuid[])"},
		{STATE_DATA_INDEX, "medchain.data_index t WHERE t.protocol = ANY ($1::uuid[])"}
	};
	const char **ids = pool_alloc(part->pool, (part->ids.count + 1) * sizeof(char *));
	size_t		count = 0;
	Oid			types[1] = {TEXTARRAYOID};
	Datum		values[1];

	for (size_t i = 0; i < part->ids.count; i++)
		if (part_compares(part, part->ids.items[i]))
		{
			ids[count] = part->ids.items[i];
			*map_at(part->compared, ids[count], strlen(ids[count])) = part;
			count++;
		}
	if (count == 0)
		return;
	values[0] = fold_texts(ids, count);
	for (size_t i = 0; i < lengthof(tables); i++)
		part_compare_rows(part, &plans[i], tables[i].table, tables[i].rest, 1, types, values);
}

static void
part_compare_keys(Part *part)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[2] = {TEXTARRAYOID, TEXTARRAYOID};
	Datum		values[2];

	if (part->nkeys == 0)
		return;
	values[0] = fold_texts(part->origins, part->nkeys);
	values[1] = fold_texts(part->seqs, part->nkeys);
	part_compare_rows(part, &plan, STATE_EXAMINEE_KEY, "unnest($1, $2) u(origin, seq) "
					  "CROSS JOIN LATERAL (SELECT * FROM medchain.examinee_key k "
					  "WHERE k.origin = u.origin AND k.seq = u.seq::bigint OFFSET 0) t", 2, types,
					  values);
}

static void
part_missing(void *state, const StateRow *row)
{
	Part	   *part = state;
	const char *key = row->values[0];
	const Map  *map = part->compared;

	if (row->table == STATE_CLAIM || row->table == STATE_EXAMINEE_KEY)
	{
		key = part_place(part->check->pool, row->values[0], row->values[1]);
		map = part->own;
	}
	if (map_get(map, key, strlen(key)) != NULL)
		check_missing(part->check, row);
}

/* ----- part by part ----- */

static void
part_begin(StateCheck *check, Part *part)
{
	memset(part, 0, sizeof(*part));
	part->check = check;
	part->context = AllocSetContextCreate(check->context, "medchain state part",
										  ALLOCSET_DEFAULT_SIZES);
	part->outside = MemoryContextSwitchTo(part->context);
	part->pool = pool_new();
	part->own = map_new(part->pool);
	part->compared = map_new(part->pool);
	check->part = memory_store_new(false);
}

static void
part_end(Part *part)
{
	StateCheck *check = part->check;

	part_load_others(part);
	rules_settle(check->rules, NULL, 0, INT64_MAX);
	for (size_t i = 0; i < part->nrows; i++)
		check_here(check, check->part, part->rows[i]);
	part_compare_protocols(part);
	part_compare_keys(part);
	memory_store_unfound(check->part, part_missing, part);
	check_facts(check);
	memory_store_free(check->part);
	check->part = NULL;
	pool_free(part->pool);
	MemoryContextSwitchTo(part->outside);
	MemoryContextDelete(part->context);
}

static void
part_check_range(StateCheck *check, uint32 number)
{
	static SPIPlanPtr plan = NULL;
	StateJob   *job = check->job;
	Oid			types[2] = {BYTEAOID, BYTEAOID};
	Datum		values[2];
	uint8		none[1] = {0};
	Part		part;

	part_begin(check, &part);
	part.ranged = true;
	part.low = number > 0 ? job->bounds[number - 1] : NULL;
	part.high = number < job->nbounds ? job->bounds[number] : NULL;
	values[0] = part.low != NULL ? chain_bytea(part.low, HASH_LEN) : chain_bytea(none, 0);
	if (part.high != NULL)
	{
		values[1] = chain_bytea(part.high, HASH_LEN);
		part_load(&part, &plan, "c.subject >= $1 AND c.subject < $2", 2, types, values, true);
	}
	else
	{
		static SPIPlanPtr last_plan = NULL;

		part_load(&part, &last_plan, "c.subject >= $1", 1, types, values, true);
	}
	part_end(&part);
}

/* So many at a time of what one statement finds. */
static void
part_check_each(StateCheck *check, const char *sql, PartRow visit)
{
	SPIPlanPtr	plan = SPI_prepare(sql, 0, NULL);
	Portal		portal;
	bool		more;

	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed for \"%s\"", sql);
	portal = SPI_cursor_open(NULL, plan, NULL, NULL, true);
	do
	{
		Part		part;

		part_begin(check, &part);
		more = part_fetch(&part, portal, visit, true, PART_CLAIMS);
		part_end(&part);
	} while (more && pg_atomic_read_u32(&check->job->nfaults) < CHECK_FAULTS);
	SPI_cursor_close(portal);
	SPI_freeplan(plan);
}

static void
part_surplus(void *state, const StateRow *row)
{
	check_surplus(state, row);
}

/* Rows that no part can own, as no entry could have made them. */
static void
part_check_surplus(StateCheck *check)
{
	state_rows_each(STATE_PROTOCOL, "NOT EXISTS (SELECT FROM medchain.entry e "
					"WHERE e.id = t.id AND e.kind = 'protocol')", part_surplus, check);
	state_rows_each(STATE_PROTOCOL_GRANT, "NOT EXISTS (SELECT FROM medchain.entry e "
					"WHERE e.id = t.protocol AND e.kind = 'protocol')", part_surplus, check);
	state_rows_each(STATE_DATA_INDEX, "NOT EXISTS (SELECT FROM medchain.entry e "
					"WHERE e.id = t.protocol AND e.kind = 'protocol')", part_surplus, check);
	state_rows_each(STATE_EXAMINEE_KEY, "NOT EXISTS (SELECT FROM medchain.entry e "
					"WHERE e.origin = t.origin AND e.seq = t.seq AND e.kind = 'examinee_key')",
					part_surplus, check);
}

static void
part_member(void *state, const StateRow *row)
{
	StateCheck *check = state;

	check_here(check, check->members, row);
}

static void
part_member_missing(void *state, const StateRow *row)
{
	check_missing(state, row);
}

/* What every process has as a whole. */
static void
part_check_members(StateCheck *check)
{
	bool		whole = check->job->whole;
	char	   *others = psprintf("t.kind <> ALL (%s)", fold_kinds(CHECK_PARTED));

	for (int table = 0; table < STATE_TABLES; table++)
		if (whole || !part_has_table((StateTable) table))
			state_rows_each((StateTable) table, !whole && table == STATE_CLAIM ? others : NULL,
							part_member, check);
	memory_store_unfound(check->members, part_member_missing, check);
	check_facts(check);
}

void
state_part_check(StateCheck *check, uint32 number)
{
	char	   *sql;

	switch (number)
	{
		case PART_MEMBERS:
			part_check_members(check);
			break;
		case PART_NOBODY:
			part_check_each(check, part_select("c.subject IS NULL"), part_claim_row);
			break;
		case PART_LOST:
			sql = psprintf("SELECT e.origin, e.seq, e.id, e.payload, b.height, b.sealed "
						   "FROM medchain.entry e " PART_BLOCK("e")
						   "WHERE e.kind = ANY (%s) AND e.seq >= 0 AND NOT EXISTS (SELECT "
						   "FROM medchain.claim c WHERE c.origin = e.origin AND c.seq = e.seq)",
						   fold_kinds(CHECK_PARTED));
			part_check_each(check, sql, part_lost_row);
			break;
		case PART_SURPLUS:
			part_check_surplus(check);
			break;
		default:
			part_check_range(check, number - PART_RANGES);
			break;
	}
}
