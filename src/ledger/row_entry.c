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
#include "ledger/chain.h"
#include "ledger/row_entry.h"
#include "rules/entry.h"

typedef enum RowField
{
	ROW_RELATION,
	ROW_ROW,
	ROW_VERSION,
	ROW_COMMITMENT,
	ROW_PREVIOUS,
	ROW_FIELDS
} RowField;

static const char *const field_names[ROW_FIELDS] = {
	"relation", "row", "version", "commitment",
	"previous"
};

/* A field of the body, as it stands in the text; of several of one name the last, as in jsonb. */
typedef struct RowValue
{
	const char *at;				/* NULL: there is none */
	size_t		len;
} RowValue;

static void
row_entry_field(void *state, const char *name, size_t name_len, const char *value,
				size_t value_len)
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

/* A whole number that fits; 0: anything else. */
static int
row_entry_version(const RowValue *value)
{
	int			version = 0;

	if (value->at == NULL || value->len > 9)
		return 0;
	for (size_t i = 0; i < value->len; i++)
	{
		if (value->at[i] < '0' || value->at[i] > '9')
			return 0;
		version = version * 10 + (value->at[i] - '0');
	}
	return version;
}

bool
row_entry_parse(const char *payload, int len, RowEntry *row)
{
	Entry		entry;
	RowValue	values[ROW_FIELDS] = {{0}};
	const RowValue *relation = &values[ROW_RELATION];

	memset(row, 0, sizeof(*row));
	if (!entry_read(payload, (size_t) len, &entry, NULL) ||
		!json_text_object(entry.body, entry.body_len, JSON_TEXT_READABLE, row_entry_field, values,
						  NULL) ||
		relation->at == NULL || !row_entry_hash(&values[ROW_ROW], row->id))
		return false;
	row->relation = palloc(relation->len);
	if (!json_text_string(relation->at, relation->len, row->relation, relation->len))
		return false;
	row->version = row_entry_version(&values[ROW_VERSION]);
	row->has_commitment = row_entry_hash(&values[ROW_COMMITMENT], row->commitment);
	row->has_previous = row_entry_hash(&values[ROW_PREVIOUS], row->previous);
	return true;
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
	values[1] = chain_bytea(entry.id, HASH_LEN);
	values[2] = Int32GetDatum(entry.version);
	values[3] = chain_bytea(entry.commitment, HASH_LEN);
	nulls[3] = !entry.has_commitment;
	values[4] = chain_bytea(entry.previous, HASH_LEN);
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
