/*
 * chain_cut.c: taking blocks back, and looking again at blocks that were refused.
 *
 * After the loss of a member's key the data centre names the last block that the
 * old one has signed.  A node that hears this late may have accepted more from
 * whoever has the key now, or refused what the member has signed with its new one.
 * So that all nodes come to the same chain in whatever order they hear things, the
 * former goes to quarantine, its entries back to where they were held, and the latter is tried
 * again.  So it is when an end node's configuration of a ledger arrives that counts before the one
 * that was known, and when the data centre says which of two blocks of one height counts.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "core/keycache.h"
#include "ledger/block_row.h"
#include "ledger/chain.h"
#include "ledger/chain_advance.h"
#include "ledger/chain_terms.h"
#include "ledger/hooks.h"
#include "ledger/local_node.h"
#include "ledger/quarantine.h"
#include "ledger/tile.h"
#include "node/shared.h"
#include "node/trusted.h"

#define RECONSIDER_MAX 16

typedef struct CutBlock
{
	bool		found;
	int64		size;
	uint8_t		hash[HASH_LEN];
	char	   *note;
} CutBlock;

static CutBlock
cut_block(const char *origin, int64 height)
{
	static SPIPlanPtr plan = NULL;
	MemoryContext context = CurrentMemoryContext;
	Oid			types[2] = {TEXTOID, INT8OID};
	Datum		values[2] = {CStringGetTextDatum(origin), Int64GetDatum(height)};
	CutBlock	block = {0};

	trusted_execute(&plan, "SELECT size, hash, note FROM medchain.block WHERE origin = $1 AND "
					"height = $2", 2, types, values, NULL, false);
	if (SPI_processed > 0)
	{
		HeapTuple	row = SPI_tuptable->vals[0];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;
		bytea	   *hash = DatumGetByteaPP(SPI_getbinval(row, desc, 2, &isnull));

		block.found = true;
		block.size = DatumGetInt64(SPI_getbinval(row, desc, 1, &isnull));
		memcpy(block.hash, VARDATA_ANY(hash), Min(HASH_LEN, VARSIZE_ANY_EXHDR(hash)));
		block.note = MemoryContextStrdup(context, SPI_getvalue(row, desc, 3));
	}
	SPI_freetuptable(SPI_tuptable);
	return block;
}

static void
cut_execute(SPIPlanPtr *plan, const char *sql, const char *origin, int64 number)
{
	Oid			types[2] = {TEXTOID, INT8OID};
	Datum		values[2] = {CStringGetTextDatum(origin), Int64GetDatum(number)};

	trusted_execute(plan, sql, 2, types, values, NULL, false);
}

/*
 * The entries beyond size leave the ledger: our own are sealed again, others' are held for the
 * block that counts, which may have them too, and then they were not held when they came with it.
 * What has come and differs from them is that block's, and would be hidden behind what is held
 * later.
 */
static void
cut_entries(const LocalNode *node, const char *origin, int64 size)
{
	static SPIPlanPtr absent = NULL;
	static SPIPlanPtr again = NULL;
	static SPIPlanPtr hold = NULL;
	static SPIPlanPtr remove = NULL;
	static SPIPlanPtr tiles = NULL;
	static SPIPlanPtr last = NULL;

	/* of those that were not here, the block that counts brings the leaf hashes, or its entries */
	cut_execute(&absent, "UPDATE medchain.chain c SET absent = c.absent - (c.size - $2 - "
				"(SELECT count(*) FROM medchain.entry e WHERE e.origin = $1 AND e.seq >= $2)) "
				"WHERE c.origin = $1 AND c.absent > 0", origin, size);
	if (strcmp(origin, node->node) == 0)
		cut_execute(&again, "INSERT INTO medchain.pending (payload) SELECT payload FROM "
					"medchain.entry "
					"WHERE origin = $1 AND seq >= $2 ORDER BY seq", origin, size);
	else
		cut_execute(&hold, "INSERT INTO medchain.held_entry (source, origin, seq, payload, bytes) "
					"SELECT e.origin, e.origin, e.seq, e.payload, octet_length(e.payload) "
					"FROM medchain.entry e WHERE e.origin = $1 AND e.seq >= $2 AND NOT EXISTS "
					"(SELECT FROM medchain.held_entry h WHERE h.origin = $1 AND h.source = $1 "
					"AND h.seq = e.seq)", origin, size);
	cut_execute(&remove, "DELETE FROM medchain.entry WHERE origin = $1 AND seq >= $2", origin,
				size);
	cut_execute(&tiles, "DELETE FROM medchain.tile WHERE origin = $1 AND index * 256 >= ($2 >> (8 "
				"* level))", origin, size);
	cut_execute(&last, "UPDATE medchain.tile SET hashes = substr(hashes, 1, ((($2 >> (8 * level)) "
				"- index * 256) * 32)::int) "
				"WHERE origin = $1 AND (index + 1) * 256 > ($2 >> (8 * level))", origin, size);
}

/* Everything after the block of this height, newest last, to quarantine. */
static void
cut_blocks(const char *origin, int64 height, int64 size, const char *reason, const char *detail)
{
	static SPIPlanPtr read = NULL;
	static SPIPlanPtr remove = NULL;
	static SPIPlanPtr memory = NULL;
	Oid			types[2] = {TEXTOID, INT8OID};
	Datum		values[2] = {CStringGetTextDatum(origin), Int64GetDatum(height)};
	SPITupleTable *blocks;
	uint64		count;
	int64		first = size;

	trusted_execute(&read, "SELECT height, size, note FROM medchain.block WHERE origin = $1 AND "
					"height > $2 ORDER BY height",
					2, types, values, NULL, false);
	blocks = SPI_tuptable;
	count = SPI_processed;
	for (uint64 i = 0; i < count; i++)
	{
		bool		isnull;
		int64		end = DatumGetInt64(SPI_getbinval(blocks->vals[i], blocks->tupdesc, 2,
													  &isnull));

		Refused		refused = {
			.source = origin, .origin = origin,
			.height = DatumGetInt64(SPI_getbinval(blocks->vals[i], blocks->tupdesc, 1, &isnull)),
			.reason = reason, .detail = detail,
			.note = SPI_getvalue(blocks->vals[i], blocks->tupdesc, 3), .is_signed = true,
			.first = first, .last = end
		};

		CHECK_FOR_INTERRUPTS();
		quarantine_add(&refused);
		first = end;
	}
	SPI_freetuptable(blocks);
	cut_execute(&remove, "DELETE FROM medchain.block WHERE origin = $1 AND height > $2", origin,
				height);

	/* the transaction of who verifies it just now may last; see checkpoint_compare_remembered() */
	cut_execute(&memory, "DELETE FROM medchain.verified WHERE ctid = ANY (ARRAY(SELECT ctid FROM "
				"medchain.verified WHERE origin = $1 AND height > $2 FOR UPDATE SKIP LOCKED))",
				origin, height);
}

static void
chain_cut(ChainAdvance *chain, int64 height, const CutBlock *block, const char *reason,
		  const char *detail)
{
	const LocalNode *node = chain->node;
	const char *origin = chain->origin;
	ChainCheck	cut;

	chain_start(node, origin, &cut);
	if (block->found)
	{
		cut.height = height;
		memcpy(cut.head, block->hash, HASH_LEN);
		if (!tile_range(origin, (uint64) block->size, &cut.range))
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("tree of chain \"%s\" is damaged", origin),
					 errhint("medchain.rebuild_tiles() makes the tiles anew from the entries.")));
	}
	ledger_writing = true;
	PG_TRY();
	{
		cut_entries(node, origin, block->size);
		cut_blocks(origin, height, block->size, reason, detail);
	}
	PG_FINALLY();
	{
		ledger_writing = false;
	}
	PG_END_TRY();
	chain_store(node, origin, &cut);
	ledger_hooks.unfold(origin, block->size);
	shared_state_changed();
	chain->check = cut;
}

/*
 * The data centre has said which of two blocks of one height counts, and here is the other one:
 * take it back, with what follows it.  What we sealed ourselves nobody else takes away.
 */
static bool
cut_chosen(ChainAdvance *chain)
{
	static SPIPlanPtr want = NULL;
	const char *origin = chain->origin;
	ListCell   *cell;

	if (strcmp(origin, chain->node->node) == 0)
		return false;
	foreach(cell, chain->terms.choices)
	{
		const ChainChoice *choice = lfirst(cell);
		CutBlock	here;
		CutBlock	before = {0};

		if (choice->height > chain->check.height)
			continue;
		here = cut_block(origin, choice->height);
		if (choice->height > 0)
			before = cut_block(origin, choice->height - 1);
		if (!here.found || hash_equal(here.hash, choice->hash) ||
			(choice->height > 0 && !before.found))
			continue;
		ereport(LOG,
				(errmsg("medchain: chain \"%s\" is taken back to block %lld: the data centre says "
						"that another one follows it",
						origin, (long long) (choice->height - 1))));
		chain_cut(chain, choice->height - 1, &before, CHAIN_NOT_CHOSEN,
				  "taken back from the ledger: the data centre says that another block counts");

		/* who has the other one has what goes with it */
		cut_execute(&want, "INSERT INTO medchain.missing AS f (source, origin, wanted) SELECT "
					"p.member, $1, true FROM medchain.peer p WHERE $2 >= 0 ON CONFLICT (source, "
					"origin) DO UPDATE SET wanted = true", origin, choice->height);
		return true;
	}
	return false;
}

bool
chain_cut_superseded(ChainAdvance *chain)
{
	const LocalNode *node = chain->node;
	const char *origin = chain->origin;
	ListCell   *cell;

	foreach(cell, chain->terms.keys)
	{
		const ChainKey *key = lfirst(cell);
		CutBlock	before = {0};
		CutBlock	first;
		const Key  *signer;
		CoreError	error = {0};

		/*
		 * a key that the member chose on its chain is judged with the chain; nobody else takes
		 * away what we sealed ourselves
		 */
		if (key->from_height > chain->check.height ||
			(!key->named && (key->from_height > 0 || strcmp(origin, node->node) == 0 ||
							 strcmp(origin, node->data_center) == 0)))
			continue;
		if (key->from_height > 0)
			before = cut_block(origin, key->from_height - 1);
		first = cut_block(origin, key->from_height);
		signer = keycache_get(key->pem, strlen(key->pem), &error);
		if (!first.found || signer == NULL ||
			note_verify(first.note, strlen(first.note), chain->check.name, signer,
						&error) == KEY_VALID)
			continue;

		/* another fork altogether: what to keep of it, nobody has said */
		if (key->from_height > 0 && (!before.found || !hash_equal(before.hash, key->follows)))
			continue;
		ereport(LOG,
				(errmsg("medchain: chain \"%s\" is taken back to block %lld, the last before its "
						"new key",
						origin, (long long) (key->from_height - 1))));
		chain_cut(chain, key->from_height - 1, &before, CHAIN_TAKEN_BACK,
				  key->named ?
				  "taken back from the ledger: the data centre names an earlier block as the last "
				  "with this key" :
				  "taken back from the ledger: it is configured with another key");
		return true;
	}
	return cut_chosen(chain);
}

bool
chain_reconsider(const ChainAdvance *chain)
{
	static SPIPlanPtr read = NULL;
	static SPIPlanPtr hold = NULL;
	int64		height = chain->check.height + 1;
	const ChainKey *chosen = chain_terms_key(&chain->terms, height);
	Oid			types[2] = {TEXTOID, INT8OID};
	Datum		values[2] = {CStringGetTextDatum(chain->origin), Int64GetDatum(height)};
	SPITupleTable *refused;
	uint64		count;
	bool		again = false;

	if (chosen == NULL)
		return false;
	/* of each source, so that nobody's rubbish is in the way of another's true block */
	trusted_execute(&read, "SELECT r.id, r.note FROM (SELECT q.id, q.note, row_number() OVER "
					"(PARTITION BY q.source ORDER BY q.id DESC) AS n FROM medchain.quarantine q "
					"WHERE q.origin = $1 AND q.height = $2 AND q.note IS NOT NULL "
					"AND q.reason IN ('bad signature', 'differs from accepted block')) r "
					"WHERE r.n <= " CppAsString2(RECONSIDER_MAX) " ORDER BY r.id DESC",
					2, types, values, NULL, false);
	refused = SPI_tuptable;
	count = SPI_processed;
	for (uint64 i = 0; i < count; i++)
	{
		char	   *note = SPI_getvalue(refused->vals[i], refused->tupdesc, 2);
		Oid			type = INT8OID;
		bool		isnull;
		Datum		id = SPI_getbinval(refused->vals[i], refused->tupdesc, 1, &isnull);
		CoreError	error = {0};
		const Key  *key = keycache_get(chosen->pem, strlen(chosen->pem), &error);

		CHECK_FOR_INTERRUPTS();
		if (key == NULL ||
			note_verify(note, strlen(note), chain->check.name, key, &error) != KEY_VALID)
			continue;
		trusted_execute(&hold, "WITH taken AS (DELETE FROM medchain.quarantine WHERE id = $1 "
						"RETURNING source, origin, height, note) "
						"INSERT INTO medchain.held_block (source, origin, height, note) SELECT "
						"source, origin, height, note FROM taken",
						1, &type, &id, NULL, false);
		again = true;
	}
	SPI_freetuptable(refused);
	return again;
}
