/*
 * row_key.c: which row of a ledger table a caller means.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "compat.h"
#include "node/shown.h"
#include "node/trusted.h"
#include "rows/row_commitment.h"
#include "rows/row_key.h"

/*
 * No longer value fits into the index of a primary key, compressed as well as it may be.  What a
 * type cannot read it repeats in its error.
 */
#define ROW_KEY_VALUE_MAX (256 * 1024)

static void
row_key_refuse(Relation relation)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[1] = {REGCLASSOID};
	Datum		values[1] = {ObjectIdGetDatum(RelationGetRelid(relation))};
	MemoryContext caller = CurrentMemoryContext;
	TrustedScope scope;
	char	   *hint;

	trusted_begin(&scope);
	trusted_read(&plan, "SELECT medchain_internal.row_beginning($1)", 1, types, values);
	hint = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	hint = hint == NULL ? NULL : MemoryContextStrdup(caller, hint);
	trusted_end(&scope);
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("rows of table \"%s\" are not on the ledger",
					RelationGetRelationName(relation)),
			 hint == NULL ? 0 : errhint("%s", hint)));
}

void
row_key_begin(RowKey *key, FunctionCallInfo fcinfo)
{
	memset(key, 0, sizeof(*key));
	key->relation = row_table_open(PG_GETARG_OID(0));
	key->table = row_table_get(key->relation);
	if (key->table == NULL)
		row_key_refuse(key->relation);
	key->attributes = palloc(sizeof(AttrNumber) * (size_t) key->table->ncolumns);
	for (int i = 0; i < key->table->ncolumns; i++)
		if (key->table->columns[i].is_key ||
			(key->table->keyless && !key->table->columns[i].is_virtual))
			key->attributes[key->count++] = key->table->columns[i].attribute;
	key->values = palloc(sizeof(Datum) * (size_t) Max(key->count, 1));
	key->nulls = palloc0(sizeof(bool) * (size_t) Max(key->count, 1));
}

void
row_key_end(RowKey *key)
{
	relation_close(key->relation, NoLock);
}

bool
row_key_may_select(const RowKey *key)
{
	Oid			oid = RelationGetRelid(key->relation);

	return pg_class_aclcheck(oid, GetUserId(), ACL_SELECT) == ACLCHECK_OK ||
		pg_attribute_aclcheck_all(oid, GetUserId(), ACL_SELECT, ACLMASK_ALL) == ACLCHECK_OK;
}

/* The text of a value that is no text, whatever the caller has set. */
static text *
row_key_text_of(FunctionCallInfo fcinfo, Oid type)
{
	int			nestlevel = NewGUCNestLevel();
	Oid			output;
	bool		is_varlena;
	char	   *text;

	trusted_fix_texts();
	getTypeOutputInfo(type, &output, &is_varlena);
	text = OidOutputFunctionCall(output, PG_GETARG_DATUM(1));

	AtEOXact_GUC(true, nestlevel);
	return cstring_to_text(text);
}

/* Values of the columns from one text, that of the only one, or a JSON object of them all. */
static ArrayType *
row_key_split(const RowKey *key, text *given, bool as_object)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[3] = {REGCLASSOID, TEXTOID, BOOLOID};
	Datum		values[3] = {ObjectIdGetDatum(key->table->root), PointerGetDatum(given),
	BoolGetDatum(as_object)};
	MemoryContext caller = CurrentMemoryContext;
	TrustedScope scope;
	bool		isnull;
	ArrayType  *array;

	trusted_begin(&scope);
	trusted_read(&plan, "SELECT medchain_internal.row_key_values($1, $2, $3)", 3, types, values);
	array = DatumGetArrayTypeP(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1,
											 &isnull));
	MemoryContextSwitchTo(caller);
	array = DatumGetArrayTypePCopy(PointerGetDatum(array));
	trusted_end(&scope);
	return array;
}

static ArrayType *
row_key_given(const RowKey *key, FunctionCallInfo fcinfo, RowKeyForm form)
{
	Oid			type = form == ROW_KEY_VALUE ? get_fn_expr_argtype(fcinfo->flinfo, 1) : InvalidOid;

	switch (form)
	{
		case ROW_KEY_TEXT:
			return row_key_split(key, PG_GETARG_TEXT_PP(1), false);
		case ROW_KEY_VALUE:
			return row_key_split(key, row_key_text_of(fcinfo, type), type == JSONBOID);
		case ROW_KEY_TEXTS:
			break;
	}
	return PG_GETARG_ARRAYTYPE_P(1);
}

static char *
row_key_value(const RowKey *key, Datum element)
{
	char	   *value = TextDatumGetCString(element);

	if (!key->table->keyless && strlen(value) > ROW_KEY_VALUE_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("no primary key has a value of %zu bytes", strlen(value))));
	return value;
}

/*
 * What the type's input function makes of a value.  It may be our caller's code, and its errors
 * have all that it was given: they are told with the beginning of that.
 */
static Datum
row_key_input(Oid input, char *value, Oid parameter, int32 modifier)
{
	MemoryContext context = CurrentMemoryContext;
	Datum		result = (Datum) 0;

	PG_TRY();
	{
		result = OidInputFunctionCall(input, value, parameter, modifier);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		if (error->message != NULL)
			error->message = unconstify(char *, shown(error->message));
		if (error->detail != NULL)
			error->detail = unconstify(char *, shown(error->detail));
		ReThrowError(error);
	}
	PG_END_TRY();
	return result;
}

static void
row_key_require_values(const RowKey *key)
{
	for (int i = 0; i < key->count && !key->table->keyless; i++)
		if (key->nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("values of the primary key must not be null")));
}

/* The values are those of a row of the table; false if the call has none. */
static bool
row_key_read_row(RowKey *key, FunctionCallInfo fcinfo)
{
	TupleDesc	desc = RelationGetDescr(key->relation);
	HeapTupleHeader header;
	HeapTupleData row = {0};

	if (get_fn_expr_argtype(fcinfo->flinfo, 1) != key->relation->rd_rel->reltype)
		return false;
	header = PG_GETARG_HEAPTUPLEHEADER(1);
	row.t_len = HeapTupleHeaderGetDatumLength(header);
	row.t_data = header;
	for (int i = 0; i < key->count; i++)
		key->values[i] = heap_getattr(&row, key->attributes[i], desc, &key->nulls[i]);
	return true;
}

void
row_key_read(RowKey *key, FunctionCallInfo fcinfo, RowKeyForm form)
{
	ArrayType  *given;
	Datum	   *elements;
	bool	   *nulls;
	int			count;

	if (form == ROW_KEY_VALUE && row_key_read_row(key, fcinfo))
	{
		row_key_require_values(key);
		return;
	}
	given = row_key_given(key, fcinfo, form);
	deconstruct_array(given, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
	if (count != key->count)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 key->table->keyless ?
				 errmsg("the table has %d columns, not %d", key->count, count) :
				 errmsg("the primary key has %d columns, not %d", key->count, count)));
	memcpy(key->nulls, nulls, sizeof(bool) * (size_t) count);
	row_key_require_values(key);
	for (int i = 0; i < count; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(key->relation),
													key->attributes[i] - 1);
		int32		modifier = attribute->atttypmod;
		Oid			input;
		Oid			parameter;

		/* what the constraints of a domain refuse is no row's key, and need not be asked */
		getTypeInputInfo(getBaseTypeAndTypmod(attribute->atttypid, &modifier), &input, &parameter);
		if (!key->nulls[i])
			key->values[i] = row_key_input(input, row_key_value(key, elements[i]), parameter,
										   modifier);
	}
}

void
row_key_id(const RowKey *key, uint8_t id[HASH_LEN])
{
	TupleDesc	desc = RelationGetDescr(key->relation);
	Datum	   *values = palloc0(sizeof(Datum) * (size_t) desc->natts);
	bool	   *nulls = palloc(sizeof(bool) * (size_t) desc->natts);
	RowImage	image;

	memset(nulls, true, sizeof(bool) * (size_t) desc->natts);
	for (int i = 0; i < key->count; i++)
	{
		values[key->attributes[i] - 1] = key->values[i];
		nulls[key->attributes[i] - 1] = key->nulls[i];
	}
	row_image(key->table, desc, heap_form_tuple(desc, values, nulls), key->table->version,
			  &image);
	memcpy(id, image.id, HASH_LEN);
}
