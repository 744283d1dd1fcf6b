/*
 * status.c: what the shared memory says about this database's sealer, for views and for founding.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "ledger/shared.h"

PG_FUNCTION_INFO_V1(medchain_sealer_status);

/* sealer_status(OUT state, OUT error, OUT key_fingerprint, OUT blocks, OUT entries) */
Datum
medchain_sealer_status(PG_FUNCTION_ARGS)
{
	static const char *const state_names[] = {"down", "running", "failed"};
	SharedDatabase *slot;
	SealerState state;
	char		error[SHARED_ERROR_LEN];
	char		fingerprint[65];
	TupleDesc	desc;
	Datum		values[5];
	bool		nulls[5] = {false};

	shared_require();
	slot = shared_database();
	LWLockAcquire(shared_state->lock, LW_SHARED);
	state = slot->worker_pid[WORKER_SEALER] != 0 || slot->state == SEALER_FAILED ? slot->state : SEALER_DOWN;
	strlcpy(error, slot->error, sizeof(error));
	strlcpy(fingerprint, slot->key_fingerprint, sizeof(fingerprint));
	LWLockRelease(shared_state->lock);

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = CStringGetTextDatum(state_names[state]);
	values[1] = CStringGetTextDatum(error);
	nulls[1] = error[0] == '\0';
	values[2] = CStringGetTextDatum(fingerprint);
	nulls[2] = fingerprint[0] == '\0';
	values[3] = Int64GetDatum((int64) pg_atomic_read_u64(&slot->blocks));
	values[4] = Int64GetDatum((int64) pg_atomic_read_u64(&slot->entries));
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}
