/*
 * peer_settings.c: the settings of PostgreSQL's processes at both ends of a subscription to a peer.
 *
 * The worker that applies connects as the owner of the subscription, the WAL sender that it talks
 * to as the login that the peer has been given, and each with all that the database or that role
 * has set: read-only transactions, serializable ones, timeouts, errors that end a session.  What
 * they run for medchain fixes what its meaning depends on (trusted.h), but the kind of a
 * transaction and its time limits are settled before a trigger of ours is called, and a sender runs
 * nothing of ours at all.  So, in the first transaction of each, the settings are fixed for the
 * rest of the process.  For a worker it is the one in which it reads its subscription, for a sender
 * the one in which every subscriber takes everything out of its search_path.
 */
#include "postgres.h"

#include "access/xact.h"
#include "replication/logicalworker.h"
#include "replication/walsender.h"
#include "replication/worker_internal.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "node/trusted.h"
#include "sync/apply.h"
#include "sync/inlet.h"

bool
peer_settings_concern(Oid subscription)
{
	Oid			schema = trusted_schema(true);
	static const char *const names[] = {"entry", "block"};

	if (!OidIsValid(schema))
		return false;
	for (int i = 0; i < lengthof(names); i++)
	{
		Oid			relation = get_relname_relid(names[i], schema);

		if (SearchSysCacheExists2(SUBSCRIPTIONRELMAP, ObjectIdGetDatum(relation),
								  ObjectIdGetDatum(subscription)))
			return true;
	}
	return false;
}

/* Of a sender nobody can tell yet whom it will serve; that it is asked at a node is enough. */
static void
peer_settings_callback(XactEvent event, void *arg)
{
	static bool looked = false;
	bool		ours;

	if (looked || event != XACT_EVENT_PRE_COMMIT)
		return;
	if (am_db_walsender)
		ours = OidIsValid(trusted_schema(true));
	else if (IsLogicalWorker() && MySubscription != NULL)
		ours = peer_settings_concern(MySubscription->oid);
	else
		return;
	looked = true;
	if (!ours)
		return;
	trusted_pin_settings();
	if (!am_db_walsender)
		inlet_open();
}

void
peer_settings_install(void)
{
	RegisterXactCallback(peer_settings_callback, NULL);
}
