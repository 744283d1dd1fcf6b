/*
 * block_leaves.c: the leaf hashes that a block carries, and how many entries of each kind they are.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "ledger/block_leaves.h"
#include "node/trusted.h"
#include "rules/entry.h"

#define BLOCK_KIND_OTHER "unknown"	/* of entries that were taken before kinds had rules */

/* How many entries of one kind a block has. */
typedef struct BlockKind
{
	char		name[ENTRY_TEXT_MAX + 1];
	int64		count;
} BlockKind;

static void
block_leaves_begin(BlockLeaves *leaves)
{
	HASHCTL		control = {
		.keysize = sizeof(((BlockKind *) NULL)->name), .entrysize = sizeof(BlockKind),
		.hcxt = leaves->context
	};

	leaves->last = NULL;
	leaves->kinds = hash_create("medchain kinds of a block", 16, &control,
								HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
}

void
block_leaves_init(BlockLeaves *leaves)
{
	leaves->context = CurrentMemoryContext;
	initStringInfo(&leaves->hashes);
	block_leaves_begin(leaves);
}

void
block_leaves_add(BlockLeaves *leaves, const uint8_t hash[HASH_LEN], const char *kind)
{
	MemoryContext old = MemoryContextSwitchTo(leaves->context);
	bool		found;

	appendBinaryStringInfo(&leaves->hashes, (const char *) hash, HASH_LEN);
	if (leaves->last == NULL || strcmp(leaves->last->name, kind) != 0)
	{
		if (!entry_kind_valid(kind))
			kind = BLOCK_KIND_OTHER;
		leaves->last = hash_search(leaves->kinds, kind, HASH_ENTER, &found);
		if (!found)
			leaves->last->count = 0;
	}
	leaves->last->count++;
	MemoryContextSwitchTo(old);
}

void
block_leaves_reset(BlockLeaves *leaves)
{
	resetStringInfo(&leaves->hashes);
	hash_destroy(leaves->kinds);
	block_leaves_begin(leaves);
}

bytea *
block_leaves_bytes(const BlockLeaves *leaves)
{
	return DatumGetByteaP(trusted_bytea(leaves->hashes.data, (size_t) leaves->hashes.len));
}

static int
block_kind_order(const void *a, const void *b)
{
	return strcmp((*(const BlockKind *const *) a)->name, (*(const BlockKind *const *) b)->name);
}

char *
block_leaves_kinds(const BlockLeaves *leaves)
{
	long		count = hash_get_num_entries(leaves->kinds);
	BlockKind **sorted = palloc((Size) Max(count, 1) * sizeof(BlockKind *));
	HASH_SEQ_STATUS status;
	StringInfoData text;
	BlockKind  *kind;
	long		n = 0;

	hash_seq_init(&status, leaves->kinds);
	while ((kind = hash_seq_search(&status)) != NULL)
		sorted[n++] = kind;
	qsort(sorted, (size_t) n, sizeof(BlockKind *), block_kind_order);
	initStringInfo(&text);
	appendStringInfoChar(&text, '{');
	/* what may be a kind needs no escapes */
	for (long i = 0; i < n; i++)
		appendStringInfo(&text, "%s\"%s\": " INT64_FORMAT, i > 0 ? ", " : "", sorted[i]->name,
						 sorted[i]->count);
	appendStringInfoChar(&text, '}');
	pfree(sorted);
	return text.data;
}

int
block_leaves_read(const char *origin, int64 seq, int count, uint8_t *hashes)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[3] = {TEXTOID, INT8OID, INT4OID};
	Datum		values[3];
	int			found = 0;

	values[0] = CStringGetTextDatum(origin);
	values[1] = Int64GetDatum(seq);
	values[2] = Int32GetDatum(count);
	trusted_read(&plan, "SELECT substr(b.leaves, ($2 - f.size)::int * 32 + 1, "
				 "least($3, b.size - $2)::int * 32) FROM (SELECT x.height, x.size, x.leaves "
				 "FROM medchain.block x WHERE x.origin = $1 AND x.size > $2 "
				 "ORDER BY x.size, x.height LIMIT 1) b CROSS JOIN LATERAL (SELECT coalesce(("
				 "SELECT p.size FROM medchain.block p WHERE p.origin = $1 "
				 "AND p.height = b.height - 1), 0)) f(size) "
				 "WHERE f.size <= $2 AND octet_length(b.leaves) = (b.size - f.size) * 32",
				 3, types, values);
	if (SPI_processed > 0)
	{
		bool		isnull;
		bytea	   *part = DatumGetByteaPP(SPI_getbinval(SPI_tuptable->vals[0],
														 SPI_tuptable->tupdesc, 1, &isnull));

		found = (int) VARSIZE_ANY_EXHDR(part) / HASH_LEN;
		memcpy(hashes, VARDATA_ANY(part), (size_t) found * HASH_LEN);
	}
	SPI_freetuptable(SPI_tuptable);
	return found;
}
