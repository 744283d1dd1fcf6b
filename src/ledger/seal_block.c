/*
 * seal_block.c: signing the block that closes over some entries, and writing it.
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "core/kinds_note.h"
#include "ledger/seal_block.h"

/* What the block carries that check stands at. */
static void
seal_carried(const ChainCheck *check, const BlockLeaves *leaves, const Key *key,
			 BlockCarried *carried, char note[NOTE_SIGNED_MAX + 1])
{
	char text[	KINDS_NOTE_TEXT_MAX];
	CoreError	error = {0};
	size_t		len;

	carried->leaves = block_leaves_bytes(leaves);
	carried->kinds = block_leaves_kinds(leaves);
	len = kinds_note_text(check->name, check->height, check->head, carried->kinds,
						  strlen(carried->kinds), text);
	if (len > 0)
		len = note_sign(text, len, check->name, key, note, &error);
	if (len == 0)
		ereport(ERROR,
				(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
				 errmsg("could not sign what block %lld has: %s", (long long) check->height,
						error.message)));
	note[len] = '\0';
	carried->kinds_note = note;
}

void
seal_block(const LocalNode *node, ChainCheck *check, BlockLeaves *leaves, const Key *key)
{
	TimestampTz now = GetCurrentTimestamp();
	NoteBlock	block = {0};
	NoteBlock	written;
	char text[	NOTE_TEXT_MAX];
	char		note[NOTE_SIGNED_MAX + 1];
	char		kinds_note[NOTE_SIGNED_MAX + 1];
	BlockCarried carried;
	size_t		len;
	CoreError	error = {0};

	strlcpy(block.name, check->name, sizeof(block.name));
	block.size = check->range.size;
	block.height = (uint64) (check->height + 1);
	memcpy(block.previous, check->head, HASH_LEN);
	if (!block_sealed_text(now - now % 1000, block.sealed))
		elog(ERROR, "timestamp out of range");
	if (!tree_range_root(&check->range, block.root))
		elog(ERROR, "could not compute SHA-256");
	len = note_format_block(&block, text);
	if (len > 0)
		len = note_sign(text, len, check->name, key, note, &error);
	if (len == 0)
		ereport(ERROR,
				(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
				 errmsg("could not sign block %llu: %s", (unsigned long long) block.height,
						error.message)));
	note[len] = '\0';

	/* Nothing leaves this process that it would not accept from a peer. */
	if (chain_check_block(check, note, len, key, &written, &error) != CHAIN_FINE)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("block %llu does not verify: %s", (unsigned long long) block.height,
						error.message)));
	seal_carried(check, leaves, key, &carried, kinds_note);
	block_insert(node->node, &written, check->head, note, &carried);
	block_leaves_reset(leaves);
}
