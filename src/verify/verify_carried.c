/*
 * verify_carried.c: does a block carry what its entries, and its author, say?
 *
 * Where all entries are here, they say it themselves, and only the text of the author's note is
 * compared: a signature more would cost as much as the block's own.
 */
#include "postgres.h"

#include "core/kinds_note.h"
#include "rules/block_kinds.h"
#include "verify/verify_carried.h"

/* A BlockKindWanted: those of governance are here in any case. */
static bool
carried_is_governance(const char *kind, void *arg)
{
	return block_kind_is_governance(kind);
}

/* Does the author say of the kinds what stands there? */
static bool
carried_note_fits(const CarriedBlock *block)
{
	const ChainCheck *check = block->check;
	size_t		len = strlen(block->kinds);

	if (block->absent > 0 && block->key != NULL)
		return kinds_note_valid(block->kinds_note, check->name, check->height, check->head,
								block->kinds, len, block->key);
	return kinds_note_is(block->kinds_note, check->name, check->height, check->head,
						 block->kinds, len);
}

/* Are the entries that are here those that have to be, by the author's word? */
static bool
carried_kinds_fit(const CarriedBlock *block)
{
	char	   *found = block_leaves_kinds(block->found);
	int64_t		wanted;
	int64_t		there;
	int64_t		all;

	if (block->kinds == NULL)
		return false;
	if (block->absent == 0)
		return strcmp(block->kinds, found) == 0;
	return block_kinds_count(found, strlen(found), carried_is_governance, NULL, &there, &all) &&
		block_kinds_count(block->kinds, strlen(block->kinds), carried_is_governance, NULL,
						  &wanted, &all) && there >= wanted;
}

const char *
verify_carried(const CarriedBlock *block)
{
	if (block->leaves == NULL ||
		(block->absent == 0 &&
		 memcmp(block->leaves, block->found->hashes.data, (size_t) block->found->hashes.len) != 0))
		return "leaves";
	if (!carried_kinds_fit(block))
		return "kinds";

	/* of others' blocks that are all here, theirs may have said something else */
	if (block->kinds_note == NULL)
		return block->own || block->absent > 0 ? "kinds_note" : NULL;
	return carried_note_fits(block) ? NULL : "kinds_note";
}
