/*
 * state_part.c: what is about examinees and their protocols, derived and compared part by part.
 *
 * A part owns the claims about a range of subjects; or some of those without a subject, or of those
 * that the table of claims has lost.  What they depend on comes with them, and is derived, but not
 * compared.  The table of claims says only where to look: what a claim is, its entry says, and a
 * row that says anything else is a fault wherever it is owned.
 */
#include "postgres.h"
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "alliance/fold.h"
#include "alliance/state_part_internal.h"
#include "node/trusted.h"

#define PART_CLAIMS 500			/* without a subject, or lost, in one part */
#define PART_BEHIND (HASH_LEN + 1)	/* so many bytes 255 are behind all subjects */

/* The parts that are no range of subjects. */
enum
{
	PART_MEMBERS, PART_NOBODY, PART_LOST, PART_SURPLUS, PART_RANGES
};

uint32
state_part_count(const StateJob *job)
{
	return job->whole ? 1 : PART_RANGES + job->nbounds + 1;
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

/* Rows of a table that are called by where the entry is. */
static void
part_compare_places(Part *part, SPIPlanPtr *plan, StateTable table, const PartPlaces *places)
{
	Oid			types[2] = {TEXTARRAYOID, TEXTARRAYOID};
	Datum		values[2];

	if (places->count == 0)
		return;
	values[0] = fold_texts(places->origins, places->count);
	values[1] = fold_texts(places->seqs, places->count);
	part_compare_rows(part, plan, table, *plan != NULL ? NULL :
					  psprintf("unnest($1, $2) u(origin, seq) "
							   "CROSS JOIN LATERAL (SELECT * FROM medchain.%s k "
							   "WHERE k.origin = u.origin AND k.seq = u.seq::bigint OFFSET 0) t",
							   state_tables[table].name), 2, types, values);
}

static void
part_compare_keys(Part *part)
{
	static SPIPlanPtr plan = NULL;

	part_compare_places(part, &plan, STATE_EXAMINEE_KEY, &part->keys);
}

static void
part_compare_glasses(Part *part)
{
	static SPIPlanPtr plan = NULL;

	part_compare_places(part, &plan, STATE_BREAK_GLASS, &part->glasses);
}

static void
part_missing(void *state, const StateRow *row)
{
	Part	   *part = state;
	const char *key = row->values[0];
	const Map  *map = part->compared;

	if (row->table == STATE_CLAIM || row->table == STATE_EXAMINEE_KEY ||
		row->table == STATE_BREAK_GLASS)
	{
		key = part_place(part->check->pool, row->values[0], row->values[1]);
		map = part->own;
	}
	if (map_get(map, key, strlen(key)) != NULL)
		check_missing(part->check, row);
}

/* ----- part by part ----- */

static bytea *
part_bound(const uint8 *bytes, int len)
{
	return DatumGetByteaP(trusted_bytea(bytes, len));
}

static void
part_begin(StateCheck *check, Part *part)
{
	memset(part, 0, sizeof(*part));
	part->check = check;
	part->context = AllocSetContextCreate(check->context, "medchain state part",
										  ALLOCSET_DEFAULT_SIZES);
	part->outside = MemoryContextSwitchTo(part->context);
	part->pool = pool_new();
	part->low = part->high = part_bound((const uint8 *) "", 0);
	part->own = map_new(part->pool);
	part->compared = map_new(part->pool);
	check->part = memory_store_new(false);
	rules_store_changed(check->rules);
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
	part_compare_glasses(part);
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
	uint8		behind[PART_BEHIND];
	Part		part;

	memset(behind, 0xff, sizeof(behind));
	part_begin(check, &part);
	if (number > 0)
		part.low = part_bound(job->bounds[number - 1], HASH_LEN);
	part.high = number < job->nbounds ? part_bound(job->bounds[number], HASH_LEN) :
		part_bound(behind, sizeof(behind));
	values[0] = PointerGetDatum(part.low);
	values[1] = PointerGetDatum(part.high);
	part_load(&part, &plan, "c.subject >= $1 AND c.subject < $2", 2, types, values, true);
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
	state_rows_each(STATE_BREAK_GLASS, "NOT EXISTS (SELECT FROM medchain.entry e "
					"WHERE e.origin = t.origin AND e.seq = t.seq AND e.kind = 'break_glass')",
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
		if (whole || !check_parted((StateTable) table))
			state_rows_each((StateTable) table, !whole && table == STATE_CLAIM ? others : NULL,
							part_member, check);
	memory_store_unfound(check->members, part_member_missing, check);
	check_facts(check);
}

void
state_part_check(StateCheck *check, uint32 number)
{
	switch (number)
	{
		case PART_MEMBERS:
			part_check_members(check);
			break;
		case PART_NOBODY:
			/* or with what is no subject, as somebody has written it into the table */
			part_check_each(check, part_select(psprintf("(c.subject IS NULL OR c.subject >= "
														"decode(repeat('ff', %d), 'hex'))",
														PART_BEHIND)), part_claim_row);
			break;
		case PART_LOST:
			part_check_each(check, part_select_lost(), part_lost_row);
			break;
		case PART_SURPLUS:
			part_check_surplus(check);
			break;
		default:
			part_check_range(check, number - PART_RANGES);
			break;
	}
}
