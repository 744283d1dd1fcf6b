/*
 * oversee.c: telling who listens (NOTIFY medchain) of accesses and changes on the chains of others
 * that no protocol covered, as the view "unauthorised" has them.
 *
 * The keeper looks every few seconds.  It judges what was there already when it looked the last
 * time: by then what has been said before on other chains is mostly here as well.  What is older
 * than the process, the view has.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "node/notify.h"
#include "node/steady.h"
#include "node/trusted.h"
#include "node/worker.h"
#include "rules/entry.h"
#include "sync/oversee.h"

#define OVERSEE_LOOK 5000		/* milliseconds between two looks */
#define OVERSEE_ENTRIES 10000	/* of one chain at a look */

/* A chain, by its number of entries. */
typedef struct Overseen
{
	char		origin[ENTRY_NAME_MAX + 1]; /* hash key */
	int64		judged;
	int64		size;			/* when we looked the last time */
} Overseen;

static HTAB *chains = NULL;

static void
oversee_start(void)
{
	HASHCTL		control = {0};

	control.keysize = sizeof(((Overseen *) 0)->origin);
	control.entrysize = sizeof(Overseen);
	control.hcxt = TopMemoryContext;
	chains = hash_create("medchain overseen chains", 64, &control,
						 HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
}

/* Entries first .. last of a chain.  Most have none that is asked for: no rules are needed then. */
static void
oversee_judge(const char *origin, int64 first, int64 last)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[3] = {TEXTOID, INT8OID, INT8OID};
	Datum		values[3] = {
		CStringGetTextDatum(origin), Int64GetDatum(first), Int64GetDatum(last)
	};

	(void) trusted_execute(&plan,
						   "SELECT DISTINCT ON (u.seq) u.entry::text, u.member, u.reason "
						   "FROM medchain_internal.uncovered($1, $2, $3) u WHERE EXISTS "
						   "(SELECT FROM medchain.entry e WHERE e.origin = $1 "
						   "AND e.seq BETWEEN $2 AND $3 AND (e.kind = 'access' "
						   "OR e.kind ^@ 'row.')) ORDER BY u.seq", 3, types, values, NULL, false);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		char	   *member = SPI_getvalue(row, desc, 2);

		notify_event("unauthorised", "entry", SPI_getvalue(row, desc, 1), "holder", origin,
					 "member", member != NULL ? member : "", "reason",
					 SPI_getvalue(row, desc, 3), NULL);
	}
	SPI_freetuptable(SPI_tuptable);
}

static void
oversee_chain(const char *origin, int64 size, bool is_new)
{
	bool		found;
	Overseen   *chain = hash_search(chains, origin, HASH_ENTER, &found);
	int64		first;
	int64		last;

	if (!found)
	{
		chain->judged = is_new ? 0 : size;
		chain->size = chain->judged;
	}
	/* blocks may have been taken back */
	chain->judged = Min(chain->judged, size);
	first = chain->judged;
	last = Min(Min(chain->size, size), first + OVERSEE_ENTRIES) - 1;
	chain->size = size;
	if (last < first)
		return;
	chain->judged = last + 1;	/* once, also if that fails */
	oversee_judge(origin, first, last);
}

static void
oversee_chains(void)
{
	static SPIPlanPtr plan = NULL;
	bool		is_first = chains == NULL;
	SPITupleTable *rows;
	uint64		count;

	if (is_first)
		oversee_start();
	(void) trusted_execute(&plan, "SELECT c.origin, c.size FROM medchain.chain c, "
						   "medchain.local_node n WHERE c.origin <> n.node", 0, NULL, NULL, NULL,
						   false);
	rows = SPI_tuptable;
	count = SPI_processed;
	for (uint64 i = 0; i < count; i++)
	{
		bool		isnull;

		oversee_chain(SPI_getvalue(rows->vals[i], rows->tupdesc, 1),
					  DatumGetInt64(SPI_getbinval(rows->vals[i], rows->tupdesc, 2, &isnull)),
					  !is_first);
	}
	SPI_freetuptable(rows);
}

void
oversee_look(SharedDatabase *slot)
{
	static LastComplaint complaint = {0};
	static TimestampTz looked = 0;
	MemoryContext context = CurrentMemoryContext;
	TimestampTz now = steady_now();

	if (!TimestampDifferenceExceeds(looked, now, OVERSEE_LOOK))
		return;
	looked = now;
	PG_TRY();
	{
		TrustedScope scope;

		worker_begin(slot, "looking for accesses that nothing covered");
		trusted_begin(&scope);
		oversee_chains();
		trusted_end(&scope);
		worker_commit();
	}
	PG_CATCH();
	{
		(void) worker_recover(context, &complaint, "looking for accesses that nothing covered");
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
}
