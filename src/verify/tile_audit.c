/*
 * tile_audit.c: are the stored tiles those of the tree?
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "ledger/tile.h"
#include "node/trusted.h"
#include "verify/tile_audit.h"

void
tile_audit_init(TileAudit *audit, const char *origin)
{
	memset(audit, 0, sizeof(*audit));
	audit->origin = origin;
	audit->context = CurrentMemoryContext;
}

static void
tile_audit_fault(TileAudit *audit, int level, uint64 index, int offset, bool missing)
{
	if (audit->nfaults < TILE_AUDIT_KEEP)
		audit->faults[audit->nfaults++] = (TileFault)
	{
		level, index, offset, missing
	};
}

static void
tile_audit_load(TileAudit *audit, int slot, uint64 index)
{
	if (audit->tile[slot].loaded && audit->tile[slot].index == index)
		return;
	if (audit->tile[slot].hashes != NULL)
		pfree(audit->tile[slot].hashes);
	audit->tile[slot].hashes = tile_read(audit->origin, slot + 1, index, audit->context);
	audit->tile[slot].index = index;
	audit->tile[slot].loaded = true;
	audit->tile[slot].reported = false;
}

void
tile_audit_leaf(TileAudit *audit, const TreeRange *range)
{
	for (int i = 0; i < range->ncompleted; i++)
	{
		uint64		number = (range->size >> (TREE_TILE_BITS * (i + 1))) - 1;
		uint64		index = number / TREE_TILE_WIDTH;
		int			offset = number % TREE_TILE_WIDTH;
		bytea	   *hashes;

		tile_audit_load(audit, i, index);
		hashes = audit->tile[i].hashes;
		if (hashes == NULL || VARSIZE_ANY_EXHDR(hashes) < (offset + 1) * HASH_LEN)
		{
			if (!audit->tile[i].reported)
				tile_audit_fault(audit, i + 1, index, hashes == NULL ? -1 : offset, true);
			audit->tile[i].reported = true;
		}
		else if (memcmp(VARDATA(hashes) + offset * HASH_LEN, range->completed[i], HASH_LEN) != 0)
			tile_audit_fault(audit, i + 1, index, offset, false);
	}
}

const char *
tile_fault_text(const TileFault *fault)
{
	if (fault->offset < 0)
		return psprintf("tile %llu of level %d is missing", (unsigned long long) fault->index,
						fault->level);
	return psprintf(fault->missing ? "tile %llu of level %d: hash %d is missing"
					: "tile %llu of level %d: hash %d differs from the tree of the entries",
					(unsigned long long) fault->index, fault->level, fault->offset);
}

const char *
tile_audit_surplus(const char *origin, uint64 size)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[2] = {TEXTOID, INT8OID};
	Datum		values[2] = {CStringGetTextDatum(origin), Int64GetDatum((int64) size)};
	const char *found = NULL;

	trusted_read(&plan, "SELECT level, index FROM medchain.tile WHERE origin = $1 "
				 "AND CASE WHEN level NOT BETWEEN 1 AND 7 OR index < 0 OR index > $2 / 256 THEN "
				 "true "
			   "         ELSE length(hashes) > 32 * greatest(0, least(256, ($2 >> (8 * level)) - "
				 "256 * index)) END "
				 "ORDER BY level, index LIMIT 1", 2, types, values);
	if (SPI_processed > 0)
	{
		bool		isnull;
		HeapTuple	row = SPI_tuptable->vals[0];
		TupleDesc	desc = SPI_tuptable->tupdesc;

		found = psprintf("tile %lld of level %d has more hashes than the tree",
						 (long long) DatumGetInt64(SPI_getbinval(row, desc, 2, &isnull)),
						 DatumGetInt32(SPI_getbinval(row, desc, 1, &isnull)));
	}
	SPI_freetuptable(SPI_tuptable);
	return found;
}
