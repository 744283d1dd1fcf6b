/*
 * chain.h: the verified frontier of each chain, and moving it forward.
 *
 * medchain.entry and medchain.block hold verified content only.  What a peer
 * sends waits in medchain.held_entry and medchain.held_block until it is
 * complete, linked and signed; then chain_advance() moves it over, in order, and
 * has it folded into the state.  What is provably wrong goes to
 * medchain.quarantine.  medchain.chain has one row per origin: height, size,
 * head and the compact range to continue from.
 *
 * The keeper alone calls chain_advance(), in transactions of its own.  An apply worker must not:
 * how long its transactions last, and with them their locks, is up to the peer.
 */
#ifndef MEDCHAIN_LEDGER_CHAIN_H
#define MEDCHAIN_LEDGER_CHAIN_H

#include "postgres.h"
#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "core/chain_check.h"

/* This database as a node; from medchain.local_node. */
typedef struct LocalNode
{
	char	   *alliance;
	char	   *node;
	char	   *data_center;
	char	   *genesis_key;	/* PEM of the key that signed genesis */
	bool		at_home;		/* this database is the node, and no copy of it: see home.h */
	bool		has_genesis;
	uint8_t		genesis_hash[HASH_LEN];
} LocalNode;

/*
 * False if this database has not founded or joined an alliance. Needs a trusted scope; palloc'd in
 * the caller's context.
 */
extern bool chain_local_node(LocalNode *node);

/* The same; raises object_not_in_prerequisite_state instead. */
extern void chain_require_node(LocalNode *node);

/* The state of a chain before its first block. */
extern void chain_start(const LocalNode *node, const char *origin, ChainCheck *check);

typedef enum ChainLoad
{
	CHAIN_LOCK,					/* the newest version, locked: to move it forward */
	CHAIN_LOCK_NOWAIT,			/* the same, or an ERROR if somebody else has locked it */
	CHAIN_SNAPSHOT				/* as the active snapshot sees it */
} ChainLoad;

/*
 * The frontier of a chain, or the state before its first block; false if the row of medchain.chain
 * makes no sense.
 */
extern bool chain_read(const LocalNode *node, const char *origin, ChainLoad mode,
					   ChainCheck *check);

/* The same, with an ERROR instead. */
extern void chain_load(const LocalNode *node, const char *origin, ChainLoad mode,
					   ChainCheck *check);
extern void chain_store(const LocalNode *node, const char *origin, const ChainCheck *check);

/* A key of a chain: it signs from this height on, up to the next one's. */
typedef struct ChainKey
{
	int64		from_height;
	char	   *pem;
	bool		named;			/* the data centre named the block before: */
	uint8_t		follows[HASH_LEN];
} ChainKey;

/* What the ledger says about a chain as such. */
typedef struct ChainTerms
{
	List	   *keys;			/* of ChainKey, by height; NIL: not configured (yet) */
	int64		last_height;	/* the last block that counts; PG_INT64_MAX: open */
	bool		last_named;
	uint8_t		last_hash[HASH_LEN];
} ChainTerms;

/* palloc'd.  Needs a trusted scope. */
extern void chain_terms(const LocalNode *node, const char *origin, ChainTerms *terms);

/* The key of this height; NULL: not configured. */
extern const ChainKey *chain_terms_key(const ChainTerms *terms, int64 height);

/* The hash that the block of this height has to have by the data centre's word, or NULL. */
extern const uint8_t *chain_terms_hash(const ChainTerms *terms, int64 height);

/* The reason in medchain.quarantine of blocks that were part of the ledger once. */
#define CHAIN_TAKEN_BACK "signed with a key that was replaced"

/*
 * The data centre gave the chain a new key from a height on, and here it has blocks from there on
 * that are signed with the old one: take them back (chain_cut.c).  Returns whether it did; check is
 * loaded anew then.
 */
extern bool chain_cut_superseded(const LocalNode *node, const char *origin, const ChainTerms *terms,
								 ChainCheck *check);

/*
 * Hold again what was refused at this height for the key we knew then, if it is signed with the one
 * we know now.
 */
extern bool chain_reconsider(const LocalNode *node, const char *origin, const ChainTerms *terms,
							 int64 height);

/*
 * Accept held blocks of origin while the next one is there, or until so many entries have become
 * part of the ledger: as many are one transaction's work.  Needs a trusted scope in a transaction
 * that has done nothing else.  True: there may be more to do.
 */
extern bool chain_advance(const char *origin, int64 enough);

/*
 * What can be said against a block the moment it arrives, before its turn: not a block header, of
 * another chain or height, or not signed by the configured key.  NULL if nothing; otherwise a
 * reason, and *detail palloc'd.
 */
extern const char *chain_screen(const LocalNode *node, const char *origin, int64 height,
								const char *note, char **detail);

/* Has the note a valid signature of the key that the chain has at this height, as we know it? */
extern bool chain_signed(const LocalNode *node, const char *origin, int64 height,
						 const char *note);

/*
 * A moment as block headers spell it; false unless it is one of whole milliseconds, in years of
 * four digits.
 */
extern bool chain_sealed_text(TimestampTz sealed, char text[NOTE_SEALED_LEN + 1]);

/* Write a verified block; chain_writing must be set. */
extern void chain_insert_block(const char *origin, const NoteBlock *block,
							   const uint8_t head[HASH_LEN],
							   const char *note);

/* A bytea of these bytes, palloc'd. */
extern Datum chain_bytea(const void *data, size_t len);

/*
 * Set while this process itself moves rows between the ledger's tables: the guard triggers let it.
 */
extern bool chain_writing;

#endif
