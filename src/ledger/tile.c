/*
 * tile.c: writing, reading, guarding and rebuilding medchain.tile.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "replication/logicalworker.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "compat.h"
#include "core/proof.h"
#include "ledger/block_leaves.h"
#include "ledger/block_row.h"
#include "ledger/chain.h"
#include "ledger/home.h"
#include "ledger/local_node.h"
#include "ledger/scan.h"
#include "ledger/tile.h"
#include "node/shown.h"
#include "node/trusted.h"

static void
tile_damaged(const char *origin, int level, uint64 index, const char *how)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("tile %llu of level %d of chain \"%s\" %s", (unsigned long long) index, level,
					origin, how),
			 errhint("medchain.verify() tells whether the entries are intact; "
					 "medchain.rebuild_tiles() makes the tiles anew from them.")));
}

/*
 * Writing
 */

void
tile_batch_init(TileBatch *batch)
{
	memset(batch, 0, sizeof(*batch));
}

void
tile_batch_add(TileBatch *batch, const TreeRange *range)
{
	for (int i = 0; i < range->ncompleted; i++)
	{
		if (batch->hashes[i].data == NULL)
		{
			initStringInfo(&batch->hashes[i]);
			batch->first[i] = (range->size >> (TREE_TILE_BITS * (i + 1))) - 1;
		}
		appendBinaryStringInfo(&batch->hashes[i], (const char *) range->completed[i], HASH_LEN);
	}
}

/* Append hashes to one row: to a new one at offset 0, else to the one that ends just there. */
static void
tile_write(const char *origin, int level, uint64 index, int offset, const char *hashes, int count)
{
	static SPIPlanPtr insert = NULL;
	static SPIPlanPtr extend = NULL;
	Oid			types[5] = {TEXTOID, INT4OID, INT8OID, BYTEAOID, INT4OID};
	Datum		values[5];

	values[0] = CStringGetTextDatum(origin);
	values[1] = Int32GetDatum(level);
	values[2] = Int64GetDatum((int64) index);
	values[3] = trusted_bytea(hashes, (size_t) count * HASH_LEN);
	values[4] = Int32GetDatum(offset * HASH_LEN);
	if (offset == 0)
		trusted_execute(&insert,
						"INSERT INTO medchain.tile (origin, level, index, hashes) VALUES ($1, $2, "
						"$3, $4) "
						"ON CONFLICT (origin, level, index) DO NOTHING", 4, types, values, NULL,
						false);
	else
		trusted_execute(&extend,
						"UPDATE medchain.tile SET hashes = hashes || $4 "
						"WHERE origin = $1 AND level = $2 AND index = $3 AND length(hashes) = $5",
						5, types, values, NULL, false);
	if (SPI_processed != 1)
		tile_damaged(origin, level, index, offset == 0 ? "is there before its first subtree" :
					 "does not end where the tree does");
}

void
tile_batch_write(TileBatch *batch, const char *origin)
{
	for (int i = 0; i < TREE_TILE_LEVELS; i++)
	{
		uint64		next = batch->first[i];
		int			left = batch->hashes[i].len / HASH_LEN;
		const char *hashes = batch->hashes[i].data;

		while (left > 0)
		{
			int			offset = next % TREE_TILE_WIDTH;
			int			count = Min(left, TREE_TILE_WIDTH - offset);

			tile_write(origin, i + 1, next / TREE_TILE_WIDTH, offset, hashes, count);
			hashes += count * HASH_LEN;
			next += count;
			left -= count;
		}
		if (batch->hashes[i].data != NULL)
			pfree(batch->hashes[i].data);
	}
	tile_batch_init(batch);
}

/*
 * Reading
 */

typedef struct Tile
{
	int			level;
	uint64		index;
	int			count;
	uint8_t    *hashes;
	struct Tile *next;
} Tile;

struct TileReader
{
	char	   *origin;
	uint64		size;
	bool		missing_ok;		/* say no instead of raising an error */
	Tile	   *tiles;			/* all that were read, newest first: a proof needs two a level */
	MemoryContext context;
};

bytea *
tile_read(const char *origin, int level, uint64 index, MemoryContext context)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[3] = {TEXTOID, INT4OID, INT8OID};
	Datum		values[3];
	bytea	   *hashes = NULL;

	values[0] = CStringGetTextDatum(origin);
	values[1] = Int32GetDatum(level);
	values[2] = Int64GetDatum((int64) index);
	trusted_read(&plan, "SELECT hashes FROM medchain.tile WHERE origin = $1 AND level = $2 AND "
				 "index = $3", 3, types, values);
	if (SPI_processed > 0)
	{
		bool		isnull;
		Datum		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
		MemoryContext old = MemoryContextSwitchTo(context);

		hashes = DatumGetByteaPCopy(value);
		MemoryContextSwitchTo(old);
	}
	SPI_freetuptable(SPI_tuptable);
	return hashes;
}

/* Something that the tree needs is not there. */
static void
tile_entry_damaged(const char *origin, int64 seq, const char *how)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("entry %lld of chain \"%s\" %s", (long long) seq, origin, how),
			 errhint("Run medchain.verify() to see what else is.")));
}

/*
 * Level 0: the leaf hashes themselves, as many as there are in a row.  A proof spends most of its
 * time here.
 */
static void
tile_read_leaves(TileReader *reader, Tile *tile)
{
	static const ScanColumn columns[] = {{"seq", INT8OID}, {"leaf_hash", BYTEAOID}};
	ChainScan	scan;
	int64		first = (int64) tile->index * TREE_TILE_WIDTH;
	int			wanted = (int) Min(TREE_TILE_WIDTH, reader->size - (uint64) first);
	const char *problem = NULL;
	bool		ready = false;
	int64		seq = 0;

	tile->hashes = MemoryContextAlloc(reader->context, (size_t) wanted * HASH_LEN);
	scan_begin(&scan, "entry", columns, lengthof(columns), reader->origin, "seq", first,
			   first + wanted);
	while (tile->count < wanted && problem == NULL)
	{
		int64		next = first + tile->count;
		bytea	   *leaf;

		if (!ready)
			seq = scan_next(&scan) ? DatumGetInt64(scan.values[0]) : first + wanted;
		ready = seq > next;
		if (ready)
		{
			/* its payload was not taken, or is lost: what the block carries */
			int			read = block_leaves_read(reader->origin, next, (int) (seq - next),
												 tile->hashes + (size_t) tile->count * HASH_LEN);

			tile->count += read;
			problem = read > 0 ? NULL : "is missing";
		}
		else if (scan.nulls[1] || (leaf = DatumGetByteaPP(scan.values[1]),
								   VARSIZE_ANY_EXHDR(leaf) != HASH_LEN))
			problem = "has a damaged leaf hash";
		else
			memcpy(tile->hashes + (size_t) tile->count++ * HASH_LEN, VARDATA_ANY(leaf), HASH_LEN);
	}
	scan_end(&scan);
	if (problem != NULL && !reader->missing_ok)
		tile_entry_damaged(reader->origin, first + tile->count, problem);
}

static const Tile *
tile_get(TileReader *reader, int level, uint64 index)
{
	Tile	   *tile;

	for (tile = reader->tiles; tile != NULL; tile = tile->next)
		if (tile->level == level && tile->index == index)
			return tile;
	tile = MemoryContextAllocZero(reader->context, sizeof(Tile));
	tile->level = level;
	tile->index = index;
	if (level == 0)
		tile_read_leaves(reader, tile);
	else
	{
		bytea	   *hashes = tile_read(reader->origin, level, index, reader->context);

		if (hashes == NULL && !reader->missing_ok)
			tile_damaged(reader->origin, level, index, "is missing");
		if (hashes != NULL)
		{
			tile->hashes = (uint8_t *) VARDATA(hashes);
			tile->count = VARSIZE_ANY_EXHDR(hashes) / HASH_LEN;
		}
	}
	tile->next = reader->tiles;
	reader->tiles = tile;
	return tile;
}

TileReader *
tile_reader(const char *origin, uint64 size)
{
	TileReader *reader = palloc0(sizeof(TileReader));

	reader->origin = pstrdup(origin);
	reader->size = size;
	reader->context = CurrentMemoryContext;
	return reader;
}

bool
tile_subtree(void *source, int level, uint64_t index, uint8_t hash[HASH_LEN])
{
	TileReader *reader = source;
	int			width = 1 << (level % TREE_TILE_BITS);
	uint64		first = index * width;	/* on the level of the tile */
	int			offset = first % TREE_TILE_WIDTH;
	const Tile *tile;
	uint8_t		nodes[TREE_TILE_WIDTH / 2][HASH_LEN];

	if (((index + 1) << level) > reader->size)
		elog(ERROR, "subtree %llu of level %d is beyond a tree of %llu leaves",
			 (unsigned long long) index, level, (unsigned long long) reader->size);
	tile = tile_get(reader, level / TREE_TILE_BITS, first / TREE_TILE_WIDTH);
	if (offset + width > tile->count)
	{
		if (reader->missing_ok)
			return false;
		tile_damaged(reader->origin, tile->level, tile->index, "is too short");
	}

	/* a subtree never reaches beyond its tile; fold it level by level */
	memcpy(nodes, tile->hashes + (size_t) offset * HASH_LEN, (size_t) width * HASH_LEN);
	for (; width > 1; width /= 2)
		for (int i = 0; i < width / 2; i++)
			if (!hash_node(nodes[2 * i], nodes[2 * i + 1], nodes[i]))
				elog(ERROR, "could not compute SHA-256");
	memcpy(hash, nodes[0], HASH_LEN);
	return true;
}

bool
tile_range(const char *origin, uint64 size, TreeRange *range)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "medchain tiles",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	TileReader *reader = tile_reader(origin, size);
	uint8_t		hashes[TREE_MAX_HASHES][HASH_LEN];
	int			nhashes = 0;
	uint64		start = 0;
	bool		found = size <= PG_INT64_MAX;

	reader->missing_ok = true;
	for (int level = TREE_MAX_HASHES - 1; level >= 0 && found; level--)
		if (size & (UINT64CONST(1) << level))
		{
			found = tile_subtree(reader, level, start >> level, hashes[nhashes++]);
			start += UINT64CONST(1) << level;
		}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return found && tree_range_load(range, size, hashes[0], nhashes);
}

/*
 * Guarding
 */

PG_FUNCTION_INFO_V1(medchain_arrive_tile);

/*
 * BEFORE INSERT: tiles are made here, and nobody sends any.  What a restore brings is let in, and
 * in a node a tile that its chain lacks; verify() shows whether it is right.
 */
Datum
medchain_arrive_tile(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	static SPIPlanPtr plan = NULL;
	Oid			types[4] = {TEXTOID, INT4OID, INT8OID, INT8OID};
	Datum		values[4];
	TupleDesc	desc;
	TrustedScope scope;
	Datum		hashes;
	bool		isnull = false;
	bool		anynull = false;

	if (!CALLED_AS_TRIGGER(fcinfo))
		elog(ERROR, "medchain_arrive_tile: not called as a trigger");
	if (ledger_writing)
		return PointerGetDatum(trigger->tg_trigtuple);
	if (IsLogicalWorker())
	{
		ereport(LOG,
				(errmsg("medchain: a peer tried to write to \"medchain.tile\"; ignored")));
		return PointerGetDatum(NULL);
	}
	desc = RelationGetDescr(trigger->tg_relation);
	for (int i = 0; i < 3; i++)
	{
		values[i] = heap_getattr(trigger->tg_trigtuple, i + 1, desc, &isnull);
		anynull |= isnull;
	}
	hashes = heap_getattr(trigger->tg_trigtuple, 4, desc, &isnull);
	if (anynull || isnull)
		return PointerGetDatum(trigger->tg_trigtuple);	/* the columns' own constraints say so
														 * better */
	if (home_status() != HOME_HERE)
		return PointerGetDatum(trigger->tg_trigtuple);
	values[3] = Int64GetDatum(VARSIZE_ANY_EXHDR(DatumGetByteaPP(hashes)));
	trusted_begin(&scope);
	trusted_execute(&plan,
				  "SELECT FROM medchain.chain WHERE origin = $1 AND $2 BETWEEN 1 AND 7 AND $3 >= "
					"0 "
					"AND $4 = 32 * least(256, (size >> (8 * $2)) - 256::numeric * $3)",
					4, types, values, NULL, false);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("rows of \"medchain.tile\" are written by medchain alone"),
				 errhint("medchain.rebuild_tiles() makes the "
						 "tiles anew from the entries.")));
	trusted_end(&scope);
	return PointerGetDatum(trigger->tg_trigtuple);
}

/*
 * Rebuilding
 */

/* All tiles of a chain from its leaf hashes, whose tree must be the verified one. */
static int64
tile_rebuild(const char *origin, const ChainCheck *frontier)
{
	static SPIPlanPtr drop = NULL;
	Oid			types[2] = {TEXTOID, INT8OID};
	Datum		values[2] = {
		CStringGetTextDatum(origin),
		Int64GetDatum((int64) frontier->range.size)
	};
	TileReader *reader = tile_reader(origin, frontier->range.size);
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "medchain leaves",
												  ALLOCSET_DEFAULT_SIZES);
	TreeRange	range;
	TileBatch	batch;
	int64		count;
	bool		isnull;
	uint8_t		root[HASH_LEN];
	uint8_t		expected[HASH_LEN];

	tree_range_init(&range);
	tile_batch_init(&batch);
	reader->context = context;
	while (range.size < frontier->range.size)
	{
		Tile		leaves = {.index = range.size / TREE_TILE_WIDTH};

		CHECK_FOR_INTERRUPTS();
		tile_read_leaves(reader, &leaves);
		for (int i = 0; i < leaves.count; i++)
		{
			if (!tree_range_append(&range, leaves.hashes + (size_t) i * HASH_LEN))
				elog(ERROR, "could not compute SHA-256");
			tile_batch_add(&batch, &range);
		}
		MemoryContextReset(context);
	}
	if (!tree_range_root(&range, root) || !tree_range_root(&frontier->range, expected))
		elog(ERROR, "could not compute SHA-256");
	if (!hash_equal(root, expected))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("entries of chain \"%s\" do not hash to its root", origin),
				 errhint("Run medchain.verify() to see which.")));

	trusted_execute(&drop, "DELETE FROM medchain.tile WHERE origin = $1", 1, types, values, NULL,
					false);
	tile_batch_write(&batch, origin);
	SPI_execute_with_args("SELECT count(*) FROM medchain.tile WHERE origin = $1", 1, types, values,
						  NULL, false, 1);
	count = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	return count;
}

PG_FUNCTION_INFO_V1(medchain_rebuild_tiles);

/* rebuild_tiles(origin text) -> bigint */
Datum
medchain_rebuild_tiles(PG_FUNCTION_ARGS)
{
	char	   *origin = text_to_cstring(PG_GETARG_TEXT_PP(0));
	TrustedScope scope;
	LocalNode	node;
	ChainCheck	frontier;
	int64		count;

	trusted_require_writable();
	trusted_begin(&scope);
	local_node_require(&node);
	/* locked: nothing is appended to it meanwhile */
	chain_load(&node, origin, CHAIN_LOCK, &frontier);
	if (frontier.height < 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no block of \"%s\" here", shown(origin)),
				 errhint("See the view medchain.chains.")));
	ledger_writing = true;
	PG_TRY();
	{
		count = tile_rebuild(origin, &frontier);
	}
	PG_FINALLY();
	{
		ledger_writing = false;
	}
	PG_END_TRY();
	trusted_end(&scope);
	PG_RETURN_INT64(count);
}
