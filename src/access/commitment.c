/*
 * commitment.c: salted commitments to the content of a row.
 *
 * The ledger goes to every member, so what it says about a row must not be open
 * to guessing: the content is hashed with a random salt that stays in this
 * database, and the primary key, often a number anybody can count through, is
 * put under the alliance's key.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "compat.h"
#include "access/commitment.h"
#include "ledger/chain.h"
#include "ledger/pseudonym.h"
#include "ledger/trusted.h"


static const char *const fixed_settings[][2] = {
	{"DateStyle", "ISO, YMD"},
	{"IntervalStyle", "iso_8601"},
	{"TimeZone", "UTC"},
	{"extra_float_digits", "1"},
	{"bytea_output", "hex"},
	{"xmlbinary", "base64"},
	{"lc_monetary", "C"},
};

void
commitment_fix_settings(void)
{
	for (size_t i = 0; i < lengthof(fixed_settings); i++)
		(void) set_config_option(fixed_settings[i][0], fixed_settings[i][1], PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
}

static int
commitment_compare_names(const void *a, const void *b, void *arg)
{
	TupleDesc	desc = (TupleDesc) arg;

	return strcmp(NameStr(TupleDescAttr(desc, *(const int *) a)->attname),
				  NameStr(TupleDescAttr(desc, *(const int *) b)->attname));
}

char *
commitment_canonical(TupleDesc desc, HeapTuple row, const Bitmapset *only)
{
	StringInfoData out;
	int		   *order = palloc(sizeof(int) * (size_t) Max(desc->natts, 1));
	int			columns = 0;

	for (int i = 0; i < desc->natts; i++)
		if (!TupleDescAttr(desc, i)->attisdropped && (only == NULL || bms_is_member(i + 1, only)))
			order[columns++] = i;
	qsort_arg(order, (size_t) columns, sizeof(int), commitment_compare_names, desc);

	initStringInfo(&out);
	for (int i = 0; i < columns; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, order[i]);
		bool		isnull;
		Datum		value = heap_getattr(row, order[i] + 1, desc, &isnull);
		Oid			output;
		bool		is_varlena;
		char	   *text;

		if (isnull)
			continue;
		getTypeOutputInfo(attribute->atttypid, &output, &is_varlena);
		text = OidOutputFunctionCall(output, value);
		appendStringInfo(&out, "%zu:%s%zu:%s", strlen(NameStr(attribute->attname)), NameStr(attribute->attname),
						 strlen(text), text);
		pfree(text);
	}
	pfree(order);
	return out.data;
}

char *
commitment_key_text(TupleDesc desc, HeapTuple row, const Bitmapset *key)
{
	StringInfoData out;
	int			attribute = -1;

	initStringInfo(&out);
	while ((attribute = bms_next_member(key, attribute)) >= 0)
		appendStringInfo(&out, "%s%s=%s", out.len > 0 ? ", " : "", SPI_fname(desc, attribute),
						 SPI_getvalue(row, desc, attribute));
	return out.data;
}

void
commitment_compute(const uint8_t salt[COMMITMENT_SALT_LEN], const char *canonical, uint8_t out[HASH_LEN])
{
	size_t		len = strlen(canonical);
	uint8_t    *buffer = palloc(COMMITMENT_SALT_LEN + len);

	memcpy(buffer, salt, COMMITMENT_SALT_LEN);
	memcpy(buffer + COMMITMENT_SALT_LEN, canonical, len);
	if (!hash_sha256(buffer, COMMITMENT_SALT_LEN + len, out))
		elog(ERROR, "could not compute SHA-256");
	pfree(buffer);
}

void
commitment_row_id(const char *relation, const char *canonical_key, uint8_t out[HASH_LEN])
{
	char	   *name = psprintf("row\n%s\n%s", relation, canonical_key);

	pseudonym_of(name, strlen(name), out);
	pfree(name);
}

Bitmapset *
commitment_columns(TupleDesc desc, const char *relation, char **names, int count)
{
	Bitmapset  *columns = NULL;

	for (int i = 0; i < count; i++)
	{
		int			attribute = SPI_fnumber(desc, names[i]);

		if (attribute <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of protected table \"%s\" is gone", names[i], relation),
					 errhint("Call medchain.unprotect() and medchain.protect() again.")));
		columns = bms_add_member(columns, attribute);
	}
	return columns;
}

PG_FUNCTION_INFO_V1(medchain_row_digest);

/*
 * row_digest(relation text, key_columns text[], "row" record, salt bytea, OUT row_id bytea, OUT row_key text,
 * OUT commitment bytea): commitment is null when salt is.
 */
Datum
medchain_row_digest(PG_FUNCTION_ARGS)
{
	char	   *relation;
	Datum	   *key_columns;
	char	  **names;
	int			nkeys;
	HeapTupleHeader header;
	TupleDesc	desc;
	HeapTupleData row;
	TrustedScope scope;
	MemoryContext context = CurrentMemoryContext;
	MemoryContext inner;
	char	   *key;
	char	   *key_text;
	char	   *whole;
	uint8_t		hash[HASH_LEN];
	TupleDesc	result_desc;
	Bitmapset  *columns;
	Datum		values[3] = {0};
	bool		nulls[3] = {false, false, true};

	if (get_call_result_type(fcinfo, NULL, &result_desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		PG_RETURN_NULL();
	relation = text_to_cstring(PG_GETARG_TEXT_PP(0));
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), TEXTOID, -1, false, TYPALIGN_INT, &key_columns, NULL, &nkeys);
	names = palloc(sizeof(char *) * (size_t) Max(nkeys, 1));
	for (int i = 0; i < nkeys; i++)
		names[i] = TextDatumGetCString(key_columns[i]);
	header = PG_GETARG_HEAPTUPLEHEADER(2);
	desc = lookup_rowtype_tupdesc_copy(HeapTupleHeaderGetTypeId(header), HeapTupleHeaderGetTypMod(header));
	row.t_len = HeapTupleHeaderGetDatumLength(header);
	ItemPointerSetInvalid(&row.t_self);
	row.t_tableOid = InvalidOid;
	row.t_data = header;

	trusted_begin(&scope);
	commitment_fix_settings();
	inner = MemoryContextSwitchTo(context);
	columns = commitment_columns(desc, relation, names, nkeys);
	key = commitment_canonical(desc, &row, columns);
	key_text = commitment_key_text(desc, &row, columns);
	whole = commitment_canonical(desc, &row, NULL);
	MemoryContextSwitchTo(inner);
	trusted_end(&scope);

	commitment_row_id(relation, key, hash);
	values[0] = chain_bytea(hash, HASH_LEN);
	values[1] = CStringGetTextDatum(key_text);
	if (!PG_ARGISNULL(3))
	{
		bytea	   *salt = PG_GETARG_BYTEA_PP(3);

		if (VARSIZE_ANY_EXHDR(salt) != COMMITMENT_SALT_LEN)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("a salt has %d bytes", COMMITMENT_SALT_LEN)));
		commitment_compute((uint8_t *) VARDATA_ANY(salt), whole, hash);
		values[2] = chain_bytea(hash, HASH_LEN);
		nulls[2] = false;
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(result_desc, values, nulls)));
}
