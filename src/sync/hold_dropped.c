/*
 * hold_dropped.c: how much of what arrived in this transaction is not kept.
 *
 * It is written at the end of a transaction, once for each chain, however much it was: a peer that
 * sends millions of rows that nobody wants makes one row of them.  Only workers of the same source
 * write there.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "node/trusted.h"
#include "sync/hold_dropped.h"

typedef struct Dropped
{
	const char *origin;
	int64		entries;
	int64		blocks;
} Dropped;

static List *chains = NIL;		/* of Dropped, in the transaction's memory */

void
hold_dropped_add(const char *origin, int entries, int blocks)
{
	Dropped    *dropped = NULL;
	ListCell   *cell;

	foreach(cell, chains)
		if (strcmp(((Dropped *) lfirst(cell))->origin, origin) == 0)
		dropped = lfirst(cell);
	if (dropped == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);

		dropped = palloc0(sizeof(Dropped));
		dropped->origin = pstrdup(origin);
		chains = lappend(chains, dropped);
		MemoryContextSwitchTo(old);
	}
	dropped->entries += entries;
	dropped->blocks += blocks;
}

bool
hold_dropped_any(void)
{
	return chains != NIL;
}

/* Always in the same order, as the workers of one source would otherwise wait for one another. */
static int
dropped_order(const ListCell *a, const ListCell *b)
{
	return strcmp(((const Dropped *) lfirst(a))->origin, ((const Dropped *) lfirst(b))->origin);
}

void
hold_dropped_write(const char *source)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[4] = {TEXTOID, TEXTOID, INT8OID, INT8OID};
	ListCell   *cell;

	list_sort(chains, dropped_order);
	foreach(cell, chains)
	{
		const Dropped *dropped = lfirst(cell);
		Datum		values[4];

		values[0] = CStringGetTextDatum(source);
		values[1] = CStringGetTextDatum(dropped->origin);
		values[2] = Int64GetDatum(dropped->entries);
		values[3] = Int64GetDatum(dropped->blocks);
		trusted_execute(&plan,
						"INSERT INTO medchain.dropped AS d (source, origin, entries, blocks, "
						"since, latest) VALUES ($1, $2, $3, $4, clock_timestamp(), "
						"clock_timestamp()) ON CONFLICT (source, origin) DO UPDATE SET entries = "
						"d.entries + EXCLUDED.entries, blocks = d.blocks + EXCLUDED.blocks, "
						"latest = EXCLUDED.latest",
						4, types, values, NULL, false);
	}
}

void
hold_dropped_forget(void)
{
	chains = NIL;
}
