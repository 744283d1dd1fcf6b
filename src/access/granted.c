/*
 * granted.c: the subjects whose records somebody may see, as arrays that an index can be asked for.
 *
 * The index scans that planner_support.c proposes have these arrays as a condition, and may_query()
 * still judges each row.  So an array may hold too much, and must not hold too little: whoever is a
 * subject by the text of a column's value has to be in the array of the column's type.
 */
#include "postgres.h"

#include <errno.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "access/grant_cache.h"
#include "access/statement.h"
#include "node/settings.h"
#include "node/shared.h"
#include "node/shown.h"

#define UUID_TEXT_LEN 36
#define INT8_TEXT_LEN 20		/* with the sign */

/*
 * What a call site was told last.  The inner side of a join asks for each row of the outer one, and
 * to make a large array takes longer than all that is done with it.
 */
typedef struct Granted
{
	uint64		run;			/* in that executor run; 0: in none */
	uint64		purposes;		/* setting_purpose_changes then */
	uint8		operation;
	Oid			relation;
	MemoryContext context;		/* of the array */
	Datum		array;
} Granted;

static uint8
granted_operation(const text *argument)
{
	char	   *name = text_to_cstring(argument);

	if (strcmp(name, "query") == 0)
		return GRANT_QUERY;
	if (strcmp(name, "update") == 0)
		return GRANT_UPDATE;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown operation \"%s\"", shown(name)),
			 errhint("Operations are \"query\" and \"update\".")));
}

/* The integer that PostgreSQL writes like this; false: none. */
static bool
granted_integer(const GrantedSubject *subject, Datum *value)
{
	char		digits[INT8_TEXT_LEN + 1];
	char		again[INT8_TEXT_LEN + 2];
	char	   *end;
	int64		number;

	if (subject->len == 0 || subject->len > INT8_TEXT_LEN)
		return false;
	memcpy(digits, subject->identity, subject->len);
	digits[subject->len] = '\0';
	errno = 0;
	number = strtoi64(digits, &end, 10);
	if (errno != 0 || end != digits + subject->len)
		return false;
	pg_lltoa(number, again);
	*value = Int64GetDatum(number);
	return strcmp(digits, again) == 0;
}

/* The same of a uuid. */
static bool
granted_uuid(const GrantedSubject *subject, Datum *value)
{
	char		digits[UUID_TEXT_LEN + 1];

	if (subject->len != UUID_TEXT_LEN)
		return false;
	for (int i = 0; i < UUID_TEXT_LEN; i++)
	{
		char		c = subject->identity[i];

		if (i == 8 || i == 13 || i == 18 || i == 23 ? c != '-' :
			!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return false;
		digits[i] = c;
	}
	digits[UUID_TEXT_LEN] = '\0';
	*value = DirectFunctionCall1(uuid_in, CStringGetDatum(digits));
	return true;
}

static bool
granted_value(Oid type, const GrantedSubject *subject, Datum *value)
{
	switch (type)
	{
		case INT8OID:
			return granted_integer(subject, value);
		case UUIDOID:
			return granted_uuid(subject, value);
		default:
			*value = PointerGetDatum(cstring_to_text_with_len(subject->identity,
															  (int) subject->len));
			return true;
	}
}

static Datum
granted_make(Oid type, uint8 operation, Oid relation, MemoryContext context)
{
	MemoryContext scratch = AllocSetContextCreate(context, "medchain granted subjects",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(scratch);
	int64		count;
	int			values = 0;
	GrantedSubject *subjects = grant_cache_subjects(operation, relation, &count);
	Datum	   *elements = MemoryContextAllocHuge(scratch, sizeof(Datum) * (Size) Max(count, 1));
	ArrayType  *array;
	int16		len;
	bool		by_value;
	char		align;

	get_typlenbyvalalign(type, &len, &by_value, &align);
	for (int64 i = 0; i < count; i++)
		values += granted_value(type, &subjects[i], &elements[values]);
	MemoryContextSwitchTo(context);
	array = values == 0 ? construct_empty_array(type) :
		construct_array(elements, values, type, len, by_value, align);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(scratch);
	return PointerGetDatum(array);
}

/* The array of a call, whose first arguments are the operation and the relation. */
static Datum
granted_answer(FunctionCallInfo fcinfo, Oid type)
{
	uint8		operation = granted_operation(PG_GETARG_TEXT_PP(0));
	Oid			relation = PG_ARGISNULL(1) ? InvalidOid : PG_GETARG_OID(1);
	Granted    *granted = fcinfo->flinfo->fn_extra;
	uint64		run;

	shared_require();
	run = statement_run();
	if (granted == NULL)
	{
		granted = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(Granted));
		granted->context = AllocSetContextCreate(fcinfo->flinfo->fn_mcxt, "medchain granted",
												 ALLOCSET_DEFAULT_SIZES);
		fcinfo->flinfo->fn_extra = granted;
	}
	else if (run != 0 && granted->run == run &&
			 granted->purposes == setting_purpose_changes && granted->operation == operation &&
			 granted->relation == relation)
		return granted->array;
	granted->run = 0;
	MemoryContextReset(granted->context);
	granted->array = granted_make(type, operation, relation, granted->context);
	granted->operation = operation;
	granted->purposes = setting_purpose_changes;
	granted->relation = relation;
	granted->run = run;
	return granted->array;
}

PG_FUNCTION_INFO_V1(medchain_granted_subjects);

/* granted_subjects(operation text, relation regclass) -> text[] */
Datum
medchain_granted_subjects(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(granted_answer(fcinfo, TEXTOID));
}

PG_FUNCTION_INFO_V1(medchain_granted_subjects_as);

/*
 * medchain_internal.granted_subjects_as(operation text, relation regclass, like_type anyelement,
 * cost bigint) -> anyarray; the cost is for the planner
 */
Datum
medchain_granted_subjects_as(PG_FUNCTION_ARGS)
{
	Oid			type = get_fn_expr_argtype(fcinfo->flinfo, 2);

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	if (type != TEXTOID && type != INT8OID && type != UUIDOID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("no column of type %s is asked for subjects", format_type_be(type))));
	PG_RETURN_DATUM(granted_answer(fcinfo, type));
}
