/*
 * held.c: entries and blocks that came from peers, as the keeper reads and removes them.
 *
 * These tables are empty most of the time, and full when a peer means ill.  A plan that was made
 * for the one would be wrong for the other: statements that look at many rows are planned anew.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "ledger/held.h"
#include "ledger/local_node.h"
#include "ledger/quarantine.h"
#include "ledger/screen.h"
#include "node/trusted.h"

#define HELD_ENTRIES(columns) \
	"SELECT DISTINCT ON (h.seq) " columns " FROM medchain.held_entry h " \
	"WHERE h.origin = $1 AND h.source = $2 AND h.seq >= $3 AND h.seq < $4 " \
	"ORDER BY h.seq, h.id DESC"

/*
 * Blocks that a source sent beside those that are part of the chain, or that are not signed with
 * the key that we know, or that nobody has looked at yet.  Should they turn out to be the ones that
 * count, their entries are needed: what differs from the ledger's stays.
 */
#define HELD_IS_DONE(origin, source) \
	"(NOT EXISTS (SELECT FROM medchain.quarantine q WHERE q.origin = " origin \
	" AND q.source = " source \
	" AND q.reason IN ('bad signature', 'differs from accepted block')) " \
	"AND NOT EXISTS (SELECT FROM medchain.held_block b JOIN medchain.chain k " \
	"ON k.origin = b.origin AND b.height <= k.height WHERE b.origin = " origin \
	" AND b.source = " source ") OR EXISTS (SELECT FROM medchain.entry e " \
	"WHERE e.origin = h.origin AND e.seq = h.seq AND e.payload = h.payload))"

static Oid	range_types[4] = {TEXTOID, TEXTOID, INT8OID, INT8OID};
static Oid	height_types[3] = {TEXTOID, INT8OID, INT8OID};

static void
held_range(const char *source, const char *origin, int64 first, int64 last, Datum values[4])
{
	values[0] = CStringGetTextDatum(origin);
	values[1] = CStringGetTextDatum(source);
	values[2] = Int64GetDatum(first);
	values[3] = Int64GetDatum(last);
}

int64
held_count(const char *source, const char *origin, int64 first, int64 last, int64 *bytes,
		   int64 *newest)
{
	static SPIPlanPtr plan = NULL;
	Datum		values[4];
	bool		isnull;
	int64		count;

	held_range(source, origin, first, last, values);
	trusted_plan_anew(&plan,
					  "SELECT count(*), coalesce(sum(e.bytes), 0)::bigint, coalesce(max(e.id), 0) "
					  "FROM (" HELD_ENTRIES("h.seq, h.bytes, h.id") ") e", 4, range_types);
	trusted_read(&plan, NULL, 4, range_types, values);
	count = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	*bytes = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2,
										 &isnull));
	*newest = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 3,
										  &isnull));
	SPI_freetuptable(SPI_tuptable);
	return count;
}

Portal
held_entries(const char *source, const char *origin, int64 first, int64 last)
{
	static SPIPlanPtr plan = NULL;
	Datum		values[4];

	held_range(source, origin, first, last, values);
	trusted_plan_anew(&plan, HELD_ENTRIES("h.seq, h.payload"), 4, range_types);
	return SPI_cursor_open(NULL, plan, values, NULL, true);
}

int
held_candidates(const char *origin, int64 height, HeldBlock **blocks)
{
	static SPIPlanPtr plan = NULL;
	Datum		values[2] = {CStringGetTextDatum(origin), Int64GetDatum(height)};
	int			count;

	/* as their entries are read: with a newer snapshot, a block would be judged by those before */
	trusted_plan_anew(&plan,
					  "SELECT b.source, b.note, b.id, b.waits, "
					  "CASE WHEN p.payloads <> '{all}' THEN p.payloads END "
					"FROM medchain.held_block b LEFT JOIN medchain.peer p ON p.member = b.source "
					  "WHERE b.origin = $1 AND b.height = $2 ORDER BY b.source, b.id DESC", 2,
					  height_types);
	trusted_read(&plan, NULL, 2, height_types, values);
	count = (int) SPI_processed;
	*blocks = palloc(sizeof(HeldBlock) * (Size) Max(count, 1));
	for (int i = 0; i < count; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		HeldBlock  *block = &(*blocks)[i];
		Datum		kinds;
		bool		isnull;

		block->source = SPI_getvalue(row, desc, 1);
		block->note = SPI_getvalue(row, desc, 2);
		block->id = DatumGetInt64(SPI_getbinval(row, desc, 3, &isnull));
		block->waits = DatumGetBool(SPI_getbinval(row, desc, 4, &isnull));
		kinds = SPI_getbinval(row, desc, 5, &isnull);
		block->kinds = isnull ? NULL : DatumGetArrayTypePCopy(kinds);
	}
	SPI_freetuptable(SPI_tuptable);
	return count;
}

void
held_carried(const char *origin, int64 height, int64 id, BlockCarried *carried)
{
	static SPIPlanPtr plan = NULL;
	Datum		values[3];

	memset(carried, 0, sizeof(*carried));
	values[0] = CStringGetTextDatum(origin);
	values[1] = Int64GetDatum(height);
	values[2] = Int64GetDatum(id);
	trusted_read(&plan, "SELECT leaves, kinds, kinds_note FROM medchain.held_block "
				 "WHERE origin = $1 AND height = $2 AND id = $3", 3, height_types, values);
	if (SPI_processed > 0)
	{
		HeapTuple	row = SPI_tuptable->vals[0];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;
		Datum		leaves = SPI_getbinval(row, desc, 1, &isnull);

		if (!isnull)
			carried->leaves = DatumGetByteaPCopy(leaves);
		carried->kinds = SPI_getvalue(row, desc, 2);
		carried->kinds_note = SPI_getvalue(row, desc, 3);
	}
	SPI_freetuptable(SPI_tuptable);
}

void
held_ask_again(const char *source, const char *origin)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[2] = {TEXTOID, TEXTOID};
	Datum		values[2] = {CStringGetTextDatum(source), CStringGetTextDatum(origin)};

	trusted_execute(&plan, "INSERT INTO medchain.missing AS f (source, origin, wanted) "
					"SELECT p.member, $2, true FROM medchain.peer p WHERE p.member = $1 "
					"ON CONFLICT (source, origin) DO UPDATE SET wanted = true "
					"WHERE NOT f.wanted", 2, types, values, NULL, false);
}

void
held_let_wait(const char *origin, int64 height, int64 id)
{
	static SPIPlanPtr plan = NULL;
	Datum		values[3];

	values[0] = CStringGetTextDatum(origin);
	values[1] = Int64GetDatum(height);
	values[2] = Int64GetDatum(id);
	trusted_execute(&plan, "UPDATE medchain.held_block SET waits = true WHERE origin = $1 AND "
					"height = $2 AND id = $3 AND NOT waits", 3, height_types, values, NULL, false);
}

void
held_drop_block(const char *origin, int64 height, int64 id)
{
	static SPIPlanPtr plan = NULL;
	Datum		values[3];

	values[0] = CStringGetTextDatum(origin);
	values[1] = Int64GetDatum(height);
	values[2] = Int64GetDatum(id);
	trusted_execute(&plan, "DELETE FROM medchain.held_block WHERE origin = $1 AND height = $2 AND "
					"id = $3", 3, height_types, values, NULL, false);
}

void
held_drop_entries(const char *source, const char *origin, int64 first, int64 last)
{
	static SPIPlanPtr plan = NULL;
	Datum		values[4];

	held_range(source, origin, first, last, values);
	trusted_plan_anew(&plan, "DELETE FROM medchain.held_entry h WHERE h.origin = $1 AND "
					  "h.source = $2 AND h.seq >= $3 AND h.seq < $4", 4, range_types);
	trusted_execute(&plan, NULL, 4, range_types, values, NULL, false);
}

bool
held_has_late(const char *origin, int64 height)
{
	static SPIPlanPtr plan = NULL;
	Datum		values[2] = {CStringGetTextDatum(origin), Int64GetDatum(height)};

	trusted_plan_anew(&plan, "SELECT FROM medchain.held_block WHERE origin = $1 AND height <= $2 "
					  "LIMIT 1", 2, height_types);
	trusted_execute(&plan, NULL, 2, height_types, values, NULL, false);
	return SPI_processed > 0;
}

void
held_clear_blocks(const LocalNode *node, const char *origin, const ChainCheck *check)
{
	static SPIPlanPtr plan = NULL;
	Datum		values[2] = {CStringGetTextDatum(origin), Int64GetDatum(check->height)};
	SPITupleTable *differ;
	uint64		count;

	trusted_plan_anew(&plan,
				  "WITH gone AS (DELETE FROM medchain.held_block WHERE origin = $1 AND height <= "
					  "$2 RETURNING source, height, note) "
					  "SELECT g.source, g.height, g.note FROM gone g LEFT JOIN medchain.block b "
					  "ON b.origin = $1 AND b.height = g.height WHERE b.hash IS DISTINCT FROM "
					  "sha256(convert_to(substr(g.note, 1, position(E'\\n\\n' IN g.note)), "
					  "'UTF8'))", 2, height_types);
	trusted_execute(&plan, NULL, 2, height_types, values, NULL, false);
	differ = SPI_tuptable;
	count = SPI_processed;
	for (uint64 i = 0; i < count; i++)
	{
		bool		isnull;
		int64		height = DatumGetInt64(SPI_getbinval(differ->vals[i], differ->tupdesc, 2,
														 &isnull));
		char	   *note = SPI_getvalue(differ->vals[i], differ->tupdesc, 3);
		Refused		refused = {
			.source = SPI_getvalue(differ->vals[i], differ->tupdesc, 1), .origin = origin,
			.height = height, .reason = "differs from accepted block", .note = note
		};

		CHECK_FOR_INTERRUPTS();
		refused.is_signed = screen_signed(node, origin, height, note);
		quarantine_add(&refused);
	}
	SPI_freetuptable(differ);
}

void
held_clear_entries(const char *source, const char *origin, const ChainCheck *check, int64 newest)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[4] = {TEXTOID, TEXTOID, INT8OID, INT8OID};
	Datum		values[4];

	/* those that came since may be another block's */
	held_range(source, origin, (int64) check->range.size, newest, values);
	trusted_plan_anew(&plan, "DELETE FROM medchain.held_entry h WHERE h.origin = $1 AND "
					  "h.source = $2 AND h.seq < $3 AND h.id <= $4 AND " HELD_IS_DONE("$1", "$2"),
					  4, types);
	trusted_execute(&plan, NULL, 4, types, values, NULL, false);
}

void
held_sweep(void)
{
	static SPIPlanPtr known = NULL;
	static SPIPlanPtr abandoned[2] = {NULL, NULL};
	static SPIPlanPtr closed = NULL;
	static SPIPlanPtr early = NULL;

	trusted_plan_anew(&known,
					  "DELETE FROM medchain.held_entry h USING medchain.chain c "
					  "WHERE h.origin = c.origin AND h.seq < c.size AND "
					  HELD_IS_DONE("h.origin", "h.source"), 0, NULL);
	trusted_execute(&known, NULL, 0, NULL, NULL, NULL, false);

	/* what was too early once, and is part of the ledger now */
	trusted_plan_anew(&early, "DELETE FROM medchain.quarantine q USING medchain.block b "
					  "WHERE q.reason = '" HELD_EARLY "' AND b.origin = q.origin "
					  "AND b.height = q.height AND b.hash = medchain_internal.note_hash(q.note)",
					  0, NULL);
	trusted_execute(&early, NULL, 0, NULL, NULL, NULL, false);

	/* what was taken back of a chain stands there as if it had come from its member */
	trusted_plan_anew(&abandoned[0], "DELETE FROM medchain.held_entry h WHERE h.source <> h.origin "
					  "AND NOT EXISTS (SELECT FROM medchain.peer p WHERE p.member = h.source)",
					  0, NULL);
	trusted_execute(&abandoned[0], NULL, 0, NULL, NULL, NULL, false);
	trusted_plan_anew(&abandoned[1], "DELETE FROM medchain.held_block h WHERE h.source <> h.origin "
					  "AND NOT EXISTS (SELECT FROM medchain.peer p WHERE p.member = h.source)",
					  0, NULL);
	trusted_execute(&abandoned[1], NULL, 0, NULL, NULL, NULL, false);

	/* behind the last block of who was expelled, and is followed no more: nothing needs it */
	trusted_plan_anew(&closed, "DELETE FROM medchain.held_entry h USING medchain.member m, "
					  "medchain.chain c WHERE h.source = h.origin AND m.name = h.origin "
					  "AND c.origin = h.origin AND c.height >= m.last_height AND h.seq >= c.size "
					  "AND NOT EXISTS (SELECT FROM medchain.peer p WHERE p.member = h.source) "
					  "AND NOT EXISTS (SELECT FROM medchain.local_node n WHERE n.node = h.origin)",
					  0, NULL);
	trusted_execute(&closed, NULL, 0, NULL, NULL, NULL, false);
}
