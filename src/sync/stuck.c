/*
 * stuck.c: chains whose next block is held, and does not get further.
 *
 * Entries come with the block that closes over them, in one transaction, so a block that has not
 * all that it needs is one of a peer that keeps something back, or had no room for it here.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "core/note.h"
#include "ledger/held.h"
#include "node/trusted.h"
#include "sync/stuck.h"

#define STUCK_CHAINS 1000		/* that are looked at in a call */

/* Where a chain stood. */
typedef struct StuckChain
{
	char		origin[NOTE_NAME_MAX + 1];
	int64		height;			/* of the block that is held */
} StuckChain;

static HTAB *
stuck_table(void)
{
	HASHCTL		control = {
		.keysize = sizeof(((StuckChain *) NULL)->origin), .entrysize = sizeof(StuckChain),
		.hcxt = TopMemoryContext
	};

	return hash_create("medchain stuck chains", 16, &control,
					   HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
}

void
stuck_look(void)
{
	static SPIPlanPtr plan = NULL;
	static HTAB *before = NULL;
	HTAB	   *now = stuck_table();
	SPITupleTable *rows;
	uint64		count;

	/* while a first copy goes on, blocks may come before their entries */
	trusted_plan_anew(&plan, "SELECT h.source, h.origin, h.height FROM medchain.held_block h "
					  "JOIN medchain.peer p ON p.member = h.source "
					  "LEFT JOIN medchain.chain c ON c.origin = h.origin "
					  "WHERE h.height = coalesce(c.height, -1) + 1 AND NOT h.waits "
					  "AND octet_length(h.origin) <= " CppAsString2(NOTE_NAME_MAX) " "
					  "AND NOT EXISTS (SELECT FROM pg_catalog.pg_subscription s "
					  "  JOIN pg_catalog.pg_subscription_rel r ON r.srsubid = s.oid "
					  "  WHERE s.subname = p.subscription AND r.srsubstate NOT IN ('r', 's')) "
					  "LIMIT " CppAsString2(STUCK_CHAINS), 0, NULL);
	trusted_execute(&plan, NULL, 0, NULL, NULL, NULL, false);
	rows = SPI_tuptable;
	count = SPI_processed;
	for (uint64 i = 0; i < count; i++)
	{
		char	   *source = SPI_getvalue(rows->vals[i], rows->tupdesc, 1);
		char	   *origin = SPI_getvalue(rows->vals[i], rows->tupdesc, 2);
		bool		isnull;
		bool		found;
		int64		height = DatumGetInt64(SPI_getbinval(rows->vals[i], rows->tupdesc, 3, &isnull));
		StuckChain *known = before != NULL ? hash_search(before, origin, HASH_FIND, NULL) : NULL;
		StuckChain *chain = hash_search(now, origin, HASH_ENTER, &found);

		chain->height = height;
		if (known != NULL && known->height == height)
			held_ask_again(source, origin);
	}
	SPI_freetuptable(rows);
	if (before != NULL)
		hash_destroy(before);
	before = now;
}
