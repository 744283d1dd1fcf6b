/*
 * row_change.c: what a set, or an entry, is going to say of one row, while it has to be kept.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "rows/row_change.h"

void
row_change_of(const RowTable *table, RowOperation operation, RowImage *now, RowImage *was,
			  RowChange *change)
{
	const RowImage *row = now ? now : was;

	change->table = table;
	change->operation = operation;
	change->now = now;
	change->was = was;
	change->id = row->id;
	change->commitment = row_item_has_commitment(operation) ? now->commitment : NULL;
	change->previous = row_item_has_previous(operation) ? was->commitment : NULL;
	/* where there is no key, it would be what the row says */
	change->key_text = change->previous == NULL && !table->keyless ? row->key_text : NULL;
	change->identity = row->identity;
}

void
row_change_hash(const RowChange *change)
{
	if (change->was != NULL)
		row_image_hash(change->table, NULL, change->was);
	if (change->now != NULL)
		row_image_hash(change->table, change->was, change->now);
}

size_t
row_change_item(const RowChange *change, uint8_t out[ROW_ITEM_MAX])
{
	RowItem		item = {.operation = change->operation};

	row_change_hash(change);
	memcpy(item.row, change->id, HASH_LEN);
	if (change->commitment != NULL)
		memcpy(item.commitment, change->commitment, HASH_LEN);
	if (change->previous != NULL)
		memcpy(item.previous, change->previous, HASH_LEN);
	return row_item_write(&item, out);
}

/* Returns where it is now; *at: where the next one can be. */
static const void *
change_copy_bytes(char **at, const void *bytes, size_t len)
{
	char	   *copy = *at;

	if (bytes == NULL)
		return NULL;
	memcpy(copy, bytes, len);
	*at += len;
	return copy;
}

RowChange *
row_change_copy(const RowChange *change, MemoryContext context)
{
	size_t		key_len = change->key_text == NULL ? 0 : strlen(change->key_text) + 1;
	size_t		identity_len = change->identity == NULL ? 0 : strlen(change->identity) + 1;
	RowChange  *copy = MemoryContextAlloc(context, sizeof(RowChange) + 3 * HASH_LEN + key_len +
										  identity_len);
	char	   *at = (char *) (copy + 1);

	row_change_hash(change);
	*copy = *change;
	copy->now = NULL;
	copy->was = NULL;
	copy->id = change_copy_bytes(&at, change->id, HASH_LEN);
	copy->commitment = change_copy_bytes(&at, change->commitment, HASH_LEN);
	copy->previous = change_copy_bytes(&at, change->previous, HASH_LEN);
	copy->key_text = change_copy_bytes(&at, change->key_text, key_len);
	copy->identity = change_copy_bytes(&at, change->identity, identity_len);
	return copy;
}
