/*
 * statement.c: which statement runs, since when, and by which state it is judged.
 *
 * A grant binds by the clock at each statement, and a revocation binds every
 * statement that starts after it is sealed.  now() is the clock of the
 * transaction, and a transaction can be kept open for a day; so an executor hook
 * tells executor runs apart, and the first question in one looks at the clock.  The
 * next FETCH of an open cursor is a new run, and so is each query of a function.
 *
 * Sessions that have nothing to do with protected tables don't have the hook: the
 * planner calls the support functions of may_query() and may_update() for every plan that
 * asks them, in the session that will run it, and they put it in place.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "access/xlogrecovery.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "utils/rangetypes.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "access/statement.h"
#include "compat.h"
#include "node/shared.h"

typedef struct Run
{
	uint64		number;			/* 0: none */
	TimestampTz clock;			/* 0: nobody has asked yet */
} Run;

static ExecutorRun_hook_type previous_executor_run = NULL;
static StatementCheck check_run = NULL;
static Run	current_run = {0, 0};
static uint64 last_run = 0;

static void
statement_executor_run(COMPAT_EXECUTOR_RUN_PARAMETERS)
{
	Run			outer = current_run;

	current_run.number = ++last_run;
	current_run.clock = 0;

	PG_TRY();
	{
		check_run(queryDesc, COMPAT_EXECUTOR_RUN_IS_PARTIAL);
		if (previous_executor_run)
			previous_executor_run(COMPAT_EXECUTOR_RUN_ARGUMENTS);
		else
			standard_ExecutorRun(COMPAT_EXECUTOR_RUN_ARGUMENTS);
	}
	PG_FINALLY();
	{
		current_run = outer;
	}
	PG_END_TRY();
}

void
statement_track(StatementCheck check)
{
	static bool tracking = false;

	if (tracking)
		return;
	tracking = true;
	check_run = check;
	previous_executor_run = ExecutorRun_hook;
	ExecutorRun_hook = statement_executor_run;
}

uint64
statement_run(void)
{
	return current_run.number;
}

TimestampTz
statement_clock(void)
{
	if (current_run.number == 0)
		return GetCurrentTimestamp();
	if (current_run.clock == 0)
		current_run.clock = GetCurrentTimestamp();
	return current_run.clock;
}

uint64
statement_generation(void)
{
	/*
	 * On a standby the state changes by replay, and nobody counts.  The replay position is a
	 * generation that changes too often, which costs time, never correctness.
	 */
	if (RecoveryInProgress())
		return (uint64) GetXLogReplayRecPtr(NULL);

	shared_require();
	return pg_atomic_read_u64(&shared_database()->grant_generation);
}

uint64
statement_member_generation(const char *member)
{
	return RecoveryInProgress() ? statement_generation() : shared_member_generation(member);
}

uint64
statement_identity_generation(void)
{
	return RecoveryInProgress() ? statement_generation() :
		pg_atomic_read_u64(&shared_database()->identity_generation);
}

void
validity_restrict(Validity *validity, Datum range)
{
	TypeCacheEntry *type = lookup_type_cache(TSTZRANGEOID, TYPECACHE_RANGE_INFO);
	RangeBound	lower;
	RangeBound	upper;
	bool		empty;

	range_deserialize(type, DatumGetRangeTypeP(range), &lower, &upper, &empty);
	if (empty)
	{
		validity->to = validity->from;
		return;
	}

	/*
	 * timestamps are whole microseconds, so that any bound can be written as that of a half-open
	 * range
	 */
	if (!lower.infinite)
	{
		TimestampTz from = DatumGetTimestampTz(lower.val);

		if (!lower.inclusive && !TIMESTAMP_NOT_FINITE(from))
			from++;
		validity->from = Max(validity->from, from);
	}
	if (!upper.infinite)
	{
		TimestampTz to = DatumGetTimestampTz(upper.val);

		if (upper.inclusive && !TIMESTAMP_NOT_FINITE(to))
			to++;
		validity->to = Min(validity->to, to);
	}
}
