/*
 * verify.c: medchain.verify(): recompute everything this database says about its chains.
 *
 * The walk through blocks and entries is verify_segment()'s, in parallel.  Here is what frames it:
 * from which block on; what the walk has to arrive at (medchain.chain, the pinned genesis block,
 * checkpoints that were kept elsewhere, the one that was remembered); and the state, which is
 * derived anew and compared (fold_faults(), in rules.sql).
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "compat.h"
#include "core/keycache.h"
#include "ledger/chain.h"
#include "ledger/chain_light.h"
#include "ledger/chain_terms.h"
#include "ledger/local_node.h"
#include "node/shown.h"
#include "node/trusted.h"
#include "verify/tile_audit.h"
#include "verify/verify_checkpoint.h"
#include "verify/verify_job.h"
#include "verify/verify_progress.h"
#include "verify/verify_set.h"

#define VERIFY_FAULTS_MAX 10000

typedef struct VerifyRequest
{
	const char *only;			/* one origin, or NULL */
	bool		since_verified; /* since the block that was remembered */
	int64		since;			/* otherwise, first height to look at */
	int			max_faults;
	List	   *checkpoints;	/* of Checkpoint */
	bool		witnesses;		/* with what others have verified */
} VerifyRequest;

/* The differences between the state and what the ledger says. */
static SPITupleTable *
verify_fold(void)
{
	SPI_execute("SELECT origin, detail FROM medchain_internal.fold_faults() ORDER BY origin "
				"COLLATE \"C\", "
				"detail COLLATE \"C\"", true, 0);
	return SPI_tuptable;
}

/*
 * What others have verified of these chains and is not here, or not the same; those who are asked
 * now may take their time.
 */
static SPITupleTable *
verify_witnesses(const VerifyRequest *request)
{
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {request->only ? CStringGetTextDatum(request->only) : (Datum) 0};
	char		nulls[1] = {request->only ? ' ' : 'n'};

	if (!request->witnesses)
		return NULL;
	SPI_execute_with_args("SELECT origin, height, fault, detail FROM "
						  "medchain_internal.witness_faults($1) ORDER BY origin COLLATE \"C\", "
						  "height, detail COLLATE \"C\"", 1, types, values, nulls, false, 0);
	return SPI_tuptable;
}

static void
verify_witnessed(VerifyJob *job, int number, SPITupleTable *faults)
{
	for (uint64 i = 0; faults != NULL && i < faults->numvals; i++)
	{
		HeapTuple	row = faults->vals[i];
		TupleDesc	desc = faults->tupdesc;
		bool		isnull;
		int64		height = DatumGetInt64(SPI_getbinval(row, desc, 2, &isnull));

		if (strcmp(SPI_getvalue(row, desc, 1), verify_job_origin(job, number)->origin) == 0)
			verify_job_report(job, number, height, PG_INT64_MAX, SPI_getvalue(row, desc, 3), "%s",
							  SPI_getvalue(row, desc, 4));
	}
}

static void
verify_state(VerifyJob *job, int number, SPITupleTable *faults)
{
	for (uint64 i = 0; i < faults->numvals; i++)
	{
		char	   *origin = SPI_getvalue(faults->vals[i], faults->tupdesc, 1);

		if (origin != NULL && strcmp(origin, verify_job_origin(job, number)->origin) == 0)
			verify_job_report(job, number, -1, (int64) i, "state differs from the ledger", "%s",
							  SPI_getvalue(faults->vals[i], faults->tupdesc, 2));
	}
}

/* medchain.chain must stand exactly where the walk ended; whole: it began at the first block. */
static void
verify_frontier(VerifyJob *job, int number, const LocalNode *node, bool whole)
{
	VerifyOrigin *origin = verify_job_origin(job, number);
	const ChainCheck *end = &origin->end;
	ChainCheck	stored;

	/* by the snapshot of the walk, or a block sealed meanwhile would look like a fault */
	if (!chain_read(node, origin->origin, CHAIN_SNAPSHOT, &stored))
		verify_job_report(job, number, end->height, PG_INT64_MAX, "bad frontier",
						  "row of medchain.chain is damaged");
	else if (stored.height != end->height && end->height < 0)
		verify_job_report(job, number, 0, PG_INT64_MAX, "missing block",
						  "medchain.chain stands at height %lld, there is no block",
						  (long long) stored.height);
	else if (stored.height != end->height)
		verify_job_report(job, number, Min(stored.height, end->height) + 1, PG_INT64_MAX,
						  stored.height > end->height ? "missing block" : "bad frontier",
						  "medchain.chain stands at height %lld, the last block is %lld",
						  (long long) stored.height, (long long) end->height);
	else if (!hash_equal(stored.head, end->head))
		verify_job_report(job, number, end->height, PG_INT64_MAX, "bad frontier",
						  "head in medchain.chain is not that of the last block");
	else if (whole && !origin->adrift &&
			 (int64) pg_atomic_read_u64(&origin->absent) != origin->absent_known)
		verify_job_report(job, number, end->height, PG_INT64_MAX, "missing entry",
						  "payloads of %lld entries are not here, those of %lld were not taken",
						  (long long) pg_atomic_read_u64(&origin->absent),
						  (long long) origin->absent_known);
	else if (!origin->adrift &&
			 (stored.range.size != end->range.size ||
			  memcmp(stored.range.hashes, end->range.hashes,
					 (size_t) end->range.nhashes * HASH_LEN) != 0))
		verify_job_report(job, number, end->height, PG_INT64_MAX, "bad frontier",
						  "tree in medchain.chain is not that of the entries");
}

/*
 * The first block of the alliance and its key are pinned, so that nobody can replace the whole
 * chain.
 */
static void
verify_genesis(VerifyJob *job, int number, const LocalNode *node)
{
	static SPIPlanPtr plan = NULL;
	const char *origin = verify_job_origin(job, number)->origin;
	Oid			types[1] = {TEXTOID};
	Datum		values[1] = {CStringGetTextDatum(origin)};
	CoreError	error = {0};
	const Key  *key;
	char	   *note;
	uint8_t		hash[HASH_LEN];
	size_t		textlen;

	if (strcmp(origin, node->data_center) != 0)
		return;
	trusted_read(&plan, "SELECT note FROM medchain.block WHERE origin = $1 AND height = 0 AND note "
				 "IS NOT NULL", 1, types, values);
	if (SPI_processed == 0)
		return;					/* the walk has said so, if there should be one */
	note = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	if (!node->has_genesis)
		verify_job_report(job, number, 0, PG_INT64_MAX, "bad genesis",
						  "medchain.local_node has lost the hash of the first block: no other "
						  "chain could be checked");
	else if (!note_text_length(note, strlen(note), &textlen, &error) ||
			 !hash_sha256(note, textlen, hash) ||
			 !hash_equal(hash, node->genesis_hash))
		verify_job_report(job, number, 0, PG_INT64_MAX, "bad genesis",
						  "the first block is not the genesis block this node has joined");
	else
	{
		key = keycache_get(node->genesis_key, strlen(node->genesis_key), &error);
		if (key == NULL || note_verify(note, strlen(note), NULL, key, &error) != KEY_VALID)
			verify_job_report(job, number, 0, PG_INT64_MAX, "bad genesis",
							  "genesis_key in medchain.local_node is not the key that signed the "
							  "first block");
	}
}

/* What the walk has to have arrived at. */
static void
verify_compare(VerifyJob *job, int number, const LocalNode *node, const VerifyChain *chain,
			   const VerifyRequest *request,
			   SPITupleTable *state_faults, SPITupleTable *witness_faults)
{
	VerifyOrigin *origin = verify_job_origin(job, number);
	const char *surplus;

	verify_genesis(job, number, node);
	verify_frontier(job, number, node, chain->start.height < 0);
	checkpoint_compare(job, number, chain, request->checkpoints);
	checkpoint_compare_remembered(job, number, chain);
	checkpoint_compare_named(job, number, chain);
	verify_state(job, number, state_faults);
	verify_witnessed(job, number, witness_faults);
	verify_stray_rows(job, number);
	if (node->at_home && strcmp(chain->origin, node->node) == 0)
		verify_local_rows(job, number, chain->start.height < 0);
	surplus = origin->adrift ? NULL : tile_audit_surplus(origin->origin, origin->end.range.size);
	if (surplus != NULL)
		verify_job_report(job, number, origin->end.height, PG_INT64_MAX, "bad tile", "%s", surplus);
	/* what was verified before is not looked at again */
	if (origin->own && chain->start.height < 0)
		verify_set_strays(job, number);
}

/* By the index, as the table may be large, and has few. */
#define VERIFY_ORIGINS_OF(table) \
	"UNION (WITH RECURSIVE o AS ((SELECT min(origin) AS origin FROM medchain." table ") " \
	"UNION ALL SELECT (SELECT min(origin) FROM medchain." table " t WHERE t.origin > o.origin) " \
	"FROM o WHERE o.origin IS NOT NULL) SELECT origin FROM o) "

/* Every chain there is a trace of, here or in the checkpoints, or the one asked for. */
static List *
verify_origins(const VerifyRequest *request)
{
	MemoryContext context = CurrentMemoryContext;
	Oid			types[2] = {TEXTOID, TEXTARRAYOID};
	Datum		values[2] = {(Datum) 0, checkpoint_origins(request->checkpoints)};
	char		nulls[2] = {request->only ? ' ' : 'n', ' '};
	List	   *origins = NIL;

	if (request->only != NULL)
		values[0] = CStringGetTextDatum(request->only);
	SPI_execute_with_args("SELECT origin FROM (SELECT origin FROM medchain.chain UNION SELECT node "
						  "FROM medchain.local_node "
						  "UNION SELECT name FROM medchain.member UNION SELECT origin FROM "
						  "medchain.verified "
						  "UNION SELECT unnest($2) "
						  VERIFY_ORIGINS_OF("block") VERIFY_ORIGINS_OF("entry")
						  VERIFY_ORIGINS_OF("tile") ") x "
						  "WHERE origin IS NOT NULL AND origin = coalesce($1, origin) ORDER BY "
						  "origin COLLATE \"C\"",
						  2, types, values, nulls, true, 0);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		char	   *origin = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
		MemoryContext old = MemoryContextSwitchTo(context);

		origins = lappend(origins, pstrdup(origin));
		MemoryContextSwitchTo(old);
	}
	if (request->only != NULL && origins == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no chain \"%s\" here", shown(request->only)),
				 errhint("See the view medchain.chains.")));
	return origins;
}

/*
 * Where the walk of this chain starts: before its first block, or at a block that can be relied on.
 */
static void
verify_start(const LocalNode *node, VerifyChain *chain, const VerifyRequest *request)
{
	int64		height = (request->since_verified ? checkpoint_remembered_height(chain->origin) :
						  request->since - 1);
	int64		head = checkpoint_newest_height(chain->origin);
	const ChainKey *key;
	CoreError	error = {0};

	height = Min(height, head);
	key = chain_terms_key(&chain->terms, height);
	chain->absent = chain_light_absent(chain->origin);
	if (height >= 0 &&
		verify_stand_at(node, chain->origin, height,
						key ? keycache_get(key->pem, strlen(key->pem), &error) :
						NULL, &chain->start))
		return;
	/* the empty state of this chain, not what medchain.chain says */
	chain_start(node, chain->origin, &chain->start);
}

static int
verify_order(const void *a, const void *b)
{
	const VerifyFault *x = a;
	const VerifyFault *y = b;

	/* what is at no block comes last */
	if (x->origin != y->origin)
		return x->origin - y->origin;
	if (x->height != y->height)
		return (uint64) x->height < (uint64) y->height ? -1 : 1;
	if (x->position != y->position)
		return x->position < y->position ? -1 : 1;
	return strcmp(x->detail, y->detail);
}

static void
verify_row(ReturnSetInfo *result, const VerifyOrigin *origin, const VerifyFault *fault,
		   const char *detail)
{
	Datum		values[7];
	bool		nulls[7] = {false};

	values[0] = CStringGetTextDatum(origin->origin);
	values[1] = Int64GetDatum((int64) pg_atomic_read_u64(unconstify(pg_atomic_uint64 *,
																	&origin->blocks)));
	values[2] = Int64GetDatum((int64) pg_atomic_read_u64(unconstify(pg_atomic_uint64 *,
																	&origin->entries)));
	values[3] = BoolGetDatum(fault == NULL);
	nulls[4] = fault == NULL || fault->height < 0;
	values[4] = nulls[4] ? (Datum) 0 : Int64GetDatum(fault->height);
	nulls[5] = fault == NULL;
	values[5] = fault ? CStringGetTextDatum(fault->fault) : (Datum) 0;
	if (fault != NULL)
		detail = fault->detail;
	nulls[6] = detail == NULL;
	values[6] = detail ? CStringGetTextDatum(detail) : (Datum) 0;
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* A row for each fault of a chain, or one for a chain without. */
static void
verify_rows(ReturnSetInfo *result, VerifyJob *job, const LocalNode *node,
			const VerifyChain *chains)
{
	uint32		found = pg_atomic_read_u32(&job->nfaults);
	int			kept = (int) Min(found, (uint32) job->fault_limit);
	int			next = 0;

	qsort(verify_job_fault(job, 0), (size_t) kept, sizeof(VerifyFault), verify_order);
	for (int i = 0; i < job->norigins; i++)
	{
		VerifyOrigin *origin = verify_job_origin(job, i);
		int			first = next;

		for (; next < kept && verify_job_fault(job, next)->origin == i; next++)
			verify_row(result, origin, verify_job_fault(job, next), NULL);
		if (next > first)
			continue;
		if (verify_job_full(job))
		{
			VerifyFault fault = {
				.origin = i, .height = -1, .fault = "not checked",
				.detail = "max_faults were found before this chain was done"
			};

			verify_row(result, origin, &fault, NULL);
			continue;
		}
		checkpoint_remember(&chains[i], &origin->end);
		verify_row(result, origin, NULL,
				   chains[i].terms.last_height < origin->end.height ?
				   psprintf("the member was expelled: blocks after %lld do not count",
							(long long) chains[i].terms.last_height) :
				   origin->nkeys == 0 && origin->end.height >= 0 ?
				   "signatures were not checked: the ledger is not configured yet" :
				   origin->own && !node->at_home ?
				   "this database is a copy of the node: what only the node knows was not "
				   "compared" :
				   pg_atomic_read_u64(&origin->unreadable) > 0 ?
				   psprintf("entries that say nothing, as not everybody could read them: %llu; "
							"medchain.entry_fault() tells why",
							(unsigned long long) pg_atomic_read_u64(&origin->unreadable)) :
				   pg_atomic_read_u64(&origin->absent) > 0 ?
				   psprintf("payloads of %llu more entries are not here: their places in the tree "
							"were checked, and nothing of what they say; see "
							"medchain.fetch_payloads()",
							(unsigned long long) pg_atomic_read_u64(&origin->absent)) :
				   NULL);
	}
}

static void
verify_all(ReturnSetInfo *result, const VerifyRequest *request, const LocalNode *node, int progress)
{
	SPITupleTable *state_faults = verify_fold();
	SPITupleTable *witness_faults = verify_witnesses(request);
	List	   *origins = verify_origins(request);
	VerifyChain *chains = palloc0(sizeof(VerifyChain) * (Size) Max(list_length(origins), 1));
	const char **key_errors = palloc0(sizeof(char *) * (Size) Max(list_length(origins), 1));
	int			nchains = 0;
	VerifyJob  *job;
	ListCell   *cell;

	foreach(cell, origins)
	{
		VerifyChain *chain = &chains[nchains];
		CoreError	error = {0};
		ListCell   *key;

		if (!node->has_genesis && strcmp((char *) lfirst(cell), node->data_center) != 0)
			continue;
		chain->origin = lfirst(cell);
		chain_terms(node, chain->origin, &chain->terms);
		foreach(key, chain->terms.keys)
		{
			const char *pem = ((ChainKey *) lfirst(key))->pem;

			if (strlen(pem) >= VERIFY_PEM_MAX || keycache_get(pem, strlen(pem), &error) == NULL)
			{
				key_errors[nchains] = pstrdup(error.message[0] ? error.message : "it is too long");
				chain->terms.keys = NIL;
				break;
			}
		}
		verify_start(node, chain, request);
		nchains++;
	}
	job = verify_run(node, chains, nchains, request->max_faults, progress);
	verify_progress_compare(progress);
	for (int i = 0; i < nchains; i++)
	{
		if (key_errors[i] != NULL)
			verify_job_report(job, i, -1, 0, "bad key", "ledger key is unusable: %s",
							  key_errors[i]);
		if (!verify_job_full(job))
			verify_compare(job, i, node, &chains[i], request, state_faults,
						   witness_faults);
	}
	verify_rows(result, job, node, chains);
}

PG_FUNCTION_INFO_V1(medchain_verify);

/*
 * verify(origin text, since_height bigint, checkpoints text[], max_faults int, witnesses boolean)
 * -> setof (origin, blocks, entries, ok, height, fault, detail)
 */
Datum
medchain_verify(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	VerifyRequest request = {0};
	TrustedScope scope;
	LocalNode	node;
	int			progress;

	request.only = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	request.since_verified = PG_ARGISNULL(1);
	request.since = PG_ARGISNULL(1) ? 0 : PG_GETARG_INT64(1);
	request.max_faults = PG_ARGISNULL(3) ? 0 : PG_GETARG_INT32(3);
	request.witnesses = !PG_ARGISNULL(4) && PG_GETARG_BOOL(4);
	if (request.since < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("since_height must not be negative")));
	if (request.max_faults < 1 || request.max_faults > VERIFY_FAULTS_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_faults must be between 1 and %d", VERIFY_FAULTS_MAX)));
	InitMaterializedSRF(fcinfo, 0);
	trusted_begin(&scope);
	local_node_require(&node);
	if (!PG_ARGISNULL(2))
		request.checkpoints = checkpoint_parse(PG_GETARG_ARRAYTYPE_P(2), &node, request.only);
	progress = verify_progress_begin();
	PG_TRY();
	{
		verify_all(result, &request, &node, progress);
	}
	PG_FINALLY();
	{
		verify_progress_end(progress);
	}
	PG_END_TRY();
	trusted_end(&scope);
	return (Datum) 0;
}
