/*
 * block_kinds.h: how many entries of each kind a block has, and which of them everybody takes.
 */
#ifndef MEDCHAIN_RULES_BLOCK_KINDS_H
#define MEDCHAIN_RULES_BLOCK_KINDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BLOCK_KINDS_MAX (4 * 1024 * 1024)	/* bytes of the counts as a text */

/*
 * Is it a kind that every member has the payloads of?  The state depends on these, and witness
 * entries say what others have of a chain.
 */
extern bool block_kind_is_governance(const char *kind);

/* Is it one of those that are to be counted? */
typedef bool (*BlockKindWanted) (const char *kind, void *arg);

/*
 * How many entries there are by such a text, {"access": 12, "note": 1}, and how many are wanted;
 * false if it is none.
 */
extern bool block_kinds_count(const char *text, size_t len, BlockKindWanted wanted, void *arg,
							  int64_t *count, int64_t *all);

#endif
