/*
 * state_check.c: is the state what the ledger says?  For verify().
 *
 * The rules derive it once more, in memory, from what is in blocks, without asking for any fact
 * that was found out before; and each row of the tables is compared with theirs: part by part
 * (state_part.c), by background workers as far as they are to be had.  It writes nothing, so that a
 * standby can do it, too.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "alliance/fold.h"
#include "alliance/rules_memory.h"
#include "alliance/state_check.h"
#include "core/encode.h"
#include "ledger/local_node.h"
#include "node/settings.h"
#include "node/trusted.h"

#define CHECK_JOB_KEY UINT64CONST(1)
#define CHECK_WHOLE 1000		/* entries: up to here, there are no parts */
#define CHECK_PART 500			/* claims about subjects in a part */

#define check_job_fault(job, i) (&((StateFault *) ((char *) (job) + (job)->faults_at))[i])

PGDLLEXPORT void medchain_state_worker(dsm_segment *memory, shm_toc *toc);

void
check_fault(StateCheck *check, const char *origin, const char *detail)
{
	StateJob   *job = check->job;
	uint32		number = pg_atomic_fetch_add_u32(&job->nfaults, 1);
	StateFault *fault;

	if (number >= CHECK_FAULTS)
		return;
	fault = check_job_fault(job, number);
	strlcpy(fault->origin, origin, sizeof(fault->origin));
	strlcpy(fault->detail, detail, sizeof(fault->detail));
	encode_repair_utf8(fault->origin);
	encode_repair_utf8(fault->detail);
}

/* ----- a store of two: members' claims and rows, and those of the part ----- */

static MemoryStore *
check_store(const StateCheck *check, bool parted)
{
	return parted && check->part != NULL ? check->part : check->members;
}

bool
check_parted(StateTable table)
{
	return table == STATE_EXAMINEE_KEY || table == STATE_PROTOCOL ||
		table == STATE_PROTOCOL_GRANT || table == STATE_DATA_INDEX || table == STATE_BREAK_GLASS;
}

static void
check_claim_add(void *state, const Claim *claim)
{
	memory_store.claim_add(check_store(state, (CLAIM_SET(claim->kind) & CHECK_PARTED) != 0), claim);
}

static void
check_claim_judge(void *state, const char *origin, int64_t seq, const char *reason)
{
	/* the members' are judged before there is a part */
	memory_store.claim_judge(check_store(state, true), origin, seq, reason);
}

static bool
check_claim_next(void *state, const ClaimQuery *query, const Claim *after, Pool *pool, Claim *claim)
{
	const StateCheck *check = state;

	if (check->part != NULL && (query->kinds & CHECK_PARTED) == 0)
		return false;			/* those are judged */
	return memory_store.claim_next(check_store(check, true), query, after, pool, claim);
}

static const char *
check_entry_text(void *state, Pool *pool, const char *origin, int64_t seq, size_t *len)
{
	return memory_store.entry_text(check_store(state, true), pool, origin, seq, len);
}

static void
check_row_put(void *state, const StateRow *row)
{
	memory_store.row_put(check_store(state, check_parted(row->table)), row);
}

static void
check_row_remove(void *state, const StateRow *key)
{
	memory_store.row_remove(check_store(state, check_parted(key->table)), key);
}

static void
check_rows_trim(void *state, StateTable table, const char *protocol, int64_t first)
{
	memory_store.rows_trim(check_store(state, true), table, protocol, first);
}

static const RulesStore check_store_of_two = {
	.claim_add = check_claim_add,
	.claim_judge = check_claim_judge,
	.claim_next = check_claim_next,
	.entry_text = check_entry_text,
	.row_put = check_row_put,
	.row_remove = check_row_remove,
	.rows_trim = check_rows_trim
};

/* ----- the state by the ledger ----- */

static const char *
check_text_fetch(void *state, Pool *pool, const char *origin, int64_t seq, size_t *len)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[2] = {TEXTOID, INT8OID};
	Datum		values[2] = {CStringGetTextDatum(origin), Int64GetDatum(seq)};
	char	   *copy = NULL;

	trusted_read(&plan, "SELECT payload FROM medchain.entry WHERE origin = $1 AND seq = $2", 2,
				 types, values);
	if (SPI_processed > 0)
	{
		char	   *payload = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);

		*len = strlen(payload);
		copy = pool_copy(pool, payload, *len);
		pfree(payload);
	}
	SPI_freetuptable(SPI_tuptable);
	pfree(DatumGetPointer(values[0]));
	return copy;
}

static void
check_take(void *state, const FoldEntry *entry)
{
	StateCheck *check = state;

	(void) rules_take(check->rules, entry->payload, entry->len, entry->origin, entry->seq,
					  entry->height, entry->sealed);
}

/* All claims first: members are settled before what they say, and little is judged twice. */
static void
check_derive(StateCheck *check)
{
	uint32		kinds = check->job->whole ? CLAIM_SET_ALL : CLAIM_SET_ALL & ~CHECK_PARTED;
	SPIPlanPtr	plan = SPI_prepare(fold_select(kinds, "e.seq >= 0"), 0, NULL);
	Portal		portal;

	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed");
	portal = SPI_cursor_open(NULL, plan, NULL, NULL, true);
	while (fold_fetch(portal, check_take, check))
		CHECK_FOR_INTERRUPTS();
	SPI_cursor_close(portal);
	SPI_freeplan(plan);
	rules_settle(check->rules, NULL, 0, INT64_MAX);
}

/* ----- the work, and who does it ----- */

/* Take parts until none is left. */
static void
check_work(StateJob *job)
{
	MemoryContext outside = CurrentMemoryContext;
	MemoryContext context = rules_memory_new(outside, "verify");
	StateCheck *check = MemoryContextAllocZero(context, sizeof(StateCheck));
	uint32		count = state_part_count(job);
	uint32		next;

	check->job = job;
	check->context = context;
	check->step = AllocSetContextCreate(context, "medchain state step", ALLOCSET_DEFAULT_SIZES);
	if (!local_node_read(&check->node))
		elog(ERROR, "this database is no node any more");
	check->pool = pool_new();
	check->members = memory_store_new(false);
	memory_store_compact(check->members);
	memory_store_texts(check->members, check_text_fetch, check);
	check->rules = rules_new(check->node.alliance, check->node.data_center, check->node.node,
							 facts_new(&check_facts_store, check), &check_store_of_two, check);
	check_derive(check);
	check_facts(check);
	while ((next = pg_atomic_fetch_add_u32(&job->next, 1)) < count &&
		   pg_atomic_read_u32(&job->nfaults) < CHECK_FAULTS)
	{
		state_part_check(check, next);
		CHECK_FOR_INTERRUPTS();
	}
	MemoryContextDelete(context);
}

void
medchain_state_worker(dsm_segment *memory, shm_toc *toc)
{
	StateJob   *job = shm_toc_lookup(toc, CHECK_JOB_KEY, false);

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	check_work(job);
	SPI_finish();
}

/* Are there that few entries that the state depends on? */
static bool
check_is_small(void)
{
	char	   *sql = psprintf("SELECT FROM medchain.entry e WHERE e.kind = ANY (%s) LIMIT %d",
							   fold_kinds(CLAIM_SET_ALL), CHECK_WHOLE + 1);
	bool		small;

	SPI_execute(sql, true, 0);
	small = SPI_processed <= CHECK_WHOLE;
	SPI_freetuptable(SPI_tuptable);
	return small;
}

/*
 * Where to cut subjects into ranges, each of about as many claims.  What the table of claims says
 * decides of nothing but that.
 */
static SPITupleTable *
check_bounds(uint64 *count)
{
	char	   *sql = psprintf("SELECT DISTINCT x.subject FROM (SELECT c.subject, row_number() "
							   "OVER (ORDER BY c.subject) AS n FROM medchain.claim c "
							   "WHERE c.subject IS NOT NULL) x WHERE x.n %% %d = 0 "
							   "AND octet_length(x.subject) = %d ORDER BY x.subject",
							   CHECK_PART, HASH_LEN);

	SPI_execute(sql, true, 0);
	*count = SPI_processed;
	return SPI_tuptable;
}

/* In background workers; a copy of the job as they left it.  NULL: there was none to be had. */
static StateJob *
check_parallel(const StateJob *plan, Size size, int workers)
{
	ParallelContext *context;
	StateJob   *shared;
	StateJob   *result = NULL;

	EnterParallelMode();
	context = CreateParallelContext("$libdir/medchain", "medchain_state_worker", workers);
	shm_toc_estimate_chunk(&context->estimator, size);
	shm_toc_estimate_keys(&context->estimator, 1);
	InitializeParallelDSM(context);
	shared = shm_toc_allocate(context->toc, size);
	memcpy(shared, plan, plan->faults_at);
	shm_toc_insert(context->toc, CHECK_JOB_KEY, shared);
	LaunchParallelWorkers(context);
	if (context->nworkers_launched > 0)
	{
		WaitForParallelWorkersToFinish(context);
		result = MemoryContextAllocHuge(CurrentMemoryContext, size);
		memcpy(result, shared, size);
	}
	DestroyParallelContext(context);
	ExitParallelMode();
	return result;
}

/* The whole check, by whoever is to be had. */
static StateJob *
check_run(void)
{
	uint64		nbounds = 0;
	bool		whole = check_is_small();
	SPITupleTable *bounds = whole ? NULL : check_bounds(&nbounds);
	Size		faults_at = MAXALIGN(offsetof(StateJob, bounds) + nbounds * HASH_LEN);
	Size		size = faults_at + sizeof(StateFault) * CHECK_FAULTS;
	StateJob   *job = palloc_extended(size, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	int			workers = Min(setting_verify_workers, (int) nbounds + 1);
	StateJob   *done = NULL;

	pg_atomic_init_u32(&job->next, 0);
	pg_atomic_init_u32(&job->nfaults, 0);
	job->nbounds = (uint32) nbounds;
	job->whole = whole;
	job->faults_at = faults_at;
	for (uint64 i = 0; i < nbounds; i++)
	{
		bool		isnull;
		bytea	   *bound = DatumGetByteaPP(SPI_getbinval(bounds->vals[i], bounds->tupdesc, 1,
														  &isnull));

		memcpy(job->bounds[i], VARDATA_ANY(bound), HASH_LEN);
	}
	if (bounds != NULL)
		SPI_freetuptable(bounds);
	if (!whole && workers > 0)
		done = check_parallel(job, size, workers);
	if (done != NULL)
		return done;
	check_work(job);
	return job;
}

static int
check_fault_order(const void *a, const void *b)
{
	const StateFault *x = a;
	const StateFault *y = b;
	int			order = strcmp(x->origin, y->origin);

	return order != 0 ? order : strcmp(x->detail, y->detail);
}

/* Each once: several processes find the same in what they all have as a whole. */
static void
check_tell(StateJob *job, const LocalNode *node, ReturnSetInfo *result)
{
	uint32		found = pg_atomic_read_u32(&job->nfaults);
	uint32		kept = Min(found, CHECK_FAULTS);
	StateFault *faults = check_job_fault(job, 0);

	qsort(faults, kept, sizeof(StateFault), check_fault_order);
	for (uint32 i = 0; i <= kept; i++)
	{
		Datum		values[2];
		bool		nulls[2] = {false, false};

		if (i < kept && i > 0 && check_fault_order(&faults[i - 1], &faults[i]) == 0)
			continue;
		if (i == kept && found < CHECK_FAULTS)
			break;
		values[0] = CStringGetTextDatum(i < kept ? faults[i].origin : node->node);
		values[1] = CStringGetTextDatum(i < kept ? faults[i].detail : "there are more differences "
										"than these: the rest was not looked at");
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
}

PG_FUNCTION_INFO_V1(medchain_state_faults);

/* state_faults() -> setof (origin text, detail text) */
Datum
medchain_state_faults(PG_FUNCTION_ARGS)
{
	TrustedScope scope;
	LocalNode	node;

	InitMaterializedSRF(fcinfo, 0);
	trusted_begin(&scope);
	if (local_node_read(&node))
	{
		/* entries and rows of one moment */
		PushActiveSnapshot(GetTransactionSnapshot());
		check_tell(check_run(), &node, (ReturnSetInfo *) fcinfo->resultinfo);
		PopActiveSnapshot();
	}
	trusted_end(&scope);
	return (Datum) 0;
}
