/*
 * row_item.c: the bytes of an item of a set.
 */
#include <string.h>

#include "core/row_item.h"

static const struct
{
	RowOperation operation;
	const char *word;
}			operations[] = {
	{ROW_BASELINE, "baseline"},
	{ROW_INSERT, "insert"},
	{ROW_UPDATE, "update"},
	{ROW_DELETE, "delete"}
};

#define OPERATIONS (sizeof(operations) / sizeof(operations[0]))

bool
row_item_has_commitment(RowOperation operation)
{
	return operation != ROW_DELETE;
}

bool
row_item_has_previous(RowOperation operation)
{
	return operation == ROW_UPDATE || operation == ROW_DELETE;
}

size_t
row_item_length(uint8_t letter)
{
	switch (letter)
	{
		case ROW_BASELINE:
		case ROW_INSERT:
		case ROW_DELETE:
			return 1 + 2 * HASH_LEN;
		case ROW_UPDATE:
			return 1 + 3 * HASH_LEN;
		default:
			return 0;
	}
}

size_t
row_item_write(const RowItem *item, uint8_t out[ROW_ITEM_MAX])
{
	uint8_t    *at = out;

	*at++ = (uint8_t) item->operation;
	memcpy(at, item->row, HASH_LEN);
	at += HASH_LEN;
	if (row_item_has_commitment(item->operation))
	{
		memcpy(at, item->commitment, HASH_LEN);
		at += HASH_LEN;
	}
	if (row_item_has_previous(item->operation))
	{
		memcpy(at, item->previous, HASH_LEN);
		at += HASH_LEN;
	}
	return (size_t) (at - out);
}

bool
row_item_read(const uint8_t *bytes, size_t len, RowItem *item)
{
	const uint8_t *at = bytes + 1;

	if (len == 0 || row_item_length(bytes[0]) != len)
		return false;
	memset(item, 0, sizeof(*item));
	item->operation = (RowOperation) bytes[0];
	memcpy(item->row, at, HASH_LEN);
	at += HASH_LEN;
	if (row_item_has_commitment(item->operation))
	{
		memcpy(item->commitment, at, HASH_LEN);
		at += HASH_LEN;
	}
	if (row_item_has_previous(item->operation))
		memcpy(item->previous, at, HASH_LEN);
	return true;
}

const char *
row_item_word(RowOperation operation)
{
	for (size_t i = 0; i < OPERATIONS; i++)
		if (operations[i].operation == operation)
			return operations[i].word;
	return NULL;
}

bool
row_item_operation(const char *word, RowOperation *operation)
{
	for (size_t i = 0; i < OPERATIONS; i++)
		if (strcmp(operations[i].word, word) == 0)
		{
			*operation = operations[i].operation;
			return true;
		}
	return false;
}
