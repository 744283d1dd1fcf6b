/*
 * Items of sets: the bytes that doc/ledger.md has, both ways, and nothing else.
 */
#include "core/row_item.h"
#include "core/tree.h"
#include "tap.h"

static const RowOperation operations[] = {ROW_BASELINE, ROW_INSERT, ROW_UPDATE, ROW_DELETE};
static const char *const words[] = {"baseline", "insert", "update", "delete"};

static RowItem
item_of(RowOperation operation)
{
	RowItem		item = {.operation = operation};

	memset(item.row, 0x11, HASH_LEN);
	memset(item.commitment, 0x22, HASH_LEN);
	memset(item.previous, 0x33, HASH_LEN);
	return item;
}

static void
each_operation(size_t i)
{
	RowItem		item = item_of(operations[i]);
	RowItem		again;
	RowOperation operation;
	uint8_t		bytes[ROW_ITEM_MAX + 1] = {0};
	size_t		len = row_item_write(&item, bytes);
	char		expected[2 * ROW_ITEM_MAX + 1];
	int			at = snprintf(expected, sizeof(expected), "%02x", (unsigned) "BIUD"[i]);

	for (int n = 0; n < HASH_LEN; n++)
		at += snprintf(expected + at, sizeof(expected) - (size_t) at, "11");
	for (int n = 0; n < HASH_LEN && words[i][0] != 'd'; n++)
		at += snprintf(expected + at, sizeof(expected) - (size_t) at, "22");
	for (int n = 0; n < HASH_LEN && (words[i][0] == 'd' || words[i][0] == 'u'); n++)
		at += snprintf(expected + at, sizeof(expected) - (size_t) at, "33");
	is_hex(bytes, len, expected, words[i]);
	is_number((int64_t) row_item_length(bytes[0]), (int64_t) len, "as long as its letter says");
	ok(row_item_read(bytes, len, &again) && again.operation == item.operation &&
	   memcmp(again.row, item.row, HASH_LEN) == 0, "it is read as it was written");
	ok(row_item_has_commitment(operations[i]) == hash_equal(again.commitment, item.commitment) &&
	   row_item_has_previous(operations[i]) == hash_equal(again.previous, item.previous),
	   "with the hashes that it has, and no others");
	ok(!row_item_read(bytes, len - 1, &again) && !row_item_read(bytes, len + 1, &again) &&
	   !row_item_read(bytes, 0, &again), "not if it is shorter or longer");
	is_string(row_item_word(operations[i]), words[i], "its word");
	ok(row_item_operation(words[i], &operation) && operation == operations[i], "and back");
}

int
main(void)
{
	RowOperation operation;
	int			known = 0;
	TreeRange	range;
	uint8_t		root[HASH_LEN];

	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
		each_operation(i);
	for (int letter = 0; letter < 256; letter++)
		known += row_item_length((uint8_t) letter) != 0;
	is_number(known, 4, "no other letter begins an item");
	ok(!row_item_operation("", &operation) && !row_item_operation("truncate", &operation) &&
	   !row_item_operation("Insert", &operation), "nor is there another word");
	ok(row_item_word((RowOperation) 'x') == NULL, "nor a word for another letter");

	/* made by hand, with python3: hashlib.sha256(b'\0' + item), and so on */
	tree_range_init(&range);
	for (size_t i = 0; i < 3; i++)
	{
		RowItem		item = item_of(operations[i + 1]);
		uint8_t		bytes[ROW_ITEM_MAX];
		uint8_t		leaf[HASH_LEN];

		hash_leaf(bytes, row_item_write(&item, bytes), leaf);
		tree_range_append(&range, leaf);
	}
	tree_range_root(&range, root);
	is_hex(root, HASH_LEN, "074d47140a6653fe00c40a7f3c2997935eb58e5008b43fcc2eddecec3e632c49",
		   "root of a set of three");
	return done_testing();
}
