/*
 * row_chunk.c: what is in the rows of medchain.row_set, medchain.row_item and medchain.row_about,
 * for SQL and for verify().
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "compat.h"
#include "node/trusted.h"
#include "rows/row_chunk.h"
#include "rows/row_entry.h"
#include "rows/row_store.h"

void
chunk_reader(ChunkReader *reader, const bytea *items)
{
	memset(reader, 0, sizeof(*reader));
	reader->at = (const uint8_t *) VARDATA_ANY(items);
	reader->end = reader->at + VARSIZE_ANY_EXHDR(items);
}

bool
chunk_next(ChunkReader *reader)
{
	size_t		left = (size_t) (reader->end - reader->at);
	size_t		len = left > ROW_PLACE_LEN ? row_item_length(reader->at[ROW_PLACE_LEN]) : 0;

	if (len == 0 || left < ROW_PLACE_LEN + len)
		return false;
	reader->place = reader->at[0] << 8 | reader->at[1];
	reader->bytes = reader->at + ROW_PLACE_LEN;
	reader->len = len;
	(void) row_item_read(reader->bytes, len, &reader->item);
	reader->at = reader->bytes + len;
	return true;
}

bool
chunk_at_end(const ChunkReader *reader)
{
	return reader->at == reader->end;
}

int
about_count(const bytea *subjects)
{
	return (int) (VARSIZE_ANY_EXHDR(subjects) / ROW_ABOUT_LEN);
}

AboutRecord
about_record(const bytea *subjects, int number)
{
	const uint8_t *at = (const uint8_t *) VARDATA_ANY(subjects) + number * ROW_ABOUT_LEN;
	AboutRecord record = {
		.place = at[0] << 8 | at[1], .row_start = at + ROW_PLACE_LEN,
		.subject = at + ROW_PLACE_LEN + ROW_START_LEN
	};

	return record;
}

/* The key at *at, which is moved to the next one; false at the end. */
static bool
chunk_next_key(const char **at, const char *end, const char **key, int *len)
{
	if (*at >= end)
		return false;
	*key = *at + 1;
	*len = Min((unsigned char) **at, (int) (end - *key));
	*at = *key + *len;
	return true;
}

/* Is it a text that can be shown? */
static bool
chunk_key_is_text(const char *key, int len)
{
	return len > 0 && pg_verifymbstr(key, len, true);
}

void
chunk_keys(const bytea *keys, ChunkKey *out, int count)
{
	const char *at = VARDATA_ANY(keys);
	const char *end = at + VARSIZE_ANY_EXHDR(keys);

	for (int i = 0; i < count && chunk_next_key(&at, end, &out[i].text, &out[i].len);)
		i++;
}

char *
chunk_key(const bytea *keys, int place)
{
	const char *at = VARDATA_ANY(keys);
	const char *end = at + VARSIZE_ANY_EXHDR(keys);
	const char *key;
	int			len;

	for (int i = 0; chunk_next_key(&at, end, &key, &len); i++)
		if (i == place)
			return chunk_key_is_text(key, len) ? pnstrdup(key, (Size) len) : NULL;
	return NULL;
}

PG_FUNCTION_INFO_V1(medchain_row_item_list);

/*
 * row_item_list(items bytea) -> setof (place int, operation text, row_id bytea, commitment bytea,
 * previous bytea)
 */
Datum
medchain_row_item_list(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ChunkReader reader;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0))
		return (Datum) 0;
	chunk_reader(&reader, PG_GETARG_BYTEA_PP(0));
	while (chunk_next(&reader))
	{
		Datum		values[5];
		bool		nulls[5] = {false};

		values[0] = Int32GetDatum(reader.place);
		values[1] = CStringGetTextDatum(row_item_word(reader.item.operation));
		values[2] = trusted_bytea(reader.item.row, HASH_LEN);
		values[3] = trusted_bytea(reader.item.commitment, HASH_LEN);
		nulls[3] = !row_item_has_commitment(reader.item.operation);
		values[4] = trusted_bytea(reader.item.previous, HASH_LEN);
		nulls[4] = !row_item_has_previous(reader.item.operation);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

PG_FUNCTION_INFO_V1(medchain_row_key_list);

/* row_key_list(keys bytea) -> setof (place int, row_key text) */
Datum
medchain_row_key_list(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	bytea	   *keys;
	const char *at;
	const char *end;
	const char *key;
	int			len;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0))
		return (Datum) 0;
	keys = PG_GETARG_BYTEA_PP(0);
	at = VARDATA_ANY(keys);
	end = at + VARSIZE_ANY_EXHDR(keys);
	for (int place = 0; chunk_next_key(&at, end, &key, &len); place++)
	{
		Datum		values[2];
		bool		nulls[2] = {false};

		if (!chunk_key_is_text(key, len))
			continue;
		values[0] = Int32GetDatum(place);
		values[1] = PointerGetDatum(cstring_to_text_with_len(key, len));
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

PG_FUNCTION_INFO_V1(medchain_row_about_list);

/* row_about_list(subjects bytea) -> setof (place int, row_start bytea, subject bytea) */
Datum
medchain_row_about_list(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	bytea	   *subjects;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0))
		return (Datum) 0;
	subjects = PG_GETARG_BYTEA_PP(0);
	for (int i = 0; i < about_count(subjects); i++)
	{
		AboutRecord record = about_record(subjects, i);
		Datum		values[3];
		bool		nulls[3] = {false};

		values[0] = Int32GetDatum(record.place);
		values[1] = trusted_bytea(record.row_start, ROW_START_LEN);
		values[2] = trusted_bytea(record.subject, ROW_SUBJECT_LEN);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

PG_FUNCTION_INFO_V1(medchain_row_about_subjects);

/* row_about_subjects(subjects bytea) -> bigint[]: for the index that finds those of one subject. */
Datum
medchain_row_about_subjects(PG_FUNCTION_ARGS)
{
	bytea	   *subjects = PG_GETARG_BYTEA_PP(0);
	int			count = about_count(subjects);
	Datum	   *bits = palloc(sizeof(Datum) * (size_t) (count + 1));

	for (int i = 0; i < count; i++)
		bits[i] = Int64GetDatum(row_id_bits(about_record(subjects, i).subject));
	PG_RETURN_ARRAYTYPE_P(construct_array(bits, count, INT8OID, 8, FLOAT8PASSBYVAL,
										  TYPALIGN_DOUBLE));
}

PG_FUNCTION_INFO_V1(medchain_row_item_rows);

/* row_item_rows(items bytea) -> bigint[]: for the index that finds the items of one row. */
Datum
medchain_row_item_rows(PG_FUNCTION_ARGS)
{
	ChunkReader reader;
	bytea	   *items = PG_GETARG_BYTEA_PP(0);
	Datum	   *rows = palloc(sizeof(Datum) * (VARSIZE_ANY_EXHDR(items) / HASH_LEN + 1));
	int			count = 0;

	chunk_reader(&reader, items);
	while (chunk_next(&reader))
		rows[count++] = Int64GetDatum(row_id_bits(reader.item.row));
	PG_RETURN_ARRAYTYPE_P(construct_array(rows, count, INT8OID, 8, FLOAT8PASSBYVAL,
										  TYPALIGN_DOUBLE));
}

PG_FUNCTION_INFO_V1(medchain_row_bucket);

/* row_bucket(start bytea, bits int) -> int */
Datum
medchain_row_bucket(PG_FUNCTION_ARGS)
{
	bytea	   *start = PG_GETARG_BYTEA_PP(0);
	int			bits = PG_GETARG_INT32(1);

	if (VARSIZE_ANY_EXHDR(start) < ROW_START_LEN || bits < 0 || bits > ROW_PART_BITS)
		PG_RETURN_NULL();
	PG_RETURN_INT32(row_store_bucket((const uint8_t *) VARDATA_ANY(start), bits));
}
