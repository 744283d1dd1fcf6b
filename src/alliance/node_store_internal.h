/*
 * node_store_internal.h: what the files of the node's store share.
 */
#ifndef MEDCHAIN_ALLIANCE_NODE_STORE_INTERNAL_H
#define MEDCHAIN_ALLIANCE_NODE_STORE_INTERNAL_H

#include "postgres.h"

#include "executor/spi.h"
#include "rules/map.h"
#include "rules/memory_store.h"

#include "alliance/node_store.h"

#define STREAMS 4
#define WRITE_ROWS 1000			/* in one statement */

/* Claims that are read one after the other, and not kept. */
typedef struct ClaimStream
{
	Pool	   *pool;			/* NULL: not in use */
	ClaimQuery	query;
	Claim	   *items;
	size_t		count;
	bool		complete;		/* there is none behind */
	uint64		used;			/* when, as a number */
} ClaimStream;

/* A row of state that waits to be written, or removed. */
typedef struct WaitingRow
{
	struct WaitingRow *next;	/* of its table */
	bool		remove;
	StateRow	row;
} WaitingRow;

typedef struct WaitingTrim
{
	struct WaitingTrim *next;
	const char *protocol;
	int64		first;
} WaitingTrim;

typedef struct WaitingClaim
{
	struct WaitingClaim *next;
	const char *origin;
	int64		seq;
	bool		fresh;			/* it is not in the table */
	bool		judged;
	const char *reason;			/* judged: NULL for effective */
} WaitingClaim;

typedef struct WaitingFact
{
	struct WaitingFact *next;
	uint8_t		question[HASH_LEN];
	const char *answer;
} WaitingFact;

/* Up to where the rules know what a chain says about members. */
typedef struct KnownChain
{
	struct KnownChain *next;
	const char *origin;
	int64		seq;
} KnownChain;

struct NodeStore
{
	MemoryContext temp;			/* for the time of one statement */
	bool		write;
	uint32		kinds;

	/* claims about members that the rules know: the newest of each chain */
	Pool	   *known_pool;
	Map		   *known;
	KnownChain *known_list;

	/* what was read */
	Pool	   *pool;			/* of all that is forgotten together */
	MemoryStore *cache;
	Map		   *about;			/* of what there is all: store_complete() */
	Map		   *subject;
	void	   *fresh;			/* what stands there for what the tables have nothing of; NULL: for
								 * nothing yet */
	size_t		bytes;			/* of claims in there */
	const char *fresh_origin;
	int64		fresh_first;
	const char *payload;		/* of the claim that comes next */
	size_t		payload_len;
	ClaimStream streams[STREAMS];
	uint64		clock;

	/* what waits to be written */
	Pool	   *waiting;
	Pool	   *scratch;
	Map		   *claims;
	WaitingClaim *claim_list;
	WaitingClaim **claim_end;
	size_t		nwaiting;		/* of claims and rows */
	bool		loose;			/* one of these was judged, and is not in the cache */
	Map		   *rows;
	WaitingRow *row_list[STATE_TABLES];
	Map		   *trims;
	WaitingTrim *trim_list[STATE_TABLES];
	WaitingFact *facts;
};

/* ----- node_store.c ----- */

extern void store_known(NodeStore *store, const char *origin, int64 seq);

/* May the tables have rows that follow from this protocol? */
extern bool store_has_rows(NodeStore *store, const char *protocol);

/* ----- node_store_stream.c ----- */

/* A claim in what was read ahead; NULL: it is not there. */
extern Claim *stream_find(const ClaimStream *stream, const char *origin, int64 seq);

/* The next claim, as RulesStore's claim_next; it stays until the next call. */
extern bool stream_next(NodeStore *store, const ClaimQuery *query, const Claim *after,
						Claim *claim);

/* ----- node_store_read.c ----- */

/* Claims that all conditions but effective hold for, behind after (or NULL), at most so many. */
extern void store_read(NodeStore *store, const ClaimQuery *query, const Claim *after, int limit,
					   Pool *pool, Claim **items, size_t *count);

/*
 * What is said about each of these (subjects: in hex), one after the other, at most so much of it.
 * bytes: about as much memory as the claim needs.
 */
typedef void (*StoreVisit) (NodeStore *store, const char *key, const Claim *claim, size_t bytes,
							void *state);

extern void store_read_keys(NodeStore *store, bool subjects, const char *const *keys, size_t count,
							int limit, StoreVisit visit, void *state);

/* What a claim says that was too long to be read with the others. */
extern JsonSlice store_claim_body(NodeStore *store, Pool *pool, const char *origin, int64 seq);
extern const char *store_entry_text(NodeStore *store, Pool *pool, const char *origin, int64 seq,
									size_t *len);
extern char *store_fact(NodeStore *store, Pool *pool, const uint8_t question[HASH_LEN]);

/* ----- node_store_concern.c ----- */

/* Tell sessions, when this is committed, of what waits to be written. */
extern void store_concerned(NodeStore *store);

/* ----- node_store_write.c ----- */

/* A claim as it waits, made if need be. */
extern WaitingClaim *store_waiting_claim(NodeStore *store, const char *origin, int64 seq);
extern void store_row(NodeStore *store, const StateRow *row, bool remove);

/* there: the table may have some already. */
extern void store_trim(NodeStore *store, StateTable table, const char *protocol, int64 first,
					   bool there);

extern void store_fact_waits(NodeStore *store, const uint8_t question[HASH_LEN],
							 const char *answer);

/* Write all that waits. */
extern void store_flush(NodeStore *store);

/* ----- node_store_claims.c ----- */

/* The claims that wait, and what became of others. */
extern void store_write_claims(NodeStore *store);

/* At once; the kinds of those that went. */
extern uint32 store_remove_claims(NodeStore *store, const char *origin, int64 first);

#endif
