/*
 * chain_check.h: walk one chain's blocks and entries from any verified point on.
 *
 * The same code decides for the apply hook (a peer's block arrives), for
 * medchain.verify() (we look at what we have) and for the offline verifier, so
 * that no two of them can disagree about what a valid chain is.
 */
#ifndef MEDCHAIN_CORE_CHAIN_CHECK_H
#define MEDCHAIN_CORE_CHAIN_CHECK_H

#include "core/note.h"
#include "core/tree.h"

typedef enum ChainFault
{
	CHAIN_FINE,
	CHAIN_BAD_NOTE,				/* not a block header at all */
	CHAIN_BAD_NAME,				/* of another alliance or origin */
	CHAIN_BAD_HEIGHT,			/* not the next height */
	CHAIN_BAD_PREVIOUS,			/* does not link to the previous block */
	CHAIN_BAD_SIZE,				/* the tree does not grow to this size with the entries given */
	CHAIN_BAD_ROOT,				/* entries do not hash to this root */
	CHAIN_BAD_SIGNATURE,
	CHAIN_FAILED				/* OpenSSL failed: says nothing about the chain */
} ChainFault;

typedef struct ChainCheck
{
	char		name[NOTE_NAME_MAX + 1];
	int64_t		height;			/* of the last block that was accepted; -1 before the first */
	/* SHA-256 of its note text; before the first, what it must link to */
	uint8_t		head[HASH_LEN];
	TreeRange	range;			/* over all leaves added so far */
} ChainCheck;

/*
 * Before the first block. first_previous: the alliance's genesis hash, or 32 zero bytes for genesis
 * itself.
 */
extern void chain_check_init(ChainCheck *check, const char *name,
							 const uint8_t first_previous[HASH_LEN]);

/* Add the leaf hash of the next entry. False only if OpenSSL fails. */
extern bool chain_check_leaf(ChainCheck *check, const uint8_t leaf_hash[HASH_LEN]);

/*
 * Close the block that the leaves added since the last one belong to.  key may
 * be NULL to leave the signature to somebody else.  On CHAIN_FINE, check
 * stands at this block and *block holds the parsed header; on any other result
 * height and head are unchanged and error->message says what differs.
 */
extern ChainFault chain_check_block(ChainCheck *check, const char *note, size_t len, const Key *key,
									NoteBlock *block, CoreError *error);

/* "bad signature" and so on: a stable word for tables and for people. */
extern const char *chain_fault_name(ChainFault fault);

#endif
