/*
 * shared.h: the shared memory of medchain: one slot per database, with the
 * sealer's state, the tickets of sessions that wait for it, its signing
 * requests, and the generation of the grants.
 */
#ifndef MEDCHAIN_LEDGER_SHARED_H
#define MEDCHAIN_LEDGER_SHARED_H

#include "postgres.h"
#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/dsm.h"
#include "storage/lwlock.h"
#include "datatype/timestamp.h"

#define SHARED_DATABASES 64
#define SHARED_SIGN_REQUESTS 8
#define SHARED_VERIFICATIONS 32 /* shown; one more runs all the same */
#define SHARED_ERROR_LEN 256
#define SHARED_LATENCIES 64		/* classes of latency: the first ends at 1 ms, each at 5/4 of the
								 * one before */
#define SHARED_LATENCY_FIRST 1000.0
#define SHARED_LATENCY_STEP 1.25

typedef enum WorkerKind
{
	WORKER_SEALER,				/* seals this node's chain; holds the private key */
	WORKER_KEEPER,				/* accepts what peers sent and had to wait */
	WORKER_KINDS
} WorkerKind;

typedef enum SealerState
{
	SEALER_DOWN,				/* no worker */
	SEALER_RUNNING,
	SEALER_FAILED				/* worker is up and can't seal: see error */
} SealerState;

typedef enum SignState
{
	SIGN_FREE,
	SIGN_REQUESTED,
	SIGN_DONE,
	SIGN_FAILED,
	SIGN_ABANDONED				/* the requester gave up: the sealer frees it */
} SignState;

typedef enum VerifyPhase
{
	VERIFY_FOLD,				/* deriving the state again */
	VERIFY_WALK,				/* hashing entries, checking blocks */
	VERIFY_COMPARE				/* frontiers, checkpoints, differences of the state */
} VerifyPhase;

typedef struct SignRequest
{
	SignState	state;
	dsm_handle	message;		/* in: size_t length, then the bytes; out: see signer.c */
} SignRequest;

typedef struct SharedDatabase
{
	Oid			database;		/* InvalidOid: slot free */
	pid_t		worker_pid[WORKER_KINDS];	/* 0: none */
	struct Latch *worker_latch[WORKER_KINDS];
	SealerState state;
	bool		wanted;			/* the extension is there: keep its workers running */
	TimestampTz paused_until;	/* DROP DATABASE and the like need the database for themselves */
	char		error[SHARED_ERROR_LEN];	/* why the sealer can't seal; empty if it can */
	char		key_fingerprint[65];	/* of the signing key's public half; empty: none loaded */
	SignRequest sign[SHARED_SIGN_REQUESTS];

	pg_atomic_uint64 tickets;	/* drawn by sessions after their commit */
	pg_atomic_uint64 sealed;	/* every ticket up to this one has been served */
	pg_atomic_uint32 dirty;		/* something was committed to pending since the last round */
	pg_atomic_uint64 dirty_since;	/* TimestampTz of the commit that set it; 0: not known */
	pg_atomic_uint64 grant_generation;	/* bumped after each commit that changed state */
	pg_atomic_uint64 blocks;	/* statistics since server start */
	pg_atomic_uint64 entries;
	pg_atomic_uint64 bytes;		/* of their payloads */
	pg_atomic_uint64 latency_max;	/* microseconds from commit to block */
	pg_atomic_uint64 latency[SHARED_LATENCIES]; /* entries by latency: see sealer_latency() */
	ConditionVariable changed;	/* broadcast on every change of the above */
} SharedDatabase;

/* A verify() at work, for the view medchain.verify_progress. */
typedef struct SharedVerification
{
	pid_t		pid;			/* of the session; 0: slot free */
	Oid			database;
	TimestampTz started;
	VerifyPhase phase;
	int			workers;
	int			chains;
	int64		entries_total;	/* as far as the blocks say */
	pg_atomic_uint64 entries;
	pg_atomic_uint64 blocks;
	pg_atomic_uint64 faults;
} SharedVerification;

typedef struct SharedState
{
	LWLock	   *lock;			/* protects everything but the atomics */
	pid_t		launcher_pid;
	struct Latch *launcher_latch;
	SharedDatabase databases[SHARED_DATABASES];
	SharedVerification verifications[SHARED_VERIFICATIONS];
} SharedState;

extern SharedState *shared_state;	/* NULL when not preloaded */

extern void shared_install_hooks(void); /* from _PG_init, while preloading */

/* ERROR with the line to add, unless medchain was preloaded. */
extern void shared_require(void);

/* The slot of this database, made if need be; NULL when not preloaded or all slots are taken. */
extern SharedDatabase *shared_database(void);

/* Wake a worker of this database, or have it started. */
extern void shared_wake(SharedDatabase *slot, WorkerKind kind);

/* Mark this transaction as one that changes state: bumps grant_generation after commit. */
extern void shared_state_changed(void);

/*
 * medchain_start_workers(), in launcher.c, for C callers: ERROR unless the sealer is up within a
 * few seconds.
 */
extern void shared_start_workers(void);

#endif
