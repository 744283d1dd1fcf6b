/*
 * shared.h: the shared memory of medchain: one slot per database, with its
 * workers, the sealer's state, the tickets of sessions that wait for it, its signing
 * requests, and the generation of the grants.
 *
 * There are medchain.max_databases slots.  A database has one from the first use of
 * medchain in it to its DROP DATABASE: only then is it certain that no session
 * still points to it.
 */
#ifndef MEDCHAIN_NODE_SHARED_H
#define MEDCHAIN_NODE_SHARED_H

#include "postgres.h"
#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/dsm.h"
#include "storage/lwlock.h"
#include "datatype/timestamp.h"

#define SHARED_SIGN_REQUESTS 8
#define SHARED_SIGN_TEXTS 32	/* of requests for signatures, of all databases */
#define SHARED_SIGN_BYTES 8192	/* of each; a longer one has memory of its own */
#define SHARED_MEMBERS 256		/* generations of members: who shares one reloads in vain */
#define SHARED_VERIFICATIONS 32 /* shown; one more runs all the same */
#define SHARED_ERROR_LEN 256
#define SHARED_ORIGIN_LEN 100
#define SHARED_CHECK_LEN 32
#define SHARED_LATENCIES 64		/* classes of latency: the first ends at 1 ms, each at 5/4 of the
								 * one before */
#define SHARED_LATENCY_FIRST 1000.0
#define SHARED_LATENCY_STEP 1.25

/* Blocks of a table: the first in the upper half, the last in the lower one. */
#define SHARED_NO_BLOCKS ((uint64) PG_UINT32_MAX << 32)
#define SHARED_ALL_BLOCKS ((uint64) PG_UINT32_MAX)

static inline uint64
shared_join_blocks(uint64 a, uint64 b)
{
	return Min(a >> 32, b >> 32) << 32 | Max((uint32) a, (uint32) b);
}

typedef enum WorkerKind
{
	WORKER_SEALER,				/* seals this node's chain; holds the private key */
	WORKER_KEEPER,				/* accepts what peers sent */
	WORKER_FETCHER,				/* asks peers for what was not kept; there when it is needed */
	WORKER_AUDITOR,				/* writes who has read what; there once somebody has */
	WORKER_FOLLOWER,			/* follows members as they come; there with medchain.auto_follow */
	WORKER_KINDS
} WorkerKind;

/* What the launcher, or the worker itself, says to those who asked for a worker. */
typedef enum WorkerAnswer
{
	WORKER_STARTED,
	WORKER_NO_ROOM,				/* max_worker_processes is used up */
	WORKER_NO_EXTENSION,		/* as far as others see: CREATE EXTENSION is not committed */
	WORKER_NOT_NEEDED,			/* the database is no node, and nobody is about to make it one */
	WORKER_NO_CONNECTIONS,		/* ALLOW_CONNECTIONS false, or an interrupted DROP DATABASE */
	WORKER_DATABASE_LOCKED		/* by a command that wants the database for itself */
} WorkerAnswer;

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
	int			room;			/* which of SharedState's; -1: in a segment, */
	dsm_handle	message;		/* this one */
} SignRequest;

/* Room for what is to be signed; see signer.c. */
typedef struct SignText
{
	bool		used;
	uint64		bytes[SHARED_SIGN_BYTES / sizeof(uint64)];
} SignText;

/* What was last said in the log about a fault that lasts. */
typedef struct LastComplaint
{
	uint64		hash;			/* of the message */
	TimestampTz at;
} LastComplaint;

typedef struct SharedWorker
{
	pid_t		pid;			/* 0: none */
	struct Latch *latch;
	uint64		asked;			/* how often sessions have asked for it while it was away */
	uint64		answered;		/* as many of them as "answer" is for */
	WorkerAnswer answer;
	TimestampTz started;		/* when the launcher started it last */
	TimestampTz retry;			/* not to be started before */
	int			failures;		/* starts in a row after which it did not last */
	bool		settled;		/* it has found the extension */
	TimestampTz gone;			/* since when there is none, if there is none */
	LastComplaint complaint;
} SharedWorker;

typedef struct SharedDatabase
{
	Oid			database;		/* InvalidOid: slot free */
	SharedWorker workers[WORKER_KINDS];
	char		stuck_origin[SHARED_ORIGIN_LEN];	/* a chain that the keeper could not move
													 * forward; empty: none */
	TimestampTz stuck_since;
	char		stuck_error[SHARED_ERROR_LEN];
	SealerState state;
	bool		used;			/* sessions point to this slot */
	bool		wanted;			/* the extension is there: keep its workers running */
	uint64		calls;			/* how often somebody has woken a worker because he needs it */
	int			barred;			/* commands that want the database without any worker in it */
	char		error[SHARED_ERROR_LEN];	/* why the sealer can't seal; empty if it can */
	char		key_fingerprint[65];	/* of the signing key's public half; empty: none loaded */
	SignRequest sign[SHARED_SIGN_REQUESTS];
	pg_atomic_uint32 recovered; /* peers have no more of this node's own chain than is here, or are
								 * not to be asked; nothing is sealed before: recovery.h */
	TimestampTz recovery_since; /* when that was first to be found out; 0: not yet */
	bool		recovery_behind;	/* they have, as their blocks prove */
	char		recovery_error[SHARED_ERROR_LEN];	/* why it takes an administrator, or empty */
	Oid			pseudonym_node; /* medchain.local_node of the alliance whose key for pseudonyms */
	uint8		pseudonym_check[SHARED_CHECK_LEN];	/* is known to have this check value */

	pg_atomic_uint64 tickets;	/* drawn by sessions after their commit */
	pg_atomic_uint64 sealed;	/* every ticket up to this one has been served */
	pg_atomic_uint32 dirty;		/* something was committed to pending since the last round */
	pg_atomic_uint64 pending_blocks;	/* of medchain.pending, in or between which something was
										 * put that the sealer has not looked for yet */
	pg_atomic_uint64 dirty_since;	/* TimestampTz of the commit that set it; 0: not known */
	pg_atomic_uint64 grant_generation;	/* bumped after each commit that changed state */
	pg_atomic_uint64 member_generations[SHARED_MEMBERS];	/* bumped before that one, where what a
															 * member may do has changed */
	pg_atomic_uint64 identity_generation;	/* bumped after each commit that remembered whom a
											 * pseudonym stands for */
	pg_atomic_uint64 keeper_rounds; /* how often the keeper has looked at all that arrived */
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
	pg_atomic_uint64 items;		/* of sets */
	pg_atomic_uint64 faults;
} SharedVerification;

typedef struct SharedState
{
	LWLock	   *lock;			/* protects everything but the atomics */
	pid_t		launcher_pid;
	struct Latch *launcher_latch;
	TimestampTz launcher_gone;	/* since when it is not there, if it is not */
	pg_atomic_uint32 reserved;	/* background workers that nodes of this server need */
	SharedVerification verifications[SHARED_VERIFICATIONS];
	SignText	sign_texts[SHARED_SIGN_TEXTS];
	int			slots;			/* medchain.max_databases */
	SharedDatabase databases[FLEXIBLE_ARRAY_MEMBER];
} SharedState;

extern SharedState *shared_state;	/* NULL when not preloaded */

extern void shared_install_hooks(void); /* from _PG_init, while preloading */

/* ERROR with the line to add, unless medchain was preloaded. */
extern void shared_require(void);

/* The slot of this database, made if need be; NULL when not preloaded or all slots are taken. */
extern SharedDatabase *shared_database(void);

/*
 * The slot of any database, for the launcher, its workers, and who is about to change the
 * database; NULL if it has none, or none is free to make it.  The caller holds shared_state->lock
 * exclusively.
 */
extern SharedDatabase *shared_slot(Oid database, bool make);

/*
 * Give the slot back, if nobody needs it: no session points to it, or the database is gone.  The
 * same lock.
 */
extern void shared_release(SharedDatabase *slot, bool dropped);

/*
 * Give back the slots of databases that are gone without our having seen it.  In a transaction,
 * without the lock.
 */
extern void shared_sweep(void);

/*
 * Wake a worker of this database, or have it started.  Returns the number to wait for in
 * "answered"; 0: it is there.
 */
extern uint64 shared_wake(SharedDatabase *slot, WorkerKind kind);

/* Mark this transaction as one that changes state: bumps grant_generation after commit. */
extern void shared_state_changed(void);

/*
 * The same for what this member, or any, may do: bumps its generation, too, or all of them.  Who
 * has read grant_generation before finds there whether he is concerned.
 */
extern void shared_member_changed(const char *member);
extern void shared_members_changed(void);
extern uint64 shared_member_generation(const char *member);

/* Mark this transaction as one that remembers identities: bumps identity_generation. */
extern void shared_identities_changed(void);

#endif
