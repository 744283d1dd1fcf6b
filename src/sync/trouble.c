/*
 * trouble.c: telling who listens (NOTIFY medchain) what goes wrong at this node, and when it is
 * over.
 *
 * What that is, medchain.check() says; of its findings those that can come from one moment to the
 * next.  The keeper looks every few seconds, and tells of what was not there the last time.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "node/notify.h"
#include "node/steady.h"
#include "node/trusted.h"
#include "node/worker.h"
#include "sync/trouble.h"

#define TROUBLE_LOOK 5000		/* milliseconds between two looks */

/* What is wrong with whom: what exactly is said of it may change all the time. */
typedef struct Trouble
{
	char	   *area;
	char	   *subject;
	bool		lasts;
} Trouble;

static List *troubles = NIL;	/* that have been told; in TopMemoryContext */

static Trouble *
trouble_find(const char *area, const char *subject)
{
	ListCell   *cell;

	foreach(cell, troubles)
	{
		Trouble    *trouble = lfirst(cell);

		if (strcmp(trouble->area, area) == 0 && strcmp(trouble->subject, subject) == 0)
			return trouble;
	}
	return NULL;
}

static void
trouble_take(const char *area, const char *subject, const char *finding)
{
	Trouble    *trouble = trouble_find(area, subject);

	if (trouble == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		trouble = palloc(sizeof(Trouble));
		trouble->area = pstrdup(area);
		trouble->subject = pstrdup(subject);
		troubles = lappend(troubles, trouble);
		MemoryContextSwitchTo(old);
		notify_event("trouble", "area", area, "subject", subject, "finding", finding, NULL);
	}
	trouble->lasts = true;
}

/* In a transaction, as events are told when it commits. */
static void
trouble_compare(void)
{
	static SPIPlanPtr plan = NULL;
	ListCell   *cell;

	foreach(cell, troubles)
		((Trouble *) lfirst(cell))->lasts = false;
	trusted_execute(&plan, "SELECT t.area, t.subject, t.finding FROM "
					"medchain_internal.troubles() t", 0, NULL, NULL, NULL, false);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;

		trouble_take(SPI_getvalue(row, desc, 1), SPI_getvalue(row, desc, 2),
					 SPI_getvalue(row, desc, 3));
	}
	SPI_freetuptable(SPI_tuptable);
	foreach(cell, troubles)
	{
		Trouble    *trouble = lfirst(cell);

		if (trouble->lasts)
			continue;
		notify_event("mended", "area", trouble->area, "subject", trouble->subject, NULL);
		troubles = foreach_delete_current(troubles, cell);
		pfree(trouble->area);
		pfree(trouble->subject);
		pfree(trouble);
	}
}

void
trouble_look(SharedDatabase *slot)
{
	static LastComplaint complaint = {0};
	static TimestampTz looked = 0;
	MemoryContext context = CurrentMemoryContext;
	TimestampTz now = steady_now();

	if (!TimestampDifferenceExceeds(looked, now, TROUBLE_LOOK))
		return;
	looked = now;
	PG_TRY();
	{
		TrustedScope scope;

		worker_begin(slot, "looking for trouble");
		trusted_begin(&scope);
		trouble_compare();
		trusted_end(&scope);
		worker_commit();
	}
	PG_CATCH();
	{
		(void) worker_recover(context, &complaint, "looking for trouble");
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
}
