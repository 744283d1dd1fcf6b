/*
 * state_part_load.c: what is in a part of the state: its own claims, and what they depend on.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "alliance/fold.h"
#include "alliance/state_part_internal.h"
#include "core/encode.h"
#include "node/trusted.h"

#define PART_FETCH 200

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

const char *
part_place(Pool *pool, const char *origin, const char *seq)
{
	return pool_format(pool, "%s %s", origin, seq);
}

static int
part_bound_order(const uint8 *subject, const bytea *bound)
{
	size_t		len = VARSIZE(bound) - VARHDRSZ;
	int			order = memcmp(subject, VARDATA(bound), Min(len, HASH_LEN));

	return order != 0 ? order : len > HASH_LEN ? -1 : len < HASH_LEN;
}

static bool
part_in_range(const Part *part, const uint8 *subject)
{
	return part_bound_order(subject, part->low) >= 0 && part_bound_order(subject, part->high) < 0;
}

static void
part_place_add(Part *part, PartPlaces *places, const char *origin, const char *seq)
{
	places->origins = pool_grow(part->pool, places->origins, places->count, sizeof(char *));
	places->seqs = pool_grow(part->pool, places->seqs, places->count, sizeof(char *));
	places->origins[places->count] = pool_text(part->pool, origin);
	places->seqs[places->count++] = seq;
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
	if (claim->kind == CLAIM_EXAMINEE_KEY)
		part_place_add(part, &part->keys, claim->origin, seq);
	if (claim->kind == CLAIM_BREAK_GLASS)
		part_place_add(part, &part->glasses, claim->origin, seq);
}

/* The claim that an entry makes; false if it makes none that is in a part. */
static bool
part_take(Part *part, const char *payload, const char *origin, int64 seq, int64 height,
		  TimestampTz sealed, bool own)
{
	StateCheck *check = part->check;
	Claim		claim;
	SignedText	envelope;
	size_t		len = strlen(payload);
	bool		taken = claim_read_envelope(check->pool, payload, len, origin, seq, height, sealed,
											&claim, &envelope) &&
	(CLAIM_SET(claim.kind) & CHECK_PARTED) != 0;

	if (taken)
	{
		memory_store_entry(check->part, payload, len);
		rules_take_read(check->rules, &claim, &envelope);
		if (own)
			part_own(part, &claim);
		if (claim.kind == CLAIM_PROTOCOL || claim.kind == CLAIM_AMENDMENT ||
			(CLAIM_SET(claim.kind) & CLAIM_SET_GLASS) != 0)
		{
			char		hex[ENCODE_HEX_SIZE(HASH_LEN)];

			encode_hex(claim.subject, HASH_LEN, hex);
			if (claim.has_subject && !part_in_range(part, claim.subject) &&
				!part_text_known(&part->subjects, hex))
				part_text_add(part, &part->subjects, hex);
			else if ((CLAIM_SET(claim.kind) & CLAIM_SET_PROTOCOL) != 0 && !own &&
					 !part_text_known(&part->abouts, claim.about))
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
char *
part_select(const char *condition)
{
	return psprintf("SELECT %s, e.payload, b.height, b.sealed FROM medchain.claim c "
					"LEFT JOIN LATERAL (SELECT x.payload FROM medchain.entry x "
					"WHERE x.origin = c.origin AND x.seq = c.seq OFFSET 0) e ON true "
					PART_BLOCK("c") "WHERE c.kind = ANY (%s) AND %s",
					state_rows_columns(STATE_CLAIM, "c."), fold_kinds(CHECK_PARTED), condition);
}

void
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

char *
part_select_lost(void)
{
	return psprintf("SELECT e.origin, e.seq, e.id, e.payload, b.height, b.sealed "
					"FROM medchain.entry e " PART_BLOCK("e")
					"WHERE e.kind = ANY (%s) AND e.seq >= 0 AND NOT EXISTS (SELECT "
					"FROM medchain.claim c WHERE c.origin = e.origin AND c.seq = e.seq)",
					fold_kinds(CHECK_PARTED));
}

void
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

bool
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

void
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

/* Those that are not its own by their subject. */
static void
part_load_texts(Part *part, SPIPlanPtr *plan, const char *condition, const PartTexts *texts)
{
	Oid			types[3] = {BYTEAOID, BYTEAOID, TEXTARRAYOID};
	Datum		values[3] = {PointerGetDatum(part->low), PointerGetDatum(part->high)};

	if (texts->count == 0)
		return;
	values[2] = fold_texts(texts->items, texts->count);
	part_load(part, plan, *plan != NULL ? NULL :
			  psprintf("%s AND (c.subject >= $1 AND c.subject < $2) IS NOT TRUE", condition), 3,
			  types, values, false);
}

/*
 * What its own claims depend on: whatever is said of their protocols; and of those that are about
 * other subjects, all that is about these, and who else wants the ids of their protocols.
 */
void
part_load_others(Part *part)
{
	static SPIPlanPtr about_plan = NULL;
	static SPIPlanPtr subject_plan = NULL;
	static SPIPlanPtr other_plan = NULL;

	part_load_texts(part, &about_plan, "c.about = ANY ($3)", &part->abouts);
	part_load_texts(part, &subject_plan, "c.subject = ANY (ARRAY(SELECT decode(x, 'hex') "
					"FROM unnest($3) x))", &part->subjects);
	part_load_texts(part, &other_plan, "c.about = ANY ($3) AND c.kind = 'protocol'",
					&part->others);
}
