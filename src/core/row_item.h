/*
 * row_item.h: what a set says about one row that a statement has changed, byte by byte.
 *
 * A set is an RFC 6962 tree whose leaves are these bytes (doc/ledger.md): one letter for what was
 * done; the row, a pseudonym; the commitment to what it has become, unless it was deleted; the
 * commitment to what was found, if there was something.
 */
#ifndef MEDCHAIN_CORE_ROW_ITEM_H
#define MEDCHAIN_CORE_ROW_ITEM_H

#include "core/hash.h"

typedef enum RowOperation
{
	ROW_BASELINE = 'B',			/* the row was there when its table came to the ledger */
	ROW_INSERT = 'I',
	ROW_UPDATE = 'U',
	ROW_DELETE = 'D'
} RowOperation;

#define ROW_ITEM_MAX (1 + 3 * HASH_LEN)

typedef struct RowItem
{
	RowOperation operation;
	uint8_t		row[HASH_LEN];
	uint8_t		commitment[HASH_LEN];	/* not of a row that was deleted */
	uint8_t		previous[HASH_LEN]; /* of one that was updated or deleted */
} RowItem;

extern bool row_item_has_commitment(RowOperation operation);
extern bool row_item_has_previous(RowOperation operation);

/* Bytes of an item that begins with this letter; 0: there is none. */
extern size_t row_item_length(uint8_t letter);

/* Returns how many bytes it has written. */
extern size_t row_item_write(const RowItem *item, uint8_t out[ROW_ITEM_MAX]);

/* False unless these are the bytes of one item, and no more. */
extern bool row_item_read(const uint8_t *bytes, size_t len, RowItem *item);

/* "insert"; kinds of entries about single rows have a "row." before it. */
extern const char *row_item_word(RowOperation operation);

/* False if the word is none of them. */
extern bool row_item_operation(const char *word, RowOperation *operation);

#endif
