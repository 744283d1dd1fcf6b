/*
 * read_store.c: writing the subjects of an access, as the audit worker does.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "port/pg_bswap.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "access/read_store.h"
#include "compat.h"
#include "core/hash.h"
#include "node/trusted.h"
#include "rows/row_insert.h"

#define STORE_FEW 1024			/* up to so many are in one row */
#define STORE_BUCKET 64			/* in each bucket, about */
#define STORE_BITS_MAX 24

/* Columns of medchain.read_set, and of medchain.read_item. */
enum
{
	SET_ENTRY, SET_NUMBER, SET_BITS, SET_WIDTH, SET_SUBJECTS, SET_COLUMNS
};
enum
{
	ITEM_ENTRY, ITEM_BUCKET, ITEM_PLACE, ITEM_SUBJECTS, ITEM_COLUMNS
};

static uint64
store_start(const uint8 *subject)
{
	uint64		start;

	memcpy(&start, subject, sizeof(start));
	return pg_ntoh64(start);
}

static int32
store_bucket(const uint8 *subject, int bits)
{
	return bits == 0 ? 0 : (int32) (store_start(subject) >> (64 - bits));
}

static void
store_buckets(const pg_uuid_t *entry, const uint8 *subjects, uint32 count, Size width, int bits)
{
	RowInsert	insert;
	uint32		from = 0;

	row_insert_open(&insert, "read_item");
	while (from < count)
	{
		int32		bucket = store_bucket(subjects + (Size) from * width, bits);
		uint32		to = from + 1;
		TupleTableSlot *row = row_insert_row(&insert);

		while (to < count && store_bucket(subjects + (Size) to * width, bits) == bucket)
			to++;
		memset(row->tts_isnull, false, ITEM_COLUMNS * sizeof(bool));
		row->tts_values[ITEM_ENTRY] = UUIDPGetDatum(entry);
		row->tts_values[ITEM_BUCKET] = Int32GetDatum(bucket);
		row->tts_values[ITEM_PLACE] = Int64GetDatum((int64) from);
		row->tts_values[ITEM_SUBJECTS] = trusted_bytea(subjects + (Size) from * width,
													   (Size) (to - from) * width);
		row_insert_done(&insert);
		from = to;
	}
	row_insert_close(&insert);
}

void
read_store(const pg_uuid_t *entry, const uint8 *subjects, uint32 count, Size width)
{
	bool		few = count <= STORE_FEW;
	int			bits = 0;
	RowInsert	insert;
	TupleTableSlot *row;

	while (!few && bits < STORE_BITS_MAX && (count >> bits) > STORE_BUCKET)
		bits++;
	row_insert_open(&insert, "read_set");
	row = row_insert_row(&insert);
	memset(row->tts_isnull, false, SET_COLUMNS * sizeof(bool));
	row->tts_values[SET_ENTRY] = UUIDPGetDatum(entry);
	row->tts_values[SET_NUMBER] = Int64GetDatum((int64) count);
	row->tts_values[SET_BITS] = Int32GetDatum(bits);
	row->tts_values[SET_WIDTH] = Int32GetDatum((int32) width);
	row->tts_isnull[SET_SUBJECTS] = !few;
	if (few)
		row->tts_values[SET_SUBJECTS] = trusted_bytea(subjects, (Size) count * width);
	row_insert_done(&insert);
	row_insert_close(&insert);
	if (!few)
		store_buckets(entry, subjects, count, width, bits);
}

PG_FUNCTION_INFO_V1(medchain_read_set_starts);

/* read_set_starts(subjects bytea, width int) -> bigint[]: the first 64 bits of each */
Datum
medchain_read_set_starts(PG_FUNCTION_ARGS)
{
	bytea	   *subjects = PG_GETARG_BYTEA_PP(0);
	int			width = PG_GETARG_INT32(1);
	int			count = width < HASH_LEN ? 0 : (int) (VARSIZE_ANY_EXHDR(subjects) / width);
	Datum	   *starts = palloc(sizeof(Datum) * (Size) Max(count, 1));

	for (int i = 0; i < count; i++)
		starts[i] = Int64GetDatum((int64) store_start((uint8 *) VARDATA_ANY(subjects) +
													  (Size) i * (Size) width));
	PG_RETURN_ARRAYTYPE_P(construct_array(starts, count, INT8OID, sizeof(int64), FLOAT8PASSBYVAL,
										  TYPALIGN_DOUBLE));
}
