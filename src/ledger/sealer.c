/*
 * sealer.c: the worker that turns committed entries into blocks, and the only process that holds
 * the private key: when it seals, and what keeps it from that.  sealer_round.c is how.
 */
#include "postgres.h"

#include "access/twophase.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/builtins.h"

#include "compat.h"
#include "ledger/cosign.h"
#include "ledger/home.h"
#include "ledger/hooks.h"
#include "ledger/local_node.h"
#include "ledger/pseudonym.h"
#include "ledger/sealer.h"
#include "ledger/sealer_internal.h"
#include "ledger/signer.h"
#include "ledger/signing_key.h"
#include "node/notify.h"
#include "node/settings.h"
#include "node/shared.h"
#include "node/steady.h"
#include "node/trusted.h"
#include "node/worker.h"

#define SEALER_IDLE 10000		/* milliseconds between looks when nobody calls */
#define SEALER_RETRY 1000		/* milliseconds between tries while the key is missing or wrong */
#define SEALER_BEGIN 200		/* milliseconds between looks whether the chain may go on */
#define SEALER_UNNEEDED 60000	/* milliseconds without a call after which a database that is no
								 * node is left */

Key		   *sealer_key = NULL;

/* For the key's passphrase: not again before somebody reloads. */
static bool asked_in_vain = false;

static void
sealer_set(SharedDatabase *slot, SealerState state, const char *error)
{
	bool		changed;

	LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
	changed = slot->state != state || strcmp(slot->error, error) != 0;
	slot->state = state;
	strlcpy(slot->error, error, SHARED_ERROR_LEN);
	LWLockRelease(shared_state->lock);
	if (changed)
		ConditionVariableBroadcast(&slot->changed);
}

void
sealer_report(SharedDatabase *slot, SealerState state, const char *error)
{
	if (state == SEALER_FAILED &&
		worker_complaint_is_due(&slot->workers[WORKER_SEALER].complaint, error))
		ereport(LOG, (errmsg("medchain: cannot seal: %s", error)));
	sealer_set(slot, state, error);
}

/* Has this database founded or joined an alliance? */
static bool
sealer_is_node(SharedDatabase *slot)
{
	static bool is_node = false;
	TrustedScope scope;
	LocalNode	node;

	if (!is_node)
	{
		worker_begin(slot, "looking whether this database is a node");
		trusted_begin(&scope);
		is_node = local_node_read(&node);
		trusted_end(&scope);
		worker_commit();
	}
	return is_node;
}

/*
 * A database that has the extension and is no node does not need us, unless somebody is about to
 * make it one.  At the server's start we look into it for nobody's sake, and leave.
 */
static void
sealer_leave_unneeded(SharedDatabase *slot, bool called)
{
	static TimestampTz last_call = 0;
	TimestampTz now = steady_now();

	if (called || last_call == 0)
		last_call = now;
	if ((!slot->used || TimestampDifferenceExceeds(last_call, now, SEALER_UNNEEDED)) &&
		!sealer_is_node(slot))
		worker_dismiss(slot);
}

void
sealer_drop_key(SharedDatabase *slot)
{
	if (sealer_key != NULL)
		key_free(sealer_key);
	sealer_key = NULL;
	LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
	slot->key_fingerprint[0] = '\0';
	LWLockRelease(shared_state->lock);
}

/* A copy of a node has no use for the key, and must not have it. */
static bool
sealer_is_copy(SharedDatabase *slot)
{
	bool		copy;

	worker_begin(slot, "looking whose ledger this is");
	copy = home_status_now() == HOME_COPY;
	worker_commit();
	if (copy)
		sealer_report(slot, SEALER_FAILED, home_copy_message());
	return copy;
}

static void
sealer_load_key(SharedDatabase *slot)
{
	CoreError	error = {0};
	char		fingerprint[65] = "";
	char		problem[CORE_TEXT_LEN];

	sealer_drop_key(slot);
	if (sealer_is_copy(slot))
		return;
	sealer_key = signing_key_load(&asked_in_vain, &error);
	if (sealer_key != NULL && !key_fingerprint(sealer_key, fingerprint))
		elog(ERROR, "could not compute the fingerprint of the signing key");
	LWLockAcquire(shared_state->lock, LW_EXCLUSIVE);
	strlcpy(slot->key_fingerprint, fingerprint, sizeof(slot->key_fingerprint));
	LWLockRelease(shared_state->lock);
	error_text(&error, problem);
	sealer_set(slot, sealer_key ? SEALER_RUNNING : SEALER_FAILED, problem);

	/* where nothing is to be sealed yet, that is no fault */
	if (sealer_key == NULL && sealer_is_node(slot))
		sealer_report(slot, SEALER_FAILED, problem);
}

/*
 * Sessions read the key for pseudonyms, not this process; but here it shows when the server
 * starts that they can't.
 */
static void
sealer_report_pseudonym_key(SharedDatabase *slot)
{
	worker_begin(slot, "looking at the key for pseudonyms");
	pseudonym_report();
	worker_commit();
}

/*
 * Milliseconds until the next round is due; 0: now; -1 never happens, an idle sealer looks now and
 * then.
 */
static long
sealer_due(SharedDatabase *slot, TimestampTz *first_dirty)
{
	TimestampTz now = steady_now();
	long		waited;

	if (pg_atomic_read_u64(&slot->tickets) > pg_atomic_read_u64(&slot->sealed))
		return 0;
	if (pg_atomic_read_u32(&slot->dirty) == 0)
	{
		*first_dirty = 0;
		/* COMMIT PREPARED tells nobody that pending rows have appeared */
		return max_prepared_xacts > 0 ? setting_seal_interval : SEALER_IDLE;
	}
	if (*first_dirty == 0)
		*first_dirty = now;
	waited = TimestampDifferenceMilliseconds(*first_dirty, now);
	return waited >= setting_seal_interval ? 0 : setting_seal_interval - waited;
}

/* What a restored node has lost of its chain comes back before anything is added to it. */
static bool
sealer_may_begin(SharedDatabase *slot)
{
	static bool refused = false;
	char		why[SHARED_ERROR_LEN] = "";

	if (!ledger_hooks.recovered(slot, why))
	{
		refused = refused || why[0] != '\0';
		if (why[0] != '\0')
			sealer_report(slot, SEALER_FAILED, why);
		return false;
	}
	if (refused)
		sealer_report(slot, SEALER_RUNNING, "");
	refused = false;
	return true;
}

static void
sealer_loop(SharedDatabase *slot)
{
	TimestampTz first_dirty = 0;
	bool		reloaded = true;
	bool		called = false;

	notify_start();
	for (;;)
	{
		long		timeout;
		long		witness;

		sealer_leave_unneeded(slot, called);
		if (reloaded || (sealer_key == NULL && !asked_in_vain))
			sealer_load_key(slot);
		if (reloaded)
			sealer_report_pseudonym_key(slot);
		reloaded = false;
		if (sealer_key == NULL)
		{
			called = worker_sleep(slot, SEALER_RETRY, &reloaded);
			continue;
		}
		signer_serve(slot, sealer_key);
		if (!sealer_may_begin(slot))
		{
			called = worker_sleep(slot, SEALER_BEGIN, &reloaded);
			continue;
		}
		witness = cosign_round(slot, sealer_key);
		timeout = sealer_due(slot, &first_dirty);
		if (timeout == 0)
		{
			if (!sealer_round(slot))
				continue;
			first_dirty = 0;
			timeout = slot->state == SEALER_FAILED ? SEALER_RETRY : sealer_due(slot, &first_dirty);
			if (timeout == 0)
				continue;
		}
		called = worker_sleep(slot, notify_send(slot, Min(timeout, witness)), &reloaded);
		if (timeout >= SEALER_IDLE || max_prepared_xacts > 0)
			pg_atomic_write_u32(&slot->dirty, 1);
	}
}

/* Leave the reason where those who wait can read it. */
static void
sealer_failed(SharedDatabase *slot, const char *message)
{
	sealer_set(slot, SEALER_FAILED, message);
}

void
medchain_sealer_main(Datum database)
{
	worker_run(worker_start(database, WORKER_SEALER, "medchain sealer"),
			   sealer_loop, sealer_failed);
}
