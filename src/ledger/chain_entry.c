/*
 * chain_entry.c: the entries of a block that is held, one after the other.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "ledger/chain_entry.h"
#include "ledger/held.h"

#define CHAIN_FETCH 1000		/* entries read from a cursor at once */

bool
chain_entries_walk(const char *source, const char *origin, int64 first, int64 last,
				   ChainEntryVisit visit, void *arg, const char **detail)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "medchain entries",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = CurrentMemoryContext;
	Portal		cursor = held_entries(source, origin, first, last);
	bool		fine = true;

	for (;;)
	{
		SPITupleTable *batch;
		uint64		rows;

		SPI_cursor_fetch(cursor, true, CHAIN_FETCH);
		batch = SPI_tuptable;
		rows = SPI_processed;
		for (uint64 i = 0; i < rows && fine; i++)
		{
			HeapTuple	row = batch->vals[i];
			const char *reason = NULL;
			bool		isnull;
			int64		seq = DatumGetInt64(SPI_getbinval(row, batch->tupdesc, 1, &isnull));

			CHECK_FOR_INTERRUPTS();
			MemoryContextReset(context);
			MemoryContextSwitchTo(context);
			fine = visit(origin, seq,
						 TextDatumGetCString(SPI_getbinval(row, batch->tupdesc, 2, &isnull)),
						 arg, &reason);
			MemoryContextSwitchTo(caller);
			if (!fine)
				*detail = psprintf("entry %lld: %s", (long long) seq, reason);
		}
		SPI_freetuptable(batch);
		if (rows < CHAIN_FETCH || !fine)
			break;
	}
	SPI_cursor_close(cursor);
	MemoryContextDelete(context);
	return fine;
}

bool
chain_run_walk(const HeldRun *run, int64 first, int64 last, ChainEntryVisit visit, void *arg,
			   const char **detail)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "medchain entries",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = CurrentMemoryContext;
	bool		fine = true;

	for (int64 i = first - run->entries[0].seq; i < last - run->entries[0].seq && fine; i++)
	{
		const char *reason = NULL;

		CHECK_FOR_INTERRUPTS();
		MemoryContextReset(context);
		MemoryContextSwitchTo(context);
		fine = visit(run->origin, run->entries[i].seq,
					 TextDatumGetCString(run->entries[i].payload), arg, &reason);
		MemoryContextSwitchTo(caller);
		if (!fine)
			*detail = psprintf("entry %lld: %s", (long long) run->entries[i].seq, reason);
	}
	MemoryContextDelete(context);
	return fine;
}

bool
chain_entry_read(const char *origin, const char *payload, PayloadFields *fields,
				 uint8_t leaf[HASH_LEN], const char **reason)
{
	if (!hash_leaf(payload, strlen(payload), leaf))
		elog(ERROR, "could not compute SHA-256");
	if (!payload_parse(payload, strlen(payload), fields, reason))
		return false;
	if (strcmp(fields->origin, origin) != 0)
		*reason = "payload is of another origin";
	return strcmp(fields->origin, origin) == 0;
}
