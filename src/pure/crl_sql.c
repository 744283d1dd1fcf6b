/*
 * crl_sql.c: the SQL face of core/crl.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "core/crl.h"
#include "pure/pure.h"

#define CRL_HINT "Give one revocation list in PEM format (\"BEGIN X509 CRL\")."

#define SECONDS_TO_2000 ((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * (int64) SECS_PER_DAY)

static Datum
crl_timestamp(int64_t seconds)
{
	return TimestampTzGetDatum((seconds - SECONDS_TO_2000) * USECS_PER_SEC);
}

static Datum
crl_row(FunctionCallInfo fcinfo, Datum *values, bool *nulls)
{
	TupleDesc	desc;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	return HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
}

PG_FUNCTION_INFO_V1(medchain_crl_facts);

/* crl_facts(crl text, issuers text) -> (issuer, this_update, next_update, certificates) */
Datum
medchain_crl_facts(PG_FUNCTION_ARGS)
{
	text	   *crl;
	text	   *issuers = PG_ARGISNULL(1) ? NULL : PG_GETARG_TEXT_PP(1);
	CrlInfo		info;
	CoreError	error = {0};
	Datum		values[4] = {0};
	bool		nulls[4] = {false};

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	crl = PG_GETARG_TEXT_PP(0);
	if (!crl_info(VARDATA_ANY(crl), VARSIZE_ANY_EXHDR(crl), issuers ? VARDATA_ANY(issuers) : NULL,
				  issuers ? VARSIZE_ANY_EXHDR(issuers) : 0, &info, &error))
		pure_error(&error, CRL_HINT);
	values[0] = CStringGetTextDatum(info.issuer);
	values[1] = crl_timestamp(info.this_update);
	nulls[2] = !info.has_next_update;
	values[2] = crl_timestamp(info.next_update);
	values[3] = Int32GetDatum(info.certificates);
	PG_RETURN_DATUM(crl_row(fcinfo, values, nulls));
}

PG_FUNCTION_INFO_V1(medchain_crl_revocation);

/* crl_revocation(crl text, certificate text, trust_anchors text) -> (revoked, reason) */
Datum
medchain_crl_revocation(PG_FUNCTION_ARGS)
{
	text	   *crl = PG_GETARG_TEXT_PP(0);
	text	   *certificate = PG_GETARG_TEXT_PP(1);
	text	   *anchors = PG_GETARG_TEXT_PP(2);
	CrlRevocation revocation;
	CoreError	error = {0};
	Datum		values[2] = {0};
	bool		nulls[2] = {true, true};

	if (!crl_find(VARDATA_ANY(crl), VARSIZE_ANY_EXHDR(crl), VARDATA_ANY(certificate),
				  VARSIZE_ANY_EXHDR(certificate),
				  VARDATA_ANY(anchors), VARSIZE_ANY_EXHDR(anchors), &revocation, &error))
		pure_error(&error, CRL_HINT);
	if (revocation.revoked)
	{
		nulls[0] = nulls[1] = false;
		values[0] = crl_timestamp(revocation.since);
		values[1] = CStringGetTextDatum(revocation.reason);
	}
	PG_RETURN_DATUM(crl_row(fcinfo, values, nulls));
}
