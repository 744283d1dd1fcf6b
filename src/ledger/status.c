/*
 * status.c: how this database's sealer is, for views and for founding: what the shared memory
 * says, and whether its key can be read.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "core/key.h"
#include "ledger/home.h"
#include "node/demand.h"
#include "node/settings.h"
#include "node/shared.h"

/* Milliseconds within which this share of the entries were sealed; false if none was. */
static bool
status_latency(SharedDatabase *slot, double share, Datum *result)
{
	uint64		counts[SHARED_LATENCIES];
	double		total = 0;
	double		seen = 0;
	double		end = SHARED_LATENCY_FIRST;
	double		max = (double) pg_atomic_read_u64(&slot->latency_max);

	for (int n = 0; n < SHARED_LATENCIES; n++)
	{
		counts[n] = pg_atomic_read_u64(&slot->latency[n]);
		total += (double) counts[n];
	}
	for (int n = 0; n < SHARED_LATENCIES; n++, end *= SHARED_LATENCY_STEP)
	{
		seen += (double) counts[n];
		if (total > 0 && seen >= total * share)
		{
			*result = Float8GetDatum(Min(end, max) / 1000.0);
			return true;
		}
	}
	return false;
}

PG_FUNCTION_INFO_V1(medchain_sealer_status);

/*
 * sealer_status(OUT state, OUT error, OUT key_fingerprint, OUT blocks, OUT entries, OUT bytes, OUT
 * seal_ms_p50, OUT seal_ms_p99, OUT seal_ms_max)
 */
Datum
medchain_sealer_status(PG_FUNCTION_ARGS)
{
	static const char *const state_names[] = {"down", "running", "failed"};
	SharedDatabase *slot;
	SealerState state;
	const char *absence;
	char		error[SHARED_ERROR_LEN];
	char		fingerprint[65];
	TupleDesc	desc;
	Datum		values[9] = {0};
	bool		nulls[9] = {false};

	shared_require();
	slot = shared_database();
	LWLockAcquire(shared_state->lock, LW_SHARED);
	state = slot->workers[WORKER_SEALER].pid != 0 || slot->state == SEALER_FAILED ? slot->state :
		SEALER_DOWN;
	strlcpy(error, slot->error, sizeof(error));
	strlcpy(fingerprint, slot->key_fingerprint, sizeof(fingerprint));
	LWLockRelease(shared_state->lock);
	absence = demand_absence(slot, WORKER_SEALER);
	if (absence != NULL)
	{
		state = SEALER_DOWN;
		strlcpy(error, absence, sizeof(error));
	}
	else if (home_status() == HOME_COPY)
	{
		/* whether or not somebody has asked for workers here, who would say so */
		state = SEALER_FAILED;
		strlcpy(error, home_copy_message(), sizeof(error));
	}

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = CStringGetTextDatum(state_names[state]);
	values[1] = CStringGetTextDatum(error);
	nulls[1] = error[0] == '\0';
	values[2] = CStringGetTextDatum(fingerprint);
	nulls[2] = fingerprint[0] == '\0';
	values[3] = Int64GetDatum((int64) pg_atomic_read_u64(&slot->blocks));
	values[4] = Int64GetDatum((int64) pg_atomic_read_u64(&slot->entries));
	values[5] = Int64GetDatum((int64) pg_atomic_read_u64(&slot->bytes));
	nulls[6] = !status_latency(slot, 0.5, &values[6]);
	nulls[7] = !status_latency(slot, 0.99, &values[7]);
	nulls[8] = nulls[7];
	values[8] = Float8GetDatum((double) pg_atomic_read_u64(&slot->latency_max) / 1000.0);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}

PG_FUNCTION_INFO_V1(medchain_is_preloaded);

/* is_preloaded() -> boolean */
Datum
medchain_is_preloaded(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(shared_state != NULL);
}

PG_FUNCTION_INFO_V1(medchain_signing_key_status);

/*
 * signing_key_status() -> text: "fine", or why a sealer that starts now could not read its key's
 * file.  The key itself is the sealer's alone.
 */
Datum
medchain_signing_key_status(PG_FUNCTION_ARGS)
{
	CoreError	error = {0};

	if (setting_signing_key == NULL || setting_signing_key[0] == '\0')
		PG_RETURN_TEXT_P(cstring_to_text("medchain.signing_key is not set"));
	PG_RETURN_TEXT_P(cstring_to_text(key_private_is_readable(setting_signing_key, &error) ?
									 "fine" : error.message));
}
