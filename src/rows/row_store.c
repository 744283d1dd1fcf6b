/*
 * row_store.c: writing the items of sets into medchain.row_set, medchain.row_item and
 * medchain.row_about.
 *
 * Past the tables' triggers, which are there to keep out everybody but us, and without SQL: of a
 * statement that changes a million rows come forty thousand rows of medchain.row_item.
 */
#include "postgres.h"

#include "access/heaptoast.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "commands/sequence.h"
#include "executor/executor.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "compat.h"
#include "node/trusted.h"
#include "rows/row_insert.h"
#include "rows/row_store.h"

/* Columns of medchain.row_set. */
enum
{
	SET_PART, SET_ENTRY, SET_NUMBER, SET_RELATION, SET_BITS, SET_HASHES, SET_ITEMS, SET_SUBJECTS,
	SET_KEYS, SET_COLUMNS
};

/* And of medchain.row_item and medchain.row_about. */
enum
{
	CHUNK_PART, CHUNK_BUCKET, CHUNK_RECORDS, CHUNK_COLUMNS
};

/* What else a row of it takes, at most: header, the other columns, lengths, alignment. */
#define CHUNK_MORE 48

/* ----- records of items, and keys, as they are stored ----- */

/* What is stored of each item in one of the tables. */
typedef struct RecordForm
{
	const char *table;

	/* what it is looked for by begins with; NULL: there is nothing to be stored */
	const uint8_t *(*start) (const RowPart *part, int place);
	int			(*length) (const RowPart *part, int place);
	void		(*add) (StringInfo out, const RowPart *part, int place);
} RecordForm;

static void
store_add_place(StringInfo out, int place)
{
	appendStringInfoCharMacro(out, (char) (place >> 8));
	appendStringInfoCharMacro(out, (char) (place & 0xff));
}

/* Of an item the id of its row comes behind the letter. */
static const uint8_t *
item_start(const RowPart *part, int place)
{
	return (const uint8_t *) part->items + part->items_at[place] + 1;
}

static int
item_length(const RowPart *part, int place)
{
	return ROW_PLACE_LEN + (int) (part->items_at[place + 1] - part->items_at[place]);
}

static void
item_add(StringInfo out, const RowPart *part, int place)
{
	store_add_place(out, place);
	appendBinaryStringInfo(out, part->items + part->items_at[place],
						   item_length(part, place) - ROW_PLACE_LEN);
}

static const RecordForm item_form = {"row_item", item_start, item_length, item_add};

bool
row_store_is_nobody(const char subject[ROW_SUBJECT_LEN])
{
	static const char nobody[ROW_SUBJECT_LEN] = {0};

	return memcmp(subject, nobody, ROW_SUBJECT_LEN) == 0;
}

static const uint8_t *
about_start(const RowPart *part, int place)
{
	const char *subject = part->subjects + (size_t) place * ROW_SUBJECT_LEN;

	return row_store_is_nobody(subject) ? NULL : (const uint8_t *) subject;
}

static int
about_length(const RowPart *part, int place)
{
	return ROW_ABOUT_LEN;
}

static void
about_add(StringInfo out, const RowPart *part, int place)
{
	store_add_place(out, place);
	appendBinaryStringInfo(out, (const char *) item_start(part, place), ROW_START_LEN);
	appendBinaryStringInfo(out, part->subjects + (size_t) place * ROW_SUBJECT_LEN,
						   ROW_SUBJECT_LEN);
}

static const RecordForm about_form = {"row_about", about_start, about_length, about_add};

/* All records, in the order of the items. */
static Datum
store_records(const RowPart *part, const RecordForm *form)
{
	StringInfoData out;

	initStringInfo(&out);
	for (int i = 0; i < part->nitems; i++)
		if (form->start(part, i) != NULL)
			form->add(&out, part, i);
	return trusted_bytea(out.data, (size_t) out.len);
}

static Datum
store_keys(const RowPart *part)
{
	StringInfoData out;

	initStringInfo(&out);
	for (int i = 0; i < part->nitems; i++)
	{
		const char *key = part->keys + part->keys_at[i];
		int			len = (int) (part->keys_at[i + 1] - part->keys_at[i]);

		if (len > ROW_KEY_MAX)
			len = pg_mbcliplen(key, len, ROW_KEY_MAX);
		appendStringInfoCharMacro(&out, (char) len);
		appendBinaryStringInfo(&out, key, len);
	}
	return trusted_bytea(out.data, (size_t) out.len);
}

/* ----- parts ----- */

int
row_store_bucket(const uint8_t start[ROW_START_LEN], int bits)
{
	return (start[0] << 8 | start[1]) >> (16 - bits);
}

/* Places of the items by their buckets; where each bucket ends is in ends. */
static int *
part_sort(const RowPart *part, const RecordForm *form, int bits, int *ends)
{
	int		   *places = palloc(sizeof(int) * (size_t) part->nitems);
	int			sum = 0;

	for (int i = 0; i < part->nitems; i++)
	{
		const uint8_t *start = form->start(part, i);

		if (start != NULL)
			ends[row_store_bucket(start, bits)]++;
	}
	for (int bucket = 0; bucket < 1 << bits; bucket++)
	{
		int			count = ends[bucket];

		ends[bucket] = sum;
		sum += count;
	}
	for (int i = 0; i < part->nitems; i++)
	{
		const uint8_t *start = form->start(part, i);

		if (start != NULL)
			places[ends[row_store_bucket(start, bits)]++] = i;
	}
	return places;
}

static void
part_write_bucket(RowInsert *store, StringInfo records, const RowPart *part, const RecordForm *form,
				  int64 id, int bucket, const int *places, int count)
{
	for (int i = 0; i < count;)
	{
		TupleTableSlot *row = row_insert_row(store);
		MemoryContext old;

		resetStringInfo(records);
		do
			form->add(records, part, places[i++]);
		while (i < count && records->len + form->length(part, places[i]) <=
			   TOAST_TUPLE_THRESHOLD - CHUNK_MORE);
		memset(row->tts_isnull, false, CHUNK_COLUMNS * sizeof(bool));
		row->tts_values[CHUNK_PART] = Int64GetDatum(id);
		row->tts_values[CHUNK_BUCKET] = Int32GetDatum(bucket);
		old = MemoryContextSwitchTo(store->context);
		row->tts_values[CHUNK_RECORDS] = trusted_bytea(records->data, (size_t) records->len);
		MemoryContextSwitchTo(old);
		row_insert_done(store);
	}
}

static void
part_write_buckets(const RowPart *part, const RecordForm *form, int64 id, int bits)
{
	RowInsert	store;
	StringInfoData records;
	int		   *ends = palloc0(sizeof(int) * ((size_t) 1 << bits));
	int		   *places = part_sort(part, form, bits, ends);
	int			first = 0;

	initStringInfo(&records);
	row_insert_open(&store, form->table);
	for (int bucket = 0; bucket < 1 << bits; bucket++)
	{
		CHECK_FOR_INTERRUPTS();
		part_write_bucket(&store, &records, part, form, id, bucket, places + first,
						  ends[bucket] - first);
		first = ends[bucket];
	}
	row_insert_close(&store);
}

void
row_store_part(const RowPart *part)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "medchain row part",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	int64		id = nextval_internal(get_relname_relid("row_set_part_seq",
													get_namespace_oid("medchain", false)), false);
	int			bits = 0;
	RowInsert	store;
	TupleTableSlot *row;

	while (part->nitems >> bits > ROW_BUCKET_ITEMS)
		bits++;
	row_insert_open(&store, "row_set");
	row = row_insert_row(&store);
	memset(row->tts_isnull, false, SET_COLUMNS * sizeof(bool));
	row->tts_values[SET_PART] = Int64GetDatum(id);
	row->tts_values[SET_ENTRY] = UUIDPGetDatum(&part->entry);
	row->tts_values[SET_NUMBER] = Int32GetDatum(part->number);
	row->tts_values[SET_RELATION] = CStringGetTextDatum(part->relation);
	row->tts_values[SET_HASHES] = trusted_bytea(part->hashes, (size_t) part->hashes_len);
	row->tts_values[SET_BITS] = Int32GetDatum(bits);
	row->tts_isnull[SET_BITS] = part->few;
	row->tts_isnull[SET_ITEMS] = !part->few;
	if (part->few)
		row->tts_values[SET_ITEMS] = store_records(part, &item_form);
	row->tts_isnull[SET_SUBJECTS] = part->subjects == NULL;
	if (part->subjects != NULL)
		row->tts_values[SET_SUBJECTS] = part->few ? store_records(part, &about_form) :
			trusted_bytea("", 0);
	row->tts_isnull[SET_KEYS] = part->keys_at[part->nitems] == 0;
	if (part->keys_at[part->nitems] > 0)
		row->tts_values[SET_KEYS] = store_keys(part);
	row_insert_done(&store);
	row_insert_close(&store);
	if (!part->few)
		part_write_buckets(part, &item_form, id, bits);
	if (!part->few && part->subjects != NULL)
		part_write_buckets(part, &about_form, id, bits);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}
