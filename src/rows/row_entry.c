/*
 * row_entry.c: reading what row_capture.c wrote, here or in another hospital's database, into the
 * body of an entry.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "compat.h"
#include "core/encode.h"
#include "node/trusted.h"
#include "rows/row_entry.h"
#include "rules/entry.h"

typedef enum RowField
{
	ROW_RELATION,
	ROW_ROW,
	ROW_VERSION,
	ROW_COMMITMENT,
	ROW_PREVIOUS,
	ROW_NUMBER,
	ROW_ROOT,
	ROW_SUBJECTS,
	ROW_FIELDS
} RowField;

static const char *const field_names[ROW_FIELDS] = {
	"relation", "row", "version", "commitment",
	"previous", "number", "root", "subjects"
};

/* A field of the body, as it stands in the text; of several of one name the last, as in jsonb. */
typedef struct RowValue
{
	const char *at;				/* NULL: there is none */
	size_t		len;
} RowValue;

static void
row_entry_field(void *state, const char *name, size_t name_len, const char *value,
				size_t value_len, struct json_t *built)
{
	RowValue   *values = state;
	char		plain[16];

	if (!json_text_string(name, name_len, plain, sizeof(plain)))
		return;
	for (int i = 0; i < ROW_FIELDS; i++)
		if (strcmp(plain, field_names[i]) == 0)
		{
			values[i].at = value;
			values[i].len = value_len;
		}
}

static bool
row_entry_hash(const RowValue *value, uint8_t hash[HASH_LEN])
{
	char		hex[ENCODE_HEX_SIZE(HASH_LEN)];

	return value->at != NULL && json_text_string(value->at, value->len, hex, sizeof(hex)) &&
		strlen(hex) == 2 * HASH_LEN && decode_hex(hex, 2 * HASH_LEN, hash);
}

/* A whole number of so many digits at most; 0: anything else. */
static int64
row_entry_number(const RowValue *value, size_t digits)
{
	int64		number = 0;

	if (value->at == NULL || value->len > digits)
		return 0;
	for (size_t i = 0; i < value->len; i++)
	{
		if (value->at[i] < '0' || value->at[i] > '9')
			return 0;
		number = number * 10 + (value->at[i] - '0');
	}
	return number;
}

/* The fields of the body, and the relation, palloc'd; false if there is none. */
static bool
row_entry_values(const char *payload, int len, RowValue values[ROW_FIELDS], char **relation)
{
	Entry		entry;
	const RowValue *name = &values[ROW_RELATION];

	memset(values, 0, sizeof(RowValue) * ROW_FIELDS);
	if (!entry_read(payload, (size_t) len, &entry, NULL) ||
		!json_text_object(entry.body, entry.body_len, JSON_TEXT_READABLE, row_entry_field, values,
						  NULL) ||
		name->at == NULL)
		return false;
	*relation = palloc(name->len);
	return json_text_string(name->at, name->len, *relation, name->len);
}

bool
row_entry_parse(const char *payload, int len, RowEntry *row)
{
	RowValue	values[ROW_FIELDS];

	memset(row, 0, sizeof(*row));
	if (!row_entry_values(payload, len, values, &row->relation) ||
		!row_entry_hash(&values[ROW_ROW], row->id))
		return false;
	row->version = (int) row_entry_number(&values[ROW_VERSION], 9);
	row->has_commitment = row_entry_hash(&values[ROW_COMMITMENT], row->commitment);
	row->has_previous = row_entry_hash(&values[ROW_PREVIOUS], row->previous);
	return true;
}

bool
row_entry_parse_set(const char *payload, int len, RowSetSays *set)
{
	RowValue	values[ROW_FIELDS];

	memset(set, 0, sizeof(*set));
	if (!row_entry_values(payload, len, values, &set->relation) ||
		!row_entry_hash(&values[ROW_ROOT], set->root))
		return false;
	set->version = (int) row_entry_number(&values[ROW_VERSION], 9);
	set->number = row_entry_number(&values[ROW_NUMBER], 18);
	set->has_subjects = row_entry_hash(&values[ROW_SUBJECTS], set->subjects);
	return set->number > 0;
}

PG_FUNCTION_INFO_V1(medchain_row_entry);

/*
 * row_entry(payload text, OUT relation text, OUT row_id bytea, OUT version int, OUT commitment
 * bytea, OUT previous bytea)
 */
Datum
medchain_row_entry(PG_FUNCTION_ARGS)
{
	text	   *payload = PG_GETARG_TEXT_PP(0);
	RowEntry	entry;
	TupleDesc	desc;
	Datum		values[5] = {0};
	bool		nulls[5] = {false};

	if (!row_entry_parse(VARDATA_ANY(payload), VARSIZE_ANY_EXHDR(payload), &entry))
		PG_RETURN_NULL();
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = CStringGetTextDatum(entry.relation);
	values[1] = trusted_bytea(entry.id, HASH_LEN);
	values[2] = Int32GetDatum(entry.version);
	values[3] = trusted_bytea(entry.commitment, HASH_LEN);
	nulls[3] = !entry.has_commitment;
	values[4] = trusted_bytea(entry.previous, HASH_LEN);
	nulls[4] = !entry.has_previous;
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}

PG_FUNCTION_INFO_V1(medchain_row_entry_key);

/*
 * row_entry_key(payload text) -> bigint: 64 bits of the row's id, for the index that finds the
 * entries of one row.
 */
Datum
medchain_row_entry_key(PG_FUNCTION_ARGS)
{
	text	   *payload = PG_GETARG_TEXT_PP(0);
	RowEntry	entry;

	if (!row_entry_parse(VARDATA_ANY(payload), VARSIZE_ANY_EXHDR(payload), &entry))
		PG_RETURN_NULL();
	PG_RETURN_INT64(row_id_bits(entry.id));
}

PG_FUNCTION_INFO_V1(medchain_row_bits);

/* row_bits(id bytea) -> bigint; null: it is too short. */
Datum
medchain_row_bits(PG_FUNCTION_ARGS)
{
	bytea	   *id = PG_GETARG_BYTEA_PP(0);

	if (VARSIZE_ANY_EXHDR(id) < (int) sizeof(int64))
		PG_RETURN_NULL();
	PG_RETURN_INT64(row_id_bits((const uint8_t *) VARDATA_ANY(id)));
}

PG_FUNCTION_INFO_V1(medchain_row_entry_guess);

/*
 * row_entry_guess(payload text) -> bigint: what row_entry_key() says, by where the id begins in a
 * text as row_capture.c writes it; null: nowhere.  For who asks of a million entries which few of
 * them are worth reading.
 */
Datum
medchain_row_entry_guess(PG_FUNCTION_ARGS)
{
	static const char label[] = "\"row\":\"";
	text	   *payload = PG_GETARG_TEXT_PP(0);
	const char *end = VARDATA_ANY(payload) + VARSIZE_ANY_EXHDR(payload);
	const char *at = memmem(VARDATA_ANY(payload), (size_t) VARSIZE_ANY_EXHDR(payload), label,
							sizeof(label) - 1);
	uint8_t		start[sizeof(int64)];

	if (at == NULL || end - (at + sizeof(label) - 1) < 2 * (int) sizeof(start) ||
		!decode_hex(at + sizeof(label) - 1, 2 * sizeof(start), start))
		PG_RETURN_NULL();
	PG_RETURN_INT64(row_id_bits(start));
}

PG_FUNCTION_INFO_V1(medchain_row_set_entry);

/*
 * row_set_entry(payload text, OUT relation text, OUT version int, OUT number bigint, OUT root
 * bytea, OUT subjects bytea)
 */
Datum
medchain_row_set_entry(PG_FUNCTION_ARGS)
{
	text	   *payload = PG_GETARG_TEXT_PP(0);
	RowSetSays	set;
	TupleDesc	desc;
	Datum		values[5];
	bool		nulls[5] = {false};

	if (!row_entry_parse_set(VARDATA_ANY(payload), VARSIZE_ANY_EXHDR(payload), &set))
		PG_RETURN_NULL();
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = CStringGetTextDatum(set.relation);
	values[1] = Int32GetDatum(set.version);
	values[2] = Int64GetDatum(set.number);
	values[3] = trusted_bytea(set.root, HASH_LEN);
	values[4] = trusted_bytea(set.subjects, HASH_LEN);
	nulls[4] = !set.has_subjects;
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}
