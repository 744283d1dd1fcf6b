/*
 * verify_run.c: cut chains into segments and have them walked, by background workers or here.
 *
 * PostgreSQL's parallel infrastructure (src/backend/access/transam/README.parallel) gives the
 * workers our snapshot, our rights and our settings, so that all of them see the ledger of one
 * moment, and ends them with us.
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "core/encode.h"
#include "ledger/chain.h"
#include "ledger/chain_terms.h"
#include "ledger/local_node.h"
#include "ledger/pseudonym.h"
#include "ledger/tile.h"
#include "node/settings.h"
#include "node/shared.h"
#include "node/trusted.h"
#include "verify/verify_job.h"
#include "verify/verify_progress.h"

#define VERIFY_JOB_KEY UINT64CONST(1)
#define SEGMENT_MIN 1024		/* entries; less is not worth a worker */
#define SEGMENT_MAX 262144
#define SEGMENTS_PER_WORKER 8	/* so that they finish at about the same time */

PGDLLEXPORT void medchain_verify_worker(dsm_segment *memory, shm_toc *toc);

void
verify_job_report(VerifyJob *job, int origin, int64 height, int64 position, const char *fault,
				  const char *fmt,...)
{
	uint32		number = pg_atomic_fetch_add_u32(&job->nfaults, 1);
	VerifyFault *out;
	va_list		args;

	if (number >= (uint32) job->fault_limit)
		return;
	out = verify_job_fault(job, number);
	out->origin = origin;
	out->height = height;
	out->position = position;
	strlcpy(out->fault, fault, sizeof(out->fault));
	va_start(args, fmt);
	vsnprintf(out->detail, sizeof(out->detail), fmt, args);
	va_end(args);
	encode_repair_utf8(out->detail);
	if (job->progress >= 0)
		pg_atomic_fetch_add_u64(&shared_state->verifications[job->progress].faults, 1);
}

bool
verify_job_full(VerifyJob *job)
{
	return pg_atomic_read_u32(&job->nfaults) >= (uint32) job->fault_limit;
}

/* A number from one row of SQL about a chain; -1: no row. */
static int64
verify_number(SPIPlanPtr *plan, const char *sql, const char *origin, int64 a, int64 b)
{
	Oid			types[3] = {TEXTOID, INT8OID, INT8OID};
	Datum		values[3] = {CStringGetTextDatum(origin), Int64GetDatum(a), Int64GetDatum(b)};
	int64		result = -1;
	bool		isnull;

	trusted_read(plan, sql, 3, types, values);
	if (SPI_processed > 0)
	{
		Datum		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);

		if (!isnull)
			result = DatumGetInt64(value);
	}
	SPI_freetuptable(SPI_tuptable);
	return result;
}

bool
verify_stand_at(const LocalNode *node, const char *origin, int64 height, const Key *key,
				ChainCheck *check)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[2] = {TEXTOID, INT8OID};
	Datum		values[2] = {CStringGetTextDatum(origin), Int64GetDatum(height)};
	MemoryContext context = CurrentMemoryContext;
	char	   *note = NULL;
	size_t		textlen;
	NoteBlock	block;
	CoreError	error = {0};
	uint8_t		root[HASH_LEN];

	trusted_read(&plan, "SELECT note FROM medchain.block WHERE origin = $1 AND height = $2", 2,
				 types, values);
	if (SPI_processed > 0)
	{
		note = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
		note = note ? MemoryContextStrdup(context, note) : NULL;
	}
	SPI_freetuptable(SPI_tuptable);
	chain_start(node, origin, check);
	if (note == NULL || !note_parse_block(note, strlen(note), &block, &error) ||
		strcmp(block.name, check->name) != 0 || block.height != (uint64) height ||
		(key != NULL && note_verify(note, strlen(note), check->name, key, &error) != KEY_VALID) ||
		!tile_range(origin, block.size, &check->range) ||
		!tree_range_root(&check->range, root) || !hash_equal(root, block.root) ||
		!note_text_length(note, strlen(note), &textlen, &error) ||
		!hash_sha256(note, textlen, check->head))
		return false;
	check->height = height;
	return true;
}

/* Entries that a chain has beyond the start, by what its last block's row says. */
static int64
verify_chain_entries(const VerifyChain *chain)
{
	static SPIPlanPtr plan = NULL;
	int64		size = verify_number(&plan,
				   "SELECT size FROM medchain.block WHERE origin = $1 AND height > $2 AND $3 = 0 "
									 "ORDER BY height DESC LIMIT 1", chain->origin,
									 chain->start.height, 0);

	return Max(0, size - (int64) chain->start.range.size);
}

/* Segments of one chain, appended to the list. */
static List *
verify_cut(const LocalNode *node, const VerifyChain *chain, int number, int64 entries, int64 length,
		   List *segments)
{
	static SPIPlanPtr plan = NULL;
	VerifySegment *segment = palloc0(sizeof(VerifySegment));

	segment->origin = number;
	segment->start = chain->start;
	segments = lappend(segments, segment);
	for (int64 at = length; at < entries; at += length)
	{
		int64		size = (int64) chain->start.range.size + at;
		int64		height = verify_number(&plan,
			 "SELECT height FROM medchain.block WHERE origin = $1 AND size >= $2 AND height > $3 "
										   "ORDER BY size, height LIMIT 1", chain->origin, size,
										   segment->start.height);
		ChainCheck	start;

		if (height < 0 || !verify_stand_at(node, chain->origin, height, NULL, &start) ||
			start.range.size <= segment->start.range.size)
			continue;
		segment->end_height = start.height + 1;
		segment->end_size = (int64) start.range.size;
		segment = palloc0(sizeof(VerifySegment));
		segment->origin = number;
		segment->start = start;
		segments = lappend(segments, segment);
		at = Max(at, (int64) (start.range.size - chain->start.range.size));
	}
	segment->end_height = PG_INT64_MAX;
	segment->end_size = PG_INT64_MAX;
	return segments;
}

static Size
verify_job_size(int norigins, int nkeys, int nsegments, int fault_limit, VerifyJob *job)
{
	job->norigins = norigins;
	job->nkeys = nkeys;
	job->nsegments = nsegments;
	job->fault_limit = fault_limit;
	job->origins_at = MAXALIGN(sizeof(VerifyJob));
	job->keys_at = job->origins_at + MAXALIGN(mul_size(sizeof(VerifyOrigin), norigins));
	job->segments_at = job->keys_at + MAXALIGN(mul_size(sizeof(VerifyKey), nkeys));
	job->faults_at = job->segments_at + MAXALIGN(mul_size(sizeof(VerifySegment), nsegments));
	job->size = add_size(job->faults_at, mul_size(sizeof(VerifyFault), fault_limit));
	return job->size;
}

static void
verify_job_fill(VerifyJob *job, const VerifyJob *plan, const LocalNode *node,
				const VerifyChain *chains, const List *segments)
{
	ListCell   *cell;
	int			nkeys = 0;
	int			i = 0;

	*job = *plan;
	pg_atomic_init_u32(&job->next_segment, 0);
	pg_atomic_init_u32(&job->nfaults, 0);
	for (int n = 0; n < job->norigins; n++)
	{
		VerifyOrigin *origin = verify_job_origin(job, n);

		memset(origin, 0, sizeof(*origin));
		strlcpy(origin->origin, chains[n].origin, sizeof(origin->origin));
		origin->own = strcmp(chains[n].origin, node->node) == 0;
		origin->first_key = nkeys;
		origin->nkeys = list_length(chains[n].terms.keys);
		foreach(cell, chains[n].terms.keys)
		{
			const ChainKey *known = lfirst(cell);
			VerifyKey  *key = verify_job_key(job, nkeys++);

			key->from_height = known->from_height;
			if (strlcpy(key->pem, known->pem, sizeof(key->pem)) >= sizeof(key->pem))
				elog(ERROR, "key of \"%s\" is too long", chains[n].origin);
		}
		pg_atomic_init_u64(&origin->blocks, 0);
		pg_atomic_init_u64(&origin->entries, 0);
		pg_atomic_init_u64(&origin->unreadable, 0);
		pg_atomic_init_u64(&origin->absent, 0);
		origin->absent_known = chains[n].absent;
	}
	foreach(cell, segments)
		* verify_job_segment(job, i++) = *(VerifySegment *) lfirst(cell);
}

/* Take segments until none is left. */
static void
verify_work(VerifyJob *job)
{
	for (;;)
	{
		uint32		next = pg_atomic_fetch_add_u32(&job->next_segment, 1);

		if (next >= (uint32) job->nsegments || verify_job_full(job))
			return;
		verify_segment(job, verify_job_segment(job, next));
	}
}

void
medchain_verify_worker(dsm_segment *memory, shm_toc *toc)
{
	VerifyJob  *job = shm_toc_lookup(toc, VERIFY_JOB_KEY, false);

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	verify_work(job);
	SPI_finish();
}

/* The whole job in background workers; a copy of it as they left it. */
static VerifyJob *
verify_run_parallel(const VerifyJob *plan, const LocalNode *node, const VerifyChain *chains,
					const List *segments, int workers)
{
	ParallelContext *context;
	VerifyJob  *shared;
	VerifyJob  *result;

	EnterParallelMode();
	context = CreateParallelContext("$libdir/medchain", "medchain_verify_worker", workers);
	shm_toc_estimate_chunk(&context->estimator, plan->size);
	shm_toc_estimate_keys(&context->estimator, 1);
	InitializeParallelDSM(context);
	shared = shm_toc_allocate(context->toc, plan->size);
	verify_job_fill(shared, plan, node, chains, segments);
	shm_toc_insert(context->toc, VERIFY_JOB_KEY, shared);
	LaunchParallelWorkers(context);
	verify_progress_workers(plan->progress, context->nworkers_launched);

	/* no worker to be had: then we do it, rather than wait for one */
	if (context->nworkers_launched == 0)
		verify_work(shared);
	WaitForParallelWorkersToFinish(context);
	result = palloc_extended(plan->size, MCXT_ALLOC_HUGE);
	memcpy(result, shared, plan->size);
	DestroyParallelContext(context);
	ExitParallelMode();
	return result;
}

VerifyJob *
verify_run(const LocalNode *node, const VerifyChain *chains, int nchains, int fault_limit,
		   int progress)
{
	VerifyJob	plan = {0};
	VerifyJob  *job;
	List	   *segments = NIL;
	int64	   *entries = palloc0(sizeof(int64) * (Size) Max(nchains, 1));
	int64		total = 0;
	int64		length;
	int			nkeys = 0;
	int			workers = setting_verify_workers;

	for (int i = 0; i < nchains; i++)
	{
		total += entries[i] = verify_chain_entries(&chains[i]);
		nkeys += list_length(chains[i].terms.keys);
	}
	length = Min(SEGMENT_MAX, Max(SEGMENT_MIN, total / (Max(workers, 1) * SEGMENTS_PER_WORKER)));
	if (workers == 0)
		length = PG_INT64_MAX;
	for (int i = 0; i < nchains; i++)
		segments = verify_cut(node, &chains[i], i, entries[i], length, segments);
	verify_job_size(nchains, nkeys, list_length(segments), fault_limit, &plan);
	plan.progress = progress;
	plan.has_pseudonyms = node->at_home && pseudonym_status() == NULL;
	verify_progress_walk(progress, nchains, total);

	workers = Min(workers, list_length(segments));
	if (workers > 0 && total > SEGMENT_MIN)
		return verify_run_parallel(&plan, node, chains, segments, workers);
	job = palloc_extended(plan.size, MCXT_ALLOC_HUGE);
	verify_job_fill(job, &plan, node, chains, segments);
	verify_work(job);
	return job;
}
