/*
 * chain.c: the verified frontier of each chain: reading and writing it.
 *
 * Moving it forward is in chain_advance.c.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "ledger/chain.h"
#include "ledger/local_node.h"
#include "node/trusted.h"

void
chain_name(const LocalNode *node, const char *origin, char *name)
{
	snprintf(name, NOTE_NAME_MAX + 1, "%s/%s", node->alliance, origin);
}

void
chain_start(const LocalNode *node, const char *origin, ChainCheck *check)
{
	static const uint8_t zero[HASH_LEN] = {0};
	char		name[NOTE_NAME_MAX + 1];

	chain_name(node, origin, name);
	if (!node->has_genesis && strcmp(origin, node->data_center) != 0)
		elog(ERROR, "chain of \"%s\" cannot be read before the genesis block is known", origin);
	chain_check_init(check, name, strcmp(origin, node->data_center) == 0 ? zero :
					 node->genesis_hash);
}

bool
chain_read(const LocalNode *node, const char *origin, ChainLoad mode, ChainCheck *check)
{
	static SPIPlanPtr plan_lock = NULL;
	static SPIPlanPtr plan_nowait = NULL;
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(origin)};
	bool		fine = true;

	chain_start(node, origin, check);
	if (mode == CHAIN_LOCK)
		trusted_execute(&plan_lock,
					  "SELECT height, size, head, frontier FROM medchain.chain WHERE origin = $1 "
						"FOR UPDATE",
						1, types, values, NULL, false);
	else if (mode == CHAIN_LOCK_NOWAIT)
		trusted_execute(&plan_nowait,
					  "SELECT height, size, head, frontier FROM medchain.chain WHERE origin = $1 "
						"FOR UPDATE NOWAIT",
						1, types, values, NULL, false);
	else
		SPI_execute_with_args("SELECT height, size, head, frontier FROM medchain.chain WHERE "
							  "origin = $1",
							  1, types, values, NULL, true, 1);
	if (SPI_processed > 0)
	{
		HeapTuple	row = SPI_tuptable->vals[0];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		Datum		columns[4];
		bool		nulls[4];

		for (int i = 0; i < 4; i++)
		{
			columns[i] = SPI_getbinval(row, desc, i + 1, &nulls[i]);
			fine = fine && !nulls[i];
		}
		if (fine)
		{
			bytea	   *head = DatumGetByteaPP(columns[2]);
			bytea	   *frontier = DatumGetByteaPP(columns[3]);

			fine = VARSIZE_ANY_EXHDR(head) == HASH_LEN &&
				VARSIZE_ANY_EXHDR(frontier) % HASH_LEN == 0 &&
				tree_range_load(&check->range, (uint64) DatumGetInt64(columns[1]),
								(uint8_t *) VARDATA_ANY(frontier),
								(int) VARSIZE_ANY_EXHDR(frontier) / HASH_LEN);
			if (fine)
				memcpy(check->head, VARDATA_ANY(head), HASH_LEN);
		}
		if (fine)
			check->height = DatumGetInt64(columns[0]);
	}
	SPI_freetuptable(SPI_tuptable);
	return fine;
}

void
chain_load(const LocalNode *node, const char *origin, ChainLoad mode, ChainCheck *check)
{
	if (!chain_read(node, origin, mode, check))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("row of medchain.chain for \"%s\" is damaged", origin),
				 errhint("Run medchain.verify() to see what else is.")));
}

void
chain_store(const LocalNode *node, const char *origin, const ChainCheck *check)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[5] = {TEXTOID, INT8OID, INT8OID, BYTEAOID, BYTEAOID};
	Datum		values[5];

	values[0] = CStringGetTextDatum(origin);
	values[1] = Int64GetDatum(check->height);
	values[2] = Int64GetDatum((int64) check->range.size);
	values[3] = trusted_bytea(check->head, HASH_LEN);
	values[4] = trusted_bytea(check->range.hashes, (size_t) check->range.nhashes * HASH_LEN);
	trusted_execute(&plan,
				  "INSERT INTO medchain.chain (origin, height, size, head, frontier) VALUES ($1, "
					"$2, $3, $4, $5) "
					"ON CONFLICT (origin) DO UPDATE SET height = EXCLUDED.height, size = "
					"EXCLUDED.size, "
					"head = EXCLUDED.head, frontier = EXCLUDED.frontier",
					5, types, values, NULL, false);
}
