/*
 * due.c: for which chains the keeper has something to do.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "utils/memutils.h"

#include "node/trusted.h"
#include "sync/due.h"
#include "sync/fetch.h"
#include "sync/follow.h"
#include "sync/heal.h"

static List *
due_add(List *origins, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);

	for (uint64 i = 0; i < SPI_processed; i++)
	{
		char	   *origin = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);

		origins = lappend(origins, MemoryContextStrdup(context, origin));
	}
	SPI_freetuptable(SPI_tuptable);
	MemoryContextSwitchTo(old);
	return origins;
}

List *
due_chains(MemoryContext context, bool changed)
{
	static SPIPlanPtr arrived = NULL;
	static SPIPlanPtr rekeyed = NULL;
	List	   *origins;

	trusted_execute(&arrived,
					"SELECT k.name FROM (SELECT name FROM medchain.known UNION SELECT node FROM "
					"medchain.local_node) k CROSS JOIN medchain.local_node n "
					"LEFT JOIN medchain.chain c ON c.origin = k.name "
					"WHERE EXISTS (SELECT FROM medchain.held_block h WHERE "
					"h.origin = k.name AND h.height <= coalesce(c.height, -1) + 1) "
					"OR (c.told < c.size AND c.origin <> n.node) "
					"ORDER BY k.name <> n.data_center, k.name", 0, NULL, NULL, NULL, false);
	origins = due_add(NIL, context);
	if (!changed)
		return origins;
	fetch_call();
	heal_call();
	follow_call();
	trusted_execute(&rekeyed,
					"WITH contested AS (SELECT about AS member FROM medchain.claim WHERE kind = "
					"'configure' AND NOT effective) "
					"SELECT k.member FROM medchain.ledger_key k JOIN medchain.chain c ON "
					"c.origin = k.member "
					"WHERE k.follows IS NOT NULL AND k.from_height <= c.height "
					"UNION SELECT f.member FROM medchain.fork f JOIN medchain.block b ON "
					"b.origin = f.member AND b.height = f.height CROSS JOIN medchain.local_node n "
					"WHERE f.counts <> b.hash AND f.member <> n.node "
					"UNION SELECT c.origin FROM medchain.chain c JOIN contested t ON t.member = "
					"c.origin "
					"UNION SELECT q.origin FROM medchain.quarantine q LEFT JOIN medchain.chain c "
					"ON c.origin = q.origin "
					"JOIN medchain.ledger_key k ON k.member = q.origin AND k.from_height <= "
					"q.height "
				  "WHERE q.height = coalesce(c.height, -1) + 1 AND q.reason IN ('bad signature', "
					"'differs from accepted block') "
					"AND (k.from_height > 0 OR q.origin IN (SELECT t.member FROM contested t) OR "
				 "q.origin IN (SELECT f.member FROM medchain.fork f WHERE f.counts IS NOT NULL)) "
					"ORDER BY 1", 0, NULL, NULL, NULL, false);
	return due_add(origins, context);
}
