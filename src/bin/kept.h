/*
 * kept.h: checkpoints that were kept elsewhere, and what is verified has to agree with.
 */
#ifndef MEDCHAIN_BIN_KEPT_H
#define MEDCHAIN_BIN_KEPT_H

#include "report.h"

typedef struct Kept Kept;

/* Parse checkpoint i, and hash its text; false, with an error, if it is none. */
extern bool kept_read(const Options *options, int i, NoteBlock *block, uint8_t hash[HASH_LEN],
					  CoreError *error);

/* All of them; NULL, with an error, if one is none. */
extern Kept *kept_load(const Options *options, CoreError *error);
extern void kept_free(Kept *kept);	/* NULL is fine */

/* Is this a height at which somebody kept a checkpoint?  Then it must be the same block. */
extern bool kept_compare(Kept *kept, const NoteBlock *block, const uint8_t head[HASH_LEN],
						 const Key *key, CoreError *error);

/* The first of which no block has come, or -1. */
extern int	kept_missing(const Kept *kept);
extern const NoteBlock *kept_block(const Kept *kept, int i);

/* What its missing says of the chain; pem: the key of its height, or NULL. */
extern void kept_accuse(const Kept *kept, int i, const char *pem, CoreError *error);

#endif
