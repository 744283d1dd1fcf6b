/*
 * row_set_read.c: reading sets back: verifying one, and proving that it has an item.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "compat.h"
#include "core/encode.h"
#include "node/trusted.h"
#include "rows/row_about.h"
#include "rows/row_chunk.h"
#include "rows/row_set_read.h"

#define PART_HASHES (ROW_PART_ITEMS / TREE_TILE_WIDTH)
#define WRONG_MAX 8				/* items, or stretches of them, that are named */

int
row_set_parts(const RowSetSays *says)
{
	return (int) Min((says->number - 1) / ROW_PART_ITEMS + 1, PG_INT32_MAX);
}

/* ----- one part ----- */

/* What one is read with. */
typedef struct PartReader
{
	RowSetPart *part;
	int64		first;			/* place of its first item in the set */
	int			bits;			/* of its buckets; -1: a set of few items */
	const bytea *keys;			/* NULL: there are none */
	RowPartNames *names;		/* NULL: nobody wants to know */
	bool	   *seen;
	int			faults;
	LedgerReport report;
	void	   *state;
} PartReader;

#define part_fault(reader, ...) \
	do { \
		if ((reader)->faults++ < WRONG_MAX && (reader)->report != NULL) \
			(reader)->report((reader)->state, __VA_ARGS__); \
	} while (0)

/* The row that an item is about, for people. */
static const char *
part_row(const PartReader *reader, const ChunkReader *chunk)
{
	char	   *key = reader->keys != NULL ? chunk_key(reader->keys, chunk->place) : NULL;
	char		hex[ENCODE_HEX_SIZE(HASH_LEN)];

	if (key != NULL)
		return key;
	encode_hex(chunk->item.row, HASH_LEN, hex);
	return pstrdup(hex);
}

static void
part_read_item(PartReader *reader, const ChunkReader *chunk, int bucket)
{
	long long	place = (long long) reader->first + chunk->place;

	if (chunk->place >= reader->part->nitems)
		part_fault(reader, "item %lld is one too many, about row %s", place,
				   part_row(reader, chunk));
	else if (reader->seen[chunk->place])
		part_fault(reader, "item %lld is there twice, about row %s", place,
				   part_row(reader, chunk));
	else
	{
		reader->seen[chunk->place] = true;
		if (reader->bits >= 0 && bucket != row_store_bucket(chunk->item.row, reader->bits))
			part_fault(reader, "item %lld, about row %s, is not where it is looked for", place,
					   part_row(reader, chunk));
		if (!hash_leaf(chunk->bytes, chunk->len, reader->part->leaves[chunk->place]))
			elog(ERROR, "could not compute SHA-256");
		if (reader->part->row_starts != NULL)
			memcpy(reader->part->row_starts[chunk->place], chunk->item.row, ROW_START_LEN);
		if (reader->names != NULL)
			row_part_names_item(reader->names, chunk->place, &chunk->item);
	}
}

static void
part_read_items(PartReader *reader, Datum items, int bucket)
{
	ChunkReader chunk;

	chunk_reader(&chunk, DatumGetByteaPP(items));
	while (chunk_next(&chunk))
		part_read_item(reader, &chunk, bucket);
	if (!chunk_at_end(&chunk))
		part_fault(reader, "items are unreadable in bucket %d of those from %lld on", bucket,
				   (long long) reader->first);
}

/* Each row of medchain.row_item. */
static void
part_read_buckets(PartReader *reader, Datum id)
{
	static SPIPlanPtr plan = NULL;
	MemoryContext context = CurrentMemoryContext;
	Oid			types[1] = {INT8OID};
	SPITupleTable *rows;

	trusted_read(&plan, "SELECT bucket, items FROM medchain.row_item WHERE part = $1", 1, types,
				 &id);
	MemoryContextSwitchTo(context);
	rows = SPI_tuptable;
	for (uint64 i = 0; i < rows->numvals; i++)
	{
		bool		nulls[2];
		Datum		bucket = SPI_getbinval(rows->vals[i], rows->tupdesc, 1, &nulls[0]);
		Datum		items = SPI_getbinval(rows->vals[i], rows->tupdesc, 2, &nulls[1]);

		CHECK_FOR_INTERRUPTS();
		if (!nulls[0] && !nulls[1]) /* constraints may have been taken off */
			part_read_items(reader, items, DatumGetInt32(bucket));
	}
	SPI_freetuptable(rows);
}

static void
part_report_missing(PartReader *reader)
{
	int			count = 0;
	int			first = 0;

	for (int i = reader->part->nitems - 1; i >= 0; i--)
		if (!reader->seen[i])
		{
			count++;
			first = i;
		}
	if (count == 1)
		part_fault(reader, "item %lld is missing", (long long) reader->first + first);
	else if (count > 1)
		part_fault(reader, "%d items are missing, the first of them %lld", count,
				   (long long) reader->first + first);
}

bool
row_set_read_part(const pg_uuid_t *entry, const RowSetSays *says, int number, RowSetPart *part,
				  LedgerReport report, void *state)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[2] = {UUIDOID, INT4OID};
	Datum		values[2] = {UUIDPGetDatum(entry), Int32GetDatum(number)};
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(caller, "medchain row part",
												  ALLOCSET_DEFAULT_SIZES);
	PartReader	reader = {
		.part = part, .first = (int64) number * ROW_PART_ITEMS, .bits = -1, .report = report,
		.state = state
	};
	SPITupleTable *rows;

	part->nitems = (int) Min(says->number - reader.first, ROW_PART_ITEMS);
	part->nhashes = 0;
	MemoryContextSwitchTo(context);
	reader.seen = palloc0(sizeof(bool) * ROW_PART_ITEMS);
	trusted_read(&plan, "SELECT part, bits, hashes, items, keys, relation FROM medchain.row_set "
				 "WHERE entry = $1 AND number = $2", 2, types, values);
	MemoryContextSwitchTo(context); /* SPI has left it */
	rows = SPI_tuptable;
	if (rows->numvals > 0)
	{
		Datum		row[5];
		bool		nulls[5];
		const char *relation = SPI_getvalue(rows->vals[0], rows->tupdesc, 6);

		for (int column = 0; column < 5; column++)
			row[column] = SPI_getbinval(rows->vals[0], rows->tupdesc, column + 1, &nulls[column]);
		if (relation == NULL || strcmp(relation, says->relation) != 0)
			part_fault(&reader, "items from %lld on are kept as those of another table",
					   (long long) reader.first);
		if (!nulls[2])
		{
			bytea	   *hashes = DatumGetByteaPP(row[2]);

			if (VARSIZE_ANY_EXHDR(hashes) > part->nitems / TREE_TILE_WIDTH * HASH_LEN)
				part_fault(&reader, "inner nodes over items from %lld on are too many in "
						   "medchain.row_set", (long long) reader.first);
			part->nhashes = Min((int) VARSIZE_ANY_EXHDR(hashes) / HASH_LEN, PART_HASHES);
			memcpy(part->hashes, VARDATA_ANY(hashes), (size_t) part->nhashes * HASH_LEN);
		}
		if (!nulls[4])
			reader.keys = DatumGetByteaPP(row[4]);
		reader.names = row_part_names_begin(part->names, reader.keys, part->nitems);
		if (!nulls[3])
			part_read_items(&reader, row[3], 0);
		else if (!nulls[1])
		{
			reader.bits = DatumGetInt32(row[1]);
			part_read_buckets(&reader, row[0]);
		}
	}
	SPI_freetuptable(rows);
	part_report_missing(&reader);
	if (reader.names != NULL && reader.faults == 0)
		row_part_names_end(reader.names, reader.first, report, state);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	return reader.faults == 0;
}

/* ----- a whole set ----- */

typedef struct SetAudit
{
	TreeRange	items;			/* the tree of the items */
	TreeRange	nodes;			/* the one of the inner nodes that are stored, of 256 items each */
	TreeRange	rest;			/* and the one of the items behind the last of them */
	uint64		rest_at;		/* place of the first of these */
	bool		lost;			/* an inner node is missing */
	int			nwrong;			/* of those that are not their items' */
	int64		wrong[WRONG_MAX];	/* the first ones */
} SetAudit;

static void
audit_item(SetAudit *audit, const RowSetPart *part, int place)
{
	int			node = place / TREE_TILE_WIDTH;

	if ((audit->items.size >= audit->rest_at &&
		 !tree_range_append(&audit->rest, part->leaves[place])) ||
		!tree_range_append(&audit->items, part->leaves[place]))
		elog(ERROR, "could not compute SHA-256");
	if (audit->items.ncompleted == 0)
		return;
	if (node >= part->nhashes)
	{
		audit->lost = true;
		return;
	}
	if (!tree_range_append(&audit->nodes, part->hashes[node]))
		elog(ERROR, "could not compute SHA-256");
	if (!hash_equal(part->hashes[node], audit->items.completed[0]) &&
		audit->nwrong++ < WRONG_MAX)
		audit->wrong[audit->nwrong - 1] = (int64) audit->items.size - TREE_TILE_WIDTH;
}

/* Do the inner nodes that are stored, and the items behind them, give the root? */
static bool
audit_nodes_are_right(const SetAudit *audit, const RowSetSays *says)
{
	TreeRange	whole;
	uint8_t		hashes[TREE_MAX_HASHES][HASH_LEN];
	uint8_t		root[HASH_LEN];
	int			n = audit->nodes.nhashes;

	if (audit->lost)
		return false;
	memcpy(hashes, audit->nodes.hashes, (size_t) n * HASH_LEN);
	memcpy(hashes + n, audit->rest.hashes, (size_t) audit->rest.nhashes * HASH_LEN);
	if (!tree_range_load(&whole, (uint64) says->number, hashes[0], n + audit->rest.nhashes))
		return false;
	if (!tree_range_root(&whole, root))
		elog(ERROR, "could not compute SHA-256");
	return hash_equal(root, says->root);
}

static void
audit_end(const SetAudit *audit, const RowSetSays *says, LedgerReport report, void *state)
{
	uint8_t		root[HASH_LEN];
	bool		items_are_right;

	if (!tree_range_root(&audit->items, root))
		elog(ERROR, "could not compute SHA-256");
	items_are_right = hash_equal(root, says->root);
	if (audit->lost)
		report(state, "inner nodes are missing in medchain.row_set");
	if (!items_are_right && !audit_nodes_are_right(audit, says))
		report(state, "items do not have the root that the entry says");
	else
		for (int i = 0; i < Min(audit->nwrong, WRONG_MAX); i++)
			report(state, items_are_right ? "inner node over items %lld to %lld is wrong in "
				   "medchain.row_set" : "items %lld to %lld are not those that the entry is about",
				   (long long) audit->wrong[i],
				   (long long) audit->wrong[i] + TREE_TILE_WIDTH - 1);
}

/* Parts that the set has not. */
static void
row_set_surplus(const pg_uuid_t *entry, const RowSetSays *says, LedgerReport report, void *state)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[2] = {UUIDOID, INT4OID};
	Datum		values[2] = {UUIDPGetDatum(entry), Int32GetDatum(row_set_parts(says))};

	trusted_read(&plan, "SELECT FROM medchain.row_set WHERE entry = $1 "
				 "AND number NOT BETWEEN 0 AND $2 - 1 LIMIT 1", 2, types, values);
	if (SPI_processed > 0)
		report(state, "items are too many: there is another part");
	SPI_freetuptable(SPI_tuptable);
}

/* Compare all that is stored with what the entry says; names may be NULL. */
static void
row_set_verify(const pg_uuid_t *entry, const RowSetSays *says, const RowSetNames *names,
			   LedgerReport report, void *state, pg_atomic_uint64 *done)
{
	SetAudit	audit = {.rest_at = (uint64) (says->number - says->number % TREE_TILE_WIDTH)};
	RowSetPart	part = {.names = names};
	RowAbout   *about;
	bool		complete = true;

	part.leaves = palloc((size_t) ROW_PART_ITEMS * HASH_LEN);
	part.row_starts = palloc((size_t) ROW_PART_ITEMS * ROW_START_LEN);
	about = row_about_begin(entry, says);
	tree_range_init(&audit.items);
	tree_range_init(&audit.nodes);
	tree_range_init(&audit.rest);
	for (int number = 0; number < row_set_parts(says) && complete; number++)
	{
		CHECK_FOR_INTERRUPTS();
		complete = row_set_read_part(entry, says, number, &part, report, state);
		for (int i = 0; i < part.nitems && complete; i++)
			audit_item(&audit, &part, i);
		if (complete)
			row_about_part(about, number, &part, report, state);
		if (done != NULL)
			pg_atomic_fetch_add_u64(done, (uint64) part.nitems);
	}
	pfree(part.leaves);
	pfree(part.row_starts);
	if (complete)
	{
		audit_end(&audit, says, report, state);
		row_about_end(about, report, state);
	}
	row_about_free(about);
	row_set_surplus(entry, says, report, state);
}

bool
row_set_check(const pg_uuid_t *entry, int64 seq, const text *payload, bool names,
			  const char **relation, LedgerReport report, void *state, pg_atomic_uint64 *done,
			  void **kept)
{
	RowSetSays	says;
	RowSetNames of_set;

	if (!row_entry_parse_set(VARDATA_ANY(payload), VARSIZE_ANY_EXHDR(payload), &says))
		return false;
	*relation = says.relation;
	names = names && row_set_names(says.relation, seq, kept, &of_set);
	row_set_verify(entry, &says, names ? &of_set : NULL, report, state, done);
	return true;
}

/* ----- a proof ----- */

typedef struct SetTree
{
	const pg_uuid_t *entry;
	const RowSetSays *says;
	uint8_t		(*nodes)[HASH_LEN]; /* over 256 items each */
	int64		nnodes;
	RowSetPart	parts[2];		/* of the item, and the last one */
	int			numbers[2];		/* -1: not read yet */
} SetTree;

static const RowSetPart *
set_tree_part(SetTree *tree, int number)
{
	int			i = number == tree->numbers[0] || tree->numbers[0] < 0 ? 0 : 1;

	if (tree->numbers[i] != number)
	{
		if (tree->parts[i].leaves == NULL)
			tree->parts[i].leaves = palloc((size_t) ROW_PART_ITEMS * HASH_LEN);
		tree->numbers[i] = number;
		if (!row_set_read_part(tree->entry, tree->says, number, &tree->parts[i], NULL, NULL))
			return NULL;
	}
	return &tree->parts[i];
}

/* Root over n hashes, a power of two. */
static bool
set_tree_fold(uint8_t (*hashes)[HASH_LEN], int64 n, uint8_t root[HASH_LEN])
{
	uint8_t		right[HASH_LEN];

	if (n == 1)
	{
		memcpy(root, hashes[0], HASH_LEN);
		return true;
	}
	return set_tree_fold(hashes, n / 2, root) &&
		set_tree_fold(hashes + n / 2, n / 2, right) && hash_node(root, right, root);
}

/* A ProofNode. */
static bool
set_tree_node(void *source, int level, uint64_t index, uint8_t hash[HASH_LEN])
{
	SetTree    *tree = source;
	int64		first = (int64) (index << level);
	const RowSetPart *part;

	if (level >= TREE_TILE_BITS)
	{
		int64		width = INT64CONST(1) << (level - TREE_TILE_BITS);

		first >>= TREE_TILE_BITS;
		return first + width <= tree->nnodes && set_tree_fold(tree->nodes + first, width, hash);
	}
	part = set_tree_part(tree, (int) (first / ROW_PART_ITEMS));
	return part != NULL &&
		set_tree_fold(part->leaves + first % ROW_PART_ITEMS, INT64CONST(1) << level, hash);
}

/* The inner nodes of all parts, one behind the other. */
static bool
set_tree_load(SetTree *tree)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[1] = {UUIDOID};
	Datum		values[1] = {UUIDPGetDatum(tree->entry)};
	int64		wanted = tree->says->number / TREE_TILE_WIDTH;
	SPITupleTable *rows;
	int64		stored = 0;

	trusted_read(&plan, "SELECT hashes FROM medchain.row_set WHERE entry = $1 ORDER BY number", 1,
				 types, values);
	rows = SPI_tuptable;
	for (int pass = 0; pass < 2; pass++)
	{
		for (uint64 i = 0; i < rows->numvals; i++)
		{
			bool		isnull;
			Datum		value = SPI_getbinval(rows->vals[i], rows->tupdesc, 1, &isnull);
			bytea	   *hashes = isnull ? NULL : DatumGetByteaPP(value);
			int64		n = isnull ? 0 : VARSIZE_ANY_EXHDR(hashes) / HASH_LEN;

			if (pass == 0)
				stored += n;
			else if (n > 0)
			{
				memcpy(tree->nodes + tree->nnodes, VARDATA_ANY(hashes), (size_t) n * HASH_LEN);
				tree->nnodes += n;
			}
		}
		if (pass == 0)
			tree->nodes = MemoryContextAllocHuge(CurrentMemoryContext,
												 (Size) Max(stored, 1) * HASH_LEN);
	}
	SPI_freetuptable(rows);
	return tree->nnodes == wanted;
}

bool
row_set_prove(const pg_uuid_t *entry, const RowSetSays *says, int64 place,
			  uint8_t hashes[PROOF_MAX_HASHES][HASH_LEN], int *nhashes)
{
	SetTree		tree = {.entry = entry, .says = says, .numbers = {-1, -1}};
	const RowSetPart *part;

	if (place < 0 || place >= says->number || !set_tree_load(&tree))
		return false;
	part = set_tree_part(&tree, (int) (place / ROW_PART_ITEMS));
	return part != NULL &&
		proof_make_inclusion(set_tree_node, &tree, (uint64) place, (uint64) says->number, hashes,
							 nhashes) &&
		proof_check_inclusion(part->leaves[place % ROW_PART_ITEMS], (uint64) place,
							  (uint64) says->number, hashes[0], *nhashes, says->root) ==
		PROOF_VALID;
}
