/*
 * verify_job.h: what verify() hands out to its workers, in one piece of memory that they share.
 *
 * A chain is cut into segments of blocks.  A segment starts from a block whose note is taken at its
 * word, with the compact range that the tiles give for it, if that has the root in the note; the
 * segment before ends with this block and checks it.  So the segments together say about the chain
 * what one walk would.
 */
#ifndef MEDCHAIN_VERIFY_VERIFY_JOB_H
#define MEDCHAIN_VERIFY_VERIFY_JOB_H

#include "postgres.h"
#include "port/atomics.h"

#include "core/chain_check.h"
#include "ledger/chain.h"
#include "ledger/chain_terms.h"
#include "ledger/local_node.h"

#define VERIFY_PEM_MAX 4096

typedef struct VerifyOrigin
{
	char		origin[NOTE_NAME_MAX + 1];
	bool		own;			/* this node's */
	int			first_key;		/* its keys are job's keys first_key .. first_key + nkeys - 1, by
								 * height */
	int			nkeys;			/* 0: not configured, signatures are not checked */
	pg_atomic_uint64 blocks;	/* checked so far */
	pg_atomic_uint64 entries;
	pg_atomic_uint64 unreadable;	/* of them, would not be accepted today */
	pg_atomic_uint64 absent;	/* beside them, whose payloads were not taken */
	int64		absent_known;	/* of the whole chain, as medchain.chain says */
	ChainCheck	end;			/* where the last segment ended */
	bool		adrift;			/* there, end.range is not the tree's: too much was wrong */
} VerifyOrigin;

typedef struct VerifyKey
{
	int64		from_height;
	char		pem[VERIFY_PEM_MAX];
} VerifyKey;

typedef struct VerifySegment
{
	int			origin;
	ChainCheck	start;			/* stands at the block before the first of the segment */
	int64		end_height;		/* first block that is not of the segment; PG_INT64_MAX: to the end
								 * of the chain */
	int64		end_size;		/* first entry that is not; PG_INT64_MAX likewise */
} VerifySegment;

typedef struct VerifyFault
{
	int			origin;
	int64		height;			/* -1: at no block */
	int64		position;		/* number of the entry, for the order within a block */
	char		fault[32];
	char		detail[480];
} VerifyFault;

typedef struct VerifyJob
{
	int			norigins;
	int			nsegments;
	int			fault_limit;
	int			progress;		/* slot in shared_state->verifications; -1: none */
	bool		has_pseudonyms; /* the alliance's key is here: names of rows can be compared */
	pg_atomic_uint32 next_segment;
	pg_atomic_uint32 nfaults;	/* found; those beyond the limit are not kept */
	int			nkeys;
	Size		origins_at;		/* offsets from the start of this struct */
	Size		keys_at;
	Size		segments_at;
	Size		faults_at;
	Size		size;
} VerifyJob;

#define verify_job_origin(job, i) (&((VerifyOrigin *) ((char *) (job) + (job)->origins_at))[i])
#define verify_job_key(job, i) (&((VerifyKey *) ((char *) (job) + (job)->keys_at))[i])
#define verify_job_segment(job, i) (&((VerifySegment *) ((char *) (job) + (job)->segments_at))[i])
#define verify_job_fault(job, i) (&((VerifyFault *) ((char *) (job) + (job)->faults_at))[i])

/* Note a fault; safe to call from several processes at once. */
extern void verify_job_report(VerifyJob *job, int origin, int64 height, int64 position,
							  const char *fault,
							  const char *fmt,...) pg_attribute_printf(6, 7);

/* True once as many faults are known as were asked for. */
extern bool verify_job_full(VerifyJob *job);

/* Check one segment.  In a trusted scope, with an active snapshot. */
extern void verify_segment(VerifyJob *job, const VerifySegment *segment);

/*
 * Stand at block height of a chain without having walked there: its note is taken at its word, as
 * long as tiles and leaf hashes give its root.  False if they don't, or if there is no such block.
 * key: check its signature too; may be NULL.
 */
extern bool verify_stand_at(const LocalNode *node, const char *origin, int64 height, const Key *key,
							ChainCheck *check);

/* Rows of a chain that the walk does not come by, as no block could have them. */
extern void verify_stray_rows(VerifyJob *job, int number);

/*
 * Tables that only this node has, compared with what it has said; number: of its own chain; whole:
 * also those that have a row for each thing that was ever said.
 */
extern void verify_local_rows(VerifyJob *job, int number, bool whole);

/* One chain to be verified: from start on. */
typedef struct VerifyChain
{
	const char *origin;
	ChainTerms	terms;			/* no keys: not configured */
	ChainCheck	start;
	int64		absent;			/* entries whose payloads are not here, as medchain.chain says */
} VerifyChain;

/*
 * Walk these chains, in background workers as far as medchain.verify_workers and the server's
 * limits allow.  palloc'd in the caller's context.  progress: slot to report to, or -1.  In a
 * trusted scope.
 */
extern VerifyJob *verify_run(const LocalNode *node, const VerifyChain *chains, int nchains,
							 int fault_limit,
							 int progress);

#endif
