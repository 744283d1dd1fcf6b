/*
 * local_node.c: reading medchain.local_node, by the newest committed data.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "utils/memutils.h"

#include "ledger/home.h"
#include "ledger/local_node.h"
#include "node/trusted.h"

/* Copy a column of the current result out of SPI's memory; NULL for SQL null. */
static char *
local_node_column(int row, int column, MemoryContext context)
{
	char	   *value = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);

	return value ? MemoryContextStrdup(context, value) : NULL;
}

bool
local_node_read(LocalNode *node)
{
	static SPIPlanPtr plan = NULL;
	MemoryContext context = CurrentMemoryContext;
	bool		isnull;
	Datum		genesis;
	char	   *home;

	trusted_execute(&plan,
					"SELECT alliance, node, data_center, genesis_key, genesis_hash, home FROM "
					"medchain.local_node",
					0, NULL, NULL, NULL, false);
	if (SPI_processed == 0)
		return false;
	node->alliance = local_node_column(0, 1, context);
	node->node = local_node_column(0, 2, context);
	node->data_center = local_node_column(0, 3, context);
	node->genesis_key = local_node_column(0, 4, context);
	genesis = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 5, &isnull);
	node->has_genesis = !isnull;
	if (!isnull)
		memcpy(node->genesis_hash, VARDATA_ANY(DatumGetByteaPP(genesis)), HASH_LEN);
	home = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 6);
	node->at_home = home != NULL && strcmp(home, home_here()) == 0;
	SPI_freetuptable(SPI_tuptable);
	return true;
}

void
local_node_require(LocalNode *node)
{
	if (!local_node_read(node))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this database is not a node of an alliance"),
				 errhint("Call medchain.found_alliance() or medchain.join_alliance() first.")));
}
