/*
 * row_entry.c: reading what row_capture.c wrote, here or in another hospital's database, into the
 * body of an entry.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "compat.h"
#include "core/encode.h"
#include "ledger/chain.h"
#include "ledger/payload.h"
#include "ledger/row_entry.h"

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

typedef struct RowReader
{
	int			depth;
	bool		in_body;
	int			current;		/* field of the body; ROW_FIELDS: another one */
	char	   *values[ROW_FIELDS];
	JsonTokenType types[ROW_FIELDS];
} RowReader;

static COMPAT_JSON_RETURN
row_entry_start(void *state)
{
	((RowReader *) state)->depth++;
	COMPAT_JSON_OK;
}

static COMPAT_JSON_RETURN
row_entry_end(void *state)
{
	((RowReader *) state)->depth--;
	COMPAT_JSON_OK;
}

static COMPAT_JSON_RETURN
row_entry_field(void *state, char *name, bool isnull)
{
	RowReader  *reader = state;

	if (reader->depth == 1)
		reader->in_body = strcmp(name, "body") == 0;
	if (reader->depth == 2 && reader->in_body)
		for (reader->current = 0; reader->current < ROW_FIELDS; reader->current++)
			if (strcmp(name, field_names[reader->current]) == 0)
				break;
	COMPAT_JSON_OK;
}

static COMPAT_JSON_RETURN
row_entry_scalar(void *state, char *token, JsonTokenType type)
{
	RowReader  *reader = state;

	if (reader->depth == 2 && reader->in_body && reader->current < ROW_FIELDS)
	{
		reader->values[reader->current] = token;
		reader->types[reader->current] = type;
	}
	COMPAT_JSON_OK;
}

static bool
row_entry_hash(const RowReader *reader, RowField field, uint8_t hash[HASH_LEN])
{
	const char *value = reader->values[field];

	return value != NULL && reader->types[field] == JSON_TOKEN_STRING &&
		strlen(value) == 2 * HASH_LEN &&
		decode_hex(value, 2 * HASH_LEN, hash);
}

bool
row_entry_parse(const char *payload, int len, RowEntry *entry)
{
	RowReader	reader = {.current = ROW_FIELDS};
	JsonSemAction actions = {0};

	actions.semstate = &reader;
	actions.object_start = row_entry_start;
	actions.object_end = row_entry_end;
	actions.array_start = row_entry_start;
	actions.array_end = row_entry_end;
	actions.object_field_start = row_entry_field;
	actions.scalar = row_entry_scalar;
	memset(entry, 0, sizeof(*entry));
	if (!payload_scan(payload, len, &actions) ||
		reader.values[ROW_RELATION] == NULL || reader.types[ROW_RELATION] != JSON_TOKEN_STRING ||
		!row_entry_hash(&reader, ROW_ROW, entry->id))
		return false;
	entry->relation = reader.values[ROW_RELATION];
	entry->version = reader.types[ROW_VERSION] == JSON_TOKEN_NUMBER ?
		atoi(reader.values[ROW_VERSION]) : 0;
	entry->has_commitment = row_entry_hash(&reader, ROW_COMMITMENT, entry->commitment);
	entry->has_previous = row_entry_hash(&reader, ROW_PREVIOUS, entry->previous);
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
