/*
 * signers.h: whose key signs which block of an export, by the rules, read out of the chains
 * themselves.
 *
 * Chains come one behind the other, and what the rules say depends on all of them.  So a block is
 * verified with the key that follows from what came before it, and in the end, when everything has
 * come, each of these keys must still be the one.
 */
#ifndef MEDCHAIN_BIN_SIGNERS_H
#define MEDCHAIN_BIN_SIGNERS_H

#include <jansson.h>

#include "rules/rules.h"

typedef struct Signers Signers;

/*
 * anchors: PEM of the user's trust anchors, which the certificates of those who sign must lead to
 * as well as to those of the alliance; or NULL.
 */
extern Signers *signers_new(const char *alliance, const char *data_center, const char *anchors,
							Facts *facts);
extern void signers_free(Signers *signers);

/* A chain begins. False, with an error, if the user's anchors do not accept its certificates. */
extern bool signers_begin(Signers *signers, const char *origin, CoreError *error);

/*
 * The key of the block of that height, on the chain that was begun.  genesis: the first claim of
 * the data centre's first block, which names its key; else NULL.  The key stays until the next
 * call.  NULL, with an error, if there is no key, or no block of that height counts any more.
 */
extern const Key *signers_key(Signers *signers, int64_t height, const Claim *genesis,
							  CoreError *error);

/* A claim of a block that is verified. */
extern void signers_take(Signers *signers, const Claim *claim, Statement *said);

/* The block is verified, has that hash, and its claims were taken. */
extern bool signers_block(Signers *signers, int64_t height, const uint8_t head[HASH_LEN],
						  CoreError *error);

/* All chains have come: is what they were verified with what follows from all of them? */
extern bool signers_end(Signers *signers, CoreError *error);

/* The same as below, with *height below where that key begins: for the one before it. */
extern const char *signers_key_until(const Signers *signers, const char *origin, int64_t *height);

/* The key (PEM) of a height of any chain; NULL: none. */
extern const char *signers_key_of(const Signers *signers, const char *origin, int64_t height);

/* What is proven of forks, added to a list. */
extern void signers_forks(const Signers *signers, json_t *forks);

#endif
