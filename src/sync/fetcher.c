/*
 * fetcher.c: the worker that asks peers: for what this node has lost of its own chain, for what
 * was not kept of others' when it came, and whether our slot there is lost.  It is there as long as
 * there is something to ask for.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "node/worker.h"
#include "sync/fetch.h"
#include "sync/fetcher.h"
#include "sync/heal.h"
#include "sync/recovery.h"

#define FETCHER_PAUSE 200		/* milliseconds between looks while peers do not answer */

static void
fetcher_loop(SharedDatabase *slot)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "medchain fetch task",
												  ALLOCSET_DEFAULT_SIZES);

	for (;;)
	{
		bool		over = recovery_step(slot, context);

		if (!fetch_next(slot, context) && !heal_next(slot, context))
		{
			if (over)
				break;
			(void) worker_sleep(slot, FETCHER_PAUSE, NULL);
		}
		MemoryContextReset(context);
	}
	worker_retire();
}

void
medchain_fetcher_main(Datum database)
{
	worker_run(worker_start(database, WORKER_FETCHER, "medchain fetcher"), fetcher_loop, NULL);
}
