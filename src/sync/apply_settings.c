/*
 * apply_settings.c: the settings of the workers that apply what peers send.
 *
 * They are PostgreSQL's own, and connect as the owner of the subscription, with all that the
 * database or that role has set: read-only transactions, serializable ones, timeouts.  What they
 * run for medchain fixes what its meaning depends on (trusted.h), but the kind of a transaction and
 * its time limits are settled before a trigger of ours is called.  So, in the transaction in which
 * the worker reads its subscription, which comes before the first that applies anything, the
 * settings are fixed for the rest of the process.
 */
#include "postgres.h"

#include "access/xact.h"
#include "replication/logicalworker.h"
#include "replication/worker_internal.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "node/trusted.h"
#include "sync/apply.h"

/* Does it bring blocks?  Other subscriptions of this database are none of our business. */
static bool
apply_is_peers(Oid subscription)
{
	Oid			schema = trusted_schema(true);
	Oid			block;

	if (!OidIsValid(schema))
		return false;
	block = get_relname_relid("block", schema);
	return SearchSysCacheExists2(SUBSCRIPTIONRELMAP, ObjectIdGetDatum(block),
								 ObjectIdGetDatum(subscription));
}

static void
apply_settings_callback(XactEvent event, void *arg)
{
	static bool looked = false;

	if (looked || event != XACT_EVENT_PRE_COMMIT || !IsLogicalWorker() || MySubscription == NULL)
		return;
	looked = true;
	if (apply_is_peers(MySubscription->oid))
		trusted_pin_settings();
}

void
apply_settings_install(void)
{
	RegisterXactCallback(apply_settings_callback, NULL);
}
