/*
 * policy.c: the functions that row-level security policies call.
 *
 * may_query() and may_update() answer from the session's grant cache.  They are
 * PARALLEL RESTRICTED: a parallel worker does not know the client's certificate.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "access/grant_cache.h"
#include "access/policy.h"
#include "compat.h"
#include "node/shared.h"

/* How to get at the text of a subject, per call site. */
typedef struct SubjectReader
{
	bool		is_text;		/* the value is its own text */
	bool		is_padded;		/* but for the blanks at its end, which mean nothing */
	FmgrInfo	output;
} SubjectReader;

static SubjectReader *
policy_subject_reader(FunctionCallInfo fcinfo)
{
	SubjectReader *reader = fcinfo->flinfo->fn_extra;
	Oid			type;
	Oid			base;
	Oid			output;
	bool		is_varlena;

	if (reader != NULL)
		return reader;
	type = get_fn_expr_argtype(fcinfo->flinfo, 0);
	if (!OidIsValid(type))
		elog(ERROR, "could not determine the type of the subject");
	reader = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(SubjectReader));
	base = getBaseType(type);
	reader->is_padded = base == BPCHAROID;
	reader->is_text = base == TEXTOID || base == VARCHAROID || reader->is_padded;
	if (!reader->is_text)
	{
		getTypeOutputInfo(type, &output, &is_varlena);
		fmgr_info_cxt(output, &reader->output, fcinfo->flinfo->fn_mcxt);
	}
	fcinfo->flinfo->fn_extra = reader;
	return reader;
}

bool
policy_subject(FunctionCallInfo fcinfo, PolicySubject *subject)
{
	SubjectReader *reader;

	if (PG_ARGISNULL(0))
		return false;			/* a row about nobody is nobody's to see */
	shared_require();
	reader = policy_subject_reader(fcinfo);
	subject->to_free = NULL;
	if (reader->is_text)
	{
		text	   *value = PG_GETARG_TEXT_PP(0);
		int			len = VARSIZE_ANY_EXHDR(value);

		subject->identity = VARDATA_ANY(value);
		subject->len = (size_t) (reader->is_padded ? bpchartruelen(VARDATA_ANY(value), len) : len);
	}
	else
	{
		subject->to_free = OutputFunctionCall(&reader->output, PG_GETARG_DATUM(0));
		subject->identity = subject->to_free;
		subject->len = strlen(subject->to_free);
	}
	return true;
}

static bool
policy_may(FunctionCallInfo fcinfo, uint8 operation)
{
	Oid			relation = PG_ARGISNULL(1) ? InvalidOid : PG_GETARG_OID(1);
	PolicySubject subject;
	GrantAnswer answer;

	if (!policy_subject(fcinfo, &subject))
		return false;
	answer = grant_cache_allows(subject.identity, subject.len, operation, relation);
	if (subject.to_free != NULL)
		pfree(subject.to_free);
	return answer != GRANT_NOTHING;
}

PG_FUNCTION_INFO_V1(medchain_may_query);

Datum
medchain_may_query(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(policy_may(fcinfo, GRANT_QUERY));
}

PG_FUNCTION_INFO_V1(medchain_may_update);

Datum
medchain_may_update(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(policy_may(fcinfo, GRANT_UPDATE));
}
