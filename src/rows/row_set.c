/*
 * row_set.c: gathering changes of rows, and what becomes of them.
 *
 * Held in memory are the first ROW_SET_MIN - 1 of them, or the part that is being filled; and of
 * the trees their compact ranges, and one hash for each 256 items of the part.  From SET_MANY on
 * another process may hash them: then the last items are on their way, and so is the tree.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "core/encode.h"
#include "core/tree.h"
#include "ledger/append.h"
#include "ledger/pseudonym.h"
#include "node/trusted.h"
#include "rows/row_hasher.h"
#include "rows/row_set.h"
#include "rows/row_store.h"
#include "rows/row_subject.h"

#define SET_MANY 2048			/* from so many on, more are likely to come */

struct RowSet
{
	MemoryContext context;
	Oid			root;
	const char *relation;		/* as the ledger calls it */
	bool		keyless;
	int			version;
	int64		count;
	bool		has_subjects;	/* the table's rows are about somebody */
	char	   *identities[ROW_SET_MIN - 1];	/* of the first ones; NULL: of nobody */

	/* the part that is being filled */
	int			nitems;
	int			room;			/* for so many */
	int			nplaced;		/* so many are in items; the others are at the hasher */
	StringInfoData items;
	StringInfoData keys;
	uint32	   *items_at;
	uint32	   *keys_at;

	RowHasher  *hasher;			/* or NULL */

	/* when they are as many as make a set */
	pg_uuid_t	entry;
	TreeRange  *tree;
	StringInfoData hashes;
	RowSubjects *subjects;		/* all these if the rows are about somebody */
	StringInfoData subjects_of; /* each item of the part */
	TreeRange  *subjects_tree;	/* of all parts before */
};

RowSet *
row_set_open(const RowTable *table, MemoryContext parent)
{
	MemoryContext context;
	MemoryContext old;
	RowSet	   *set;

	append_require();
	context = AllocSetContextCreate(parent, "medchain row set", ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(context);
	set = palloc0(sizeof(RowSet));
	set->context = context;
	set->root = table->root;
	set->relation = pstrdup(table->name);
	set->keyless = table->keyless;
	set->version = table->version;
	set->has_subjects = table->subject != 0;
	set->room = ROW_SET_MIN;
	set->items_at = palloc0(sizeof(uint32) * (ROW_SET_MIN + 1));
	set->keys_at = palloc0(sizeof(uint32) * (ROW_SET_MIN + 1));
	initStringInfo(&set->items);
	initStringInfo(&set->keys);
	MemoryContextSwitchTo(old);
	return set;
}

void
row_set_free(RowSet *set)
{
	MemoryContextDelete(set->context);
}

static RowOperation
set_operation(const RowSet *set, int place)
{
	return (RowOperation) set->items.data[set->items_at[place]];
}

/* ----- as many as make a set ----- */

static void
set_hash_item(RowSet *set, int place)
{
	uint8_t		leaf[HASH_LEN];

	if (!hash_leaf(set->items.data + set->items_at[place],
				   set->items_at[place + 1] - set->items_at[place], leaf) ||
		!tree_range_append(set->tree, leaf))
		elog(ERROR, "could not compute SHA-256");
	if (set->tree->ncompleted > 0)
		appendBinaryStringInfo(&set->hashes, (char *) set->tree->completed[0], HASH_LEN);
}

static void
set_add_subject(RowSet *set, RowOperation operation, const char *identity)
{
	static const char nobody[ROW_SUBJECT_LEN] = {0};
	const void *subject = nobody;

	if (identity != NULL)
		subject = row_subjects_pseudonym(set->subjects, identity,
										 !row_item_has_previous(operation));
	appendBinaryStringInfo(&set->subjects_of, subject, ROW_SUBJECT_LEN);
}

/* The last one below the threshold has come: from now on it is a set. */
static void
set_begin(RowSet *set)
{
	MemoryContext old = MemoryContextSwitchTo(set->context);

	append_new_id(&set->entry);
	set->tree = palloc(sizeof(TreeRange));
	tree_range_init(set->tree);
	initStringInfo(&set->hashes);
	if (set->has_subjects)
	{
		set->subjects = row_subjects_begin(set->context);
		initStringInfo(&set->subjects_of);
		set->subjects_tree = palloc(sizeof(TreeRange));
		tree_range_init(set->subjects_tree);
	}
	MemoryContextSwitchTo(old);
	for (int i = 0; i < set->nitems; i++)
		set_hash_item(set, i);
	for (int i = 0; i < ROW_SET_MIN - 1 && set->has_subjects; i++)
		set_add_subject(set, set_operation(set, i), set->identities[i]);
}

/* Another part of the subjects' tree. */
static void
set_hash_subjects(const RowSet *set, TreeRange *tree)
{
	uint8_t		leaf[HASH_LEN];

	if (!hash_leaf(set->subjects_of.data, (size_t) set->subjects_of.len, leaf) ||
		!tree_range_append(tree, leaf))
		elog(ERROR, "could not compute SHA-256");
}

/* All items are there. */
static void
set_settle(RowSet *set)
{
	if (set->hasher == NULL)
		return;
	row_hasher_settle(set->hasher, set->tree);
	while (set->nplaced < set->nitems && set->items_at[set->nplaced] < (uint32) set->items.len)
	{
		uint32		at = set->items_at[set->nplaced++];

		set->items_at[set->nplaced] = at +
			(uint32) row_item_length((uint8_t) set->items.data[at]);
	}
	if (set->nplaced < set->nitems || set->items_at[set->nitems] != (uint32) set->items.len)
		elog(ERROR, "items of rows were lost");
}

/* Store the items that are in memory. */
static void
set_store(RowSet *set)
{
	RowPart		part = {
		.relation = set->relation, .entry = set->entry,
		.number = (int) ((set->count - 1) / ROW_PART_ITEMS), .nitems = set->nitems,
		.items_at = set->items_at,
		.keys = set->keys.data, .keys_at = set->keys_at,
		.subjects = set->has_subjects ? set->subjects_of.data : NULL,
		.few = set->count < ROW_FEW_ITEMS
	};

	set_settle(set);
	part.items = set->items.data;
	part.hashes = set->hashes.data;
	part.hashes_len = set->hashes.len;
	row_store_part(&part);
}

/* ----- what comes ----- */

static void
set_more_room(RowSet *set)
{
	set->room = Min(ROW_PART_ITEMS, set->room * 4);
	set->items_at = repalloc(set->items_at, sizeof(uint32) * (size_t) (set->room + 1));
	set->keys_at = repalloc(set->keys_at, sizeof(uint32) * (size_t) (set->room + 1));
}

/* The key of a row that is new to the ledger, for people; of a single one all of it. */
static void
set_add_key(RowSet *set, const char *key)
{
	int			len = (int) strlen(key);

	if (set->count >= ROW_SET_MIN - 1 && len > ROW_KEY_MAX)
		len = pg_mbcliplen(key, len, ROW_KEY_MAX);
	appendBinaryStringInfo(&set->keys, key, len);
}

/* Its item is there. */
static void
set_add_item(RowSet *set, const RowChange *change)
{
	uint8_t		bytes[ROW_ITEM_MAX];

	appendBinaryStringInfo(&set->items, (char *) bytes, (int) row_change_item(change, bytes));
	set->items_at[++set->nplaced] = (uint32) set->items.len;
	if (set->count > ROW_SET_MIN)
		set_hash_item(set, set->nitems - 1);
}

void
row_set_add(RowSet *set, const RowChange *change)
{
	if (set->nitems == ROW_PART_ITEMS)
	{
		set_store(set);
		if (set->has_subjects)
		{
			set_hash_subjects(set, set->subjects_tree);
			resetStringInfo(&set->subjects_of);
		}
		set->nitems = 0;
		set->nplaced = 0;
		resetStringInfo(&set->items);
		resetStringInfo(&set->keys);
		resetStringInfo(&set->hashes);
	}
	else if (set->nitems == set->room)
		set_more_room(set);
	if (set->count == SET_MANY)
		set->hasher = row_hasher_start(change->table, &set->items, &set->hashes, set->context);
	if (change->key_text != NULL)
		set_add_key(set, change->key_text);
	if (set->count < ROW_SET_MIN - 1)
		set->identities[set->count] = change->identity == NULL ? NULL :
			MemoryContextStrdup(set->context, change->identity);
	set->count++;
	set->nitems++;
	set->keys_at[set->nitems] = (uint32) set->keys.len;
	if (set->hasher != NULL && row_hasher_takes_over(set->hasher, set->tree))
		row_hasher_add(set->hasher, change);
	else
		set_add_item(set, change);
	if (set->count == ROW_SET_MIN)
		set_begin(set);
	if (set->has_subjects && set->count >= ROW_SET_MIN)
		set_add_subject(set, change->operation, change->identity);
}

/* ----- what becomes of it ----- */

/*
 * Which key the id of a new row stands for.  The table has neither index nor trigger, and no use
 * for the executor.
 */
static void
set_remember_key(const RowSet *set, const RowItem *item, int place)
{
	Relation	keys = table_open(get_relname_relid("row_key",
										 get_namespace_oid("medchain", false)), RowExclusiveLock);
	Datum		values[3];
	bool		nulls[3] = {false};

	values[0] = ObjectIdGetDatum(set->root);
	values[1] = trusted_bytea(item->row, HASH_LEN);
	values[2] = PointerGetDatum(cstring_to_text_with_len(set->keys.data + set->keys_at[place],
										  (int) (set->keys_at[place + 1] - set->keys_at[place])));
	simple_heap_insert(keys, heap_form_tuple(RelationGetDescr(keys), values, nulls));
	table_close(keys, NoLock);
}

static void
set_hex(StringInfo body, const char *name, const uint8_t hash[HASH_LEN])
{
	char		hex[ENCODE_HEX_SIZE(HASH_LEN)];

	encode_hex(hash, HASH_LEN, hex);
	appendStringInfoString(body, ",\"");
	appendStringInfoString(body, name);
	appendStringInfoString(body, "\":\"");
	appendBinaryStringInfo(body, hex, 2 * HASH_LEN);
	appendStringInfoChar(body, '"');
}

/* An entry about one row alone. */
static void
set_append_single(const RowSet *set, int place)
{
	char		kind[NAMEDATALEN];
	StringInfoData body;
	RowItem		item;
	uint8_t		pseudonym[HASH_LEN];
	const char *identity = set->identities[place];

	if (!row_item_read((uint8_t *) set->items.data + set->items_at[place],
					   set->items_at[place + 1] - set->items_at[place], &item))
		elog(ERROR, "item %d is none", place);
	if (identity != NULL)
		pseudonym_of(identity, strlen(identity), pseudonym);
	if (!row_item_has_previous(item.operation))
	{
		if (!set->keyless)
			set_remember_key(set, &item, place);
		if (identity != NULL)
			row_subject_remember(identity, pseudonym);
	}
	initStringInfo(&body);
	appendStringInfoString(&body, "{\"relation\":");
	escape_json(&body, set->relation);
	set_hex(&body, "row", item.row);
	appendStringInfo(&body, ",\"version\":%d", set->version);
	if (row_item_has_commitment(item.operation))
		set_hex(&body, "commitment", item.commitment);
	if (row_item_has_previous(item.operation))
		set_hex(&body, "previous", item.previous);
	appendStringInfoChar(&body, '}');
	snprintf(kind, sizeof(kind), "row.%s", row_item_word(item.operation));
	append_own_entry(kind, body.data, identity ? pseudonym : NULL, NULL);
}

/* One about all of them. */
static void
set_append_whole(RowSet *set)
{
	StringInfoData body;
	uint8_t		root[HASH_LEN];

	set_store(set);
	if (!tree_range_root(set->tree, root))
		elog(ERROR, "could not compute SHA-256");
	initStringInfo(&body);
	appendStringInfoString(&body, "{\"relation\":");
	escape_json(&body, set->relation);
	appendStringInfo(&body, ",\"version\":%d,\"number\":" INT64_FORMAT, set->version, set->count);
	set_hex(&body, "root", root);
	if (set->has_subjects)
	{
		TreeRange	tree = *set->subjects_tree;

		row_subjects_remember(set->subjects);
		set_hash_subjects(set, &tree);
		if (!tree_range_root(&tree, root))
			elog(ERROR, "could not compute SHA-256");
		set_hex(&body, "subjects", root);
	}
	appendStringInfoChar(&body, '}');
	append_own_entry("row.set", body.data, NULL, &set->entry);
}

void
row_set_append(RowSet *set)
{
	MemoryContext context = AllocSetContextCreate(set->context, "medchain row entries",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);

	if (set->count >= ROW_SET_MIN)
		set_append_whole(set);
	else
		for (int i = 0; i < (int) set->count; i++)
			set_append_single(set, i);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}
