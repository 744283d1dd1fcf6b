/*
 * verify_checkpoint.h: what is known about a chain from elsewhere or from before, and what of it a
 * verification keeps.
 *
 * Whoever owns a database can cut off its newest blocks, or replace the whole of it by an older
 * copy, and what is left is in order.  Only a checkpoint that was kept outside shows it.
 */
#ifndef MEDCHAIN_VERIFY_VERIFY_CHECKPOINT_H
#define MEDCHAIN_VERIFY_VERIFY_CHECKPOINT_H

#include "postgres.h"
#include "nodes/pg_list.h"
#include "utils/array.h"
#include "ledger/local_node.h"
#include "verify/verify_job.h"

typedef struct Checkpoint
{
	const char *origin;
	const char *note;
	NoteBlock	block;
	uint8_t		hash[HASH_LEN]; /* of the note's text */
} Checkpoint;

/*
 * Signed notes, as medchain.checkpoint() gave them somewhere.  ERROR for what is none, or of
 * another alliance, or, where only is given, of another chain.
 */
extern List *checkpoint_parse(ArrayType *notes, const LocalNode *node, const char *only);

/* The origins of these, as text[]. */
extern Datum checkpoint_origins(const List *checkpoints);

/* Is the chain the one that these are of?  Reports to the job. */
extern void checkpoint_compare(VerifyJob *job, int number, const VerifyChain *chain,
							   const List *checkpoints);

/* The same for the block up to which the chain was verified last. */
/* What the data centre named: the last block before a new key, or the last one that counts. */
extern void checkpoint_compare_named(VerifyJob *job, int number, const VerifyChain *chain);

extern void checkpoint_compare_remembered(VerifyJob *job, int number, const VerifyChain *chain);

/* Height up to which the chain was verified, all of it and without a fault; -1: never. */
extern int64 checkpoint_remembered_height(const char *origin);

/* Height of the last block there is; -1: none. */
extern int64 checkpoint_newest_height(const char *origin);

/* All is well up to here. */
extern void checkpoint_remember(const VerifyChain *chain, const ChainCheck *end);

#endif
