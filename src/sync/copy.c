/*
 * copy.c: a copy of a node leaves the node's subscriptions alone (see copy.h).
 */
#include "postgres.h"

#include "access/xact.h"
#include "replication/logicalworker.h"
#include "replication/worker_internal.h"
#include "storage/ipc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "ledger/home.h"
#include "node/steady.h"
#include "node/trusted.h"
#include "node/worker.h"
#include "sync/apply.h"
#include "sync/copy.h"

#define COPY_LOOK 5000			/* milliseconds between looks at what is left of them */

/* At the end of a worker's first transaction, in which it reads its subscription. */
static void
copy_callback(XactEvent event, void *arg)
{
	static bool looked = false;

	if (looked || event != XACT_EVENT_PRE_COMMIT || !IsLogicalWorker() || MySubscription == NULL)
		return;
	looked = true;
	if (peer_settings_concern(MySubscription->oid) && home_status() == HOME_COPY)
		proc_exit(0);
}

void
copy_install(void)
{
	RegisterXactCallback(copy_callback, NULL);
}

void
copy_unsubscribe(SharedDatabase *slot)
{
	static SPIPlanPtr plan = NULL;
	static LastComplaint complaint = {0};
	static TimestampTz looked = 0;
	MemoryContext context = CurrentMemoryContext;
	TimestampTz now = steady_now();

	if (!TimestampDifferenceExceeds(looked, now, COPY_LOOK))
		return;
	looked = now;
	PG_TRY();
	{
		TrustedScope scope;

		worker_begin(slot, "looking for subscriptions of the node that this is a copy of");
		trusted_begin(&scope);
		if (home_status() == HOME_COPY)
			trusted_execute(&plan, "SELECT medchain_internal.drop_subscriptions()", 0, NULL, NULL,
							NULL, false);
		trusted_end(&scope);
		worker_commit();
	}
	PG_CATCH();
	{
		(void) worker_recover(context, &complaint, "removing the subscriptions of the node");
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
}
