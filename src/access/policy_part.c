/*
 * policy_part.c: the functions that are asked of tables where examinees may grant parts, single
 * records or columns.
 *
 * question.c adds them to the policies of these tables, and column_mask.c to the queries.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "access/grant_cache.h"
#include "access/grant_part.h"
#include "access/policy.h"

/* The columns that are asked for. */
typedef struct PartColumns
{
	const char **names;
	int			count;
} PartColumns;

static void
part_columns(FunctionCallInfo fcinfo, PartColumns *columns)
{
	Datum	   *elements;

	if (PG_ARGISNULL(3) || array_contains_nulls(PG_GETARG_ARRAYTYPE_P(3)))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("columns must not be null")));
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(3), TEXTOID, -1, false, TYPALIGN_INT, &elements, NULL,
					  &columns->count);
	columns->names = palloc((Size) Max(columns->count, 1) * sizeof(char *));
	for (int i = 0; i < columns->count; i++)
		columns->names[i] = TextDatumGetCString(elements[i]);
}

/*
 * (subject, relation, row, ...): may the current member do that with the row, and these columns of
 * it?  whole: with all of the row.
 */
static bool
part_may(FunctionCallInfo fcinfo, uint8 operation, bool whole, const PartColumns *columns)
{
	PolicySubject subject;
	PartQuestion question = {.operation = operation, .whole = whole};
	GrantAnswer answer;
	bool		allowed;

	/* a row that an outer join has made up has nothing to show */
	if (PG_ARGISNULL(1) || PG_ARGISNULL(2) || !policy_subject(fcinfo, &subject))
		return false;
	answer = grant_cache_allows(subject.identity, subject.len, operation, PG_GETARG_OID(1));
	allowed = answer == GRANT_WHOLE;
	if (answer == GRANT_PARTS)
	{
		question.table = protection_of(PG_GETARG_OID(1));
		if (question.table != NULL)
		{
			question.identity = subject.identity;
			question.len = subject.len;
			question.row = PG_GETARG_HEAPTUPLEHEADER(2);
			if (columns != NULL)
			{
				question.columns = columns->names;
				question.ncolumns = columns->count;
			}
			allowed = grant_part_allows(&question);
		}
	}
	if (subject.to_free != NULL)
		pfree(subject.to_free);
	return allowed;
}

PG_FUNCTION_INFO_V1(medchain_may_query_record);

/* may_query_record(subject anyelement, relation regclass, record record) -> boolean */
Datum
medchain_may_query_record(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(part_may(fcinfo, GRANT_QUERY, false, NULL));
}

PG_FUNCTION_INFO_V1(medchain_may_update_record);

/* may_update_record(subject anyelement, relation regclass, record record, whole boolean) */
Datum
medchain_may_update_record(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(part_may(fcinfo, GRANT_UPDATE, PG_ARGISNULL(3) || PG_GETARG_BOOL(3), NULL));
}

PG_FUNCTION_INFO_V1(medchain_may_query_columns);

/* may_query_columns(subject anyelement, relation regclass, record record, columns text[]) */
Datum
medchain_may_query_columns(PG_FUNCTION_ARGS)
{
	PartColumns columns;

	part_columns(fcinfo, &columns);
	PG_RETURN_BOOL(part_may(fcinfo, GRANT_QUERY, false, &columns));
}

PG_FUNCTION_INFO_V1(medchain_require_update_of);

/*
 * require_update_of(subject anyelement, relation regclass, record record, columns text[], reads
 * boolean) -> boolean; ERROR instead of false.  reads: the new value is made of the old one.
 */
Datum
medchain_require_update_of(PG_FUNCTION_ARGS)
{
	PartColumns columns;
	const char *name;

	part_columns(fcinfo, &columns);
	name = columns.count > 0 ? columns.names[0] : "";
	if (!part_may(fcinfo, GRANT_UPDATE, false, &columns) ||
		((PG_ARGISNULL(4) || PG_GETARG_BOOL(4)) &&
		 !part_may(fcinfo, GRANT_QUERY, false, &columns)))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("column \"%.*s\" of this record may not be changed",
						pg_mbcliplen(name, (int) strlen(name), NAMEDATALEN - 1), name),
				 errdetail("What the examinee has granted does not say so of this column."),
				 errhint("Set the columns alone that are granted.")));
	PG_RETURN_BOOL(true);
}

PG_FUNCTION_INFO_V1(medchain_columns_granted);

/*
 * columns_granted(subject anyelement, relation regclass, record record) -> boolean: stands in the
 * policies until column_mask.c has seen the query.  What it has not seen is not shown.
 */
Datum
medchain_columns_granted(PG_FUNCTION_ARGS)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("a table with grants of single columns cannot be read in this way"),
			 errdetail("A function in SQL was made a part of the query that calls it."),
			 errhint("Write the function in PL/pgSQL, or declare it VOLATILE.")));
}
