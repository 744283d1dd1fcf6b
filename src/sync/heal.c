/*
 * heal.c: fetching a peer's chains anew when the slot there is lost (see heal.h).
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "node/trusted.h"
#include "node/worker.h"
#include "sync/heal.h"

#define HEAL_PATIENCE 60000		/* milliseconds for a question, and a new slot */

void
heal_call(void)
{
	static SPIPlanPtr plan = NULL;
	SharedDatabase *slot = shared_database();

	trusted_execute(&plan, "SELECT FROM medchain.to_heal LIMIT 1", 0, NULL, NULL, NULL, false);
	if (SPI_processed > 0 && slot != NULL)
		(void) shared_wake(slot, WORKER_FETCHER);
}

static char *
heal_choose(SharedDatabase *slot, MemoryContext context)
{
	static SPIPlanPtr plan = NULL;
	TrustedScope scope;
	char	   *member = NULL;

	worker_begin(slot, "looking for slots that may be lost");
	trusted_begin(&scope);
	trusted_execute(&plan, "SELECT medchain_internal.heal_choose()", 0, NULL, NULL, NULL, false);
	member = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	if (member != NULL)
		member = MemoryContextStrdup(context, member);
	trusted_end(&scope);
	worker_commit();
	MemoryContextSwitchTo(context);
	return member;
}

bool
heal_next(SharedDatabase *slot, MemoryContext context)
{
	static SPIPlanPtr plan = NULL;
	static LastComplaint complaint = {0};
	char	   *volatile member = heal_choose(slot, context);

	if (member == NULL)
		return false;
	PG_TRY();
	{
		TrustedScope scope;
		Oid			type = TEXTOID;
		Datum		value;
		bool		isnull;
		bool		healed;

		worker_begin(slot, "asking a peer for our slot there");
		enable_timeout_after(STATEMENT_TIMEOUT, HEAL_PATIENCE);
		trusted_begin(&scope);
		value = CStringGetTextDatum(member);
		trusted_execute(&plan, "SELECT medchain_internal.heal($1)", 1, &type, &value, NULL,
						false);
		healed = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1,
											&isnull));
		trusted_end(&scope);
		disable_timeout(STATEMENT_TIMEOUT, false);
		worker_commit();
		if (healed)
			ereport(LOG,
					(errmsg("medchain: the slot at \"%s\", or the publication, was lost; its "
							"chain is fetched anew",
							member)));
	}
	PG_CATCH();
	{
		disable_timeout(STATEMENT_TIMEOUT, false);
		(void) worker_recover(context, &complaint, psprintf("the slot at \"%s\"", member));
	}
	PG_END_TRY();
	QueryCancelPending = false; /* it came as we were done */
	MemoryContextSwitchTo(context);
	return true;
}
