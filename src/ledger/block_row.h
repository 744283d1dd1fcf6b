/*
 * block_row.h: writing the rows of blocks, and of what else the guard triggers keep others from.
 */
#ifndef MEDCHAIN_LEDGER_BLOCK_ROW_H
#define MEDCHAIN_LEDGER_BLOCK_ROW_H

#include "postgres.h"
#include "datatype/timestamp.h"

#include "core/note.h"

/*
 * Set while this process itself moves rows between the ledger's tables: the guard triggers let it.
 */
extern bool ledger_writing;

/*
 * A moment as block headers spell it; false unless it is one of whole milliseconds, in years of
 * four digits.
 */
extern bool block_sealed_text(TimestampTz sealed, char text[NOTE_SEALED_LEN + 1]);

/* What a block carries beside its header; see block_leaves.h and core/kinds_note.h. */
typedef struct BlockCarried
{
	bytea	   *leaves;
	const char *kinds;
	const char *kinds_note;		/* NULL: its author's is not here */
} BlockCarried;

/* Write a verified block; ledger_writing must be set. */
extern void block_insert(const char *origin, const NoteBlock *block,
						 const uint8_t head[HASH_LEN], const char *note,
						 const BlockCarried *carried);

#endif
