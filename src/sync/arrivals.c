/*
 * arrivals.c: telling applications of blocks that have come, and at an end node of accesses to its
 * examinees' records, so that the examinees can be told (EHDS, Article 9).
 *
 * Its examinees are those about whom it has issued protocols.  Who reads records of several at a
 * time is on the ledger without their names: that, only the holder of the records can tell.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"

#include "node/notify.h"
#include "node/trusted.h"
#include "sync/arrivals.h"
#include "sync/fork.h"

void
arrivals_tell(const char *origin, int64 first, int64 last)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[3] = {TEXTOID, INT8OID, INT8OID};
	Datum		values[3] = {
		CStringGetTextDatum(origin), Int64GetDatum(first), Int64GetDatum(last)
	};

	notify_block(origin, last + 1);
	fork_compare(origin, first, last);
	(void) trusted_execute(&plan,
						   "SELECT e.id::text, e.actor, e.payload::jsonb #>> '{body,outcome}' "
						   "FROM medchain.local_node n JOIN medchain.member m ON m.name = n.node "
						   "AND m.kind = 'end_node' JOIN medchain.entry e ON e.origin = $1 "
						   "AND e.seq BETWEEN $2 AND $3 AND e.kind = 'access' "
						   "WHERE EXISTS (SELECT FROM medchain.protocol p "
						   "WHERE p.subject = e.subject AND p.issuer = n.node) ORDER BY e.seq",
						   3, types, values, NULL, false);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		char	   *outcome = SPI_getvalue(row, desc, 3);

		notify_event("access", "entry", SPI_getvalue(row, desc, 1), "holder", origin, "member",
					 SPI_getvalue(row, desc, 2), "outcome", outcome != NULL ? outcome : "",
					 NULL);
	}
	SPI_freetuptable(SPI_tuptable);
}
