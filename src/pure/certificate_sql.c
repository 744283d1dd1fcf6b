/*
 * certificate_sql.c: the SQL face of src/core/certificate.h.
 *
 * Each function takes text (PEM) and bytea (a file as it is: PEM or DER); the C code is the same,
 * as both are a length and bytes.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "core/certificate.h"
#include "node/settings.h"
#include "node/shown.h"
#include "pure/pure.h"

#define CERTIFICATE_HINT \
	"Give certificates, and revocation lists, in PEM format (\"BEGIN CERTIFICATE\", " \
	"\"BEGIN X509 CRL\"), and CA certificates as trust anchors."

#define SECONDS_TO_2000 ((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * (int64) SECS_PER_DAY)

static int64
certificate_time_argument(TimestampTz at)
{
	if (TIMESTAMP_NOT_FINITE(at))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("a certificate cannot be verified at an infinite time")));
	return at / USECS_PER_SEC + SECONDS_TO_2000;
}

/* A certificate may be valid for longer than PostgreSQL can count: the years 1950 to 9999 fit. */
static Datum
certificate_timestamp(int64 seconds)
{
	return TimestampTzGetDatum((seconds - SECONDS_TO_2000) * USECS_PER_SEC);
}

static CertificateCrlPolicy
certificate_policy_argument(text *name)
{
	CertificateCrlPolicy policy;
	char	   *policy_name = text_to_cstring(name);

	if (!certificate_crl_policy_from_name(policy_name, &policy))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown policy for revocation lists \"%s\"", shown(policy_name)),
				 errhint("Policies are strict and last_known.")));
	return policy;
}

PG_FUNCTION_INFO_V1(medchain_verify_certificate);

/* verify_certificate(certificate, trust_anchors, crls, at, crl_policy) -> (ok, reason) */
Datum
medchain_verify_certificate(PG_FUNCTION_ARGS)
{
	text	   *certificate;
	text	   *anchors;
	text	   *crls = NULL;
	CertificateCrlPolicy policy = setting_crl_policy;
	char		reason[CORE_MESSAGE_LEN];
	CoreError	error = {0};
	CertificateVerdict verdict;
	TupleDesc	desc;
	Datum		values[2];
	bool		nulls[2] = {false, false};

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(3))
		PG_RETURN_NULL();
	certificate = PG_GETARG_TEXT_PP(0);
	anchors = PG_GETARG_TEXT_PP(1);
	if (!PG_ARGISNULL(2))
		crls = PG_GETARG_TEXT_PP(2);
	if (!PG_ARGISNULL(4))
		policy = certificate_policy_argument(PG_GETARG_TEXT_PP(4));

	verdict = certificate_verify(VARDATA_ANY(certificate), VARSIZE_ANY_EXHDR(certificate),
								 VARDATA_ANY(anchors), VARSIZE_ANY_EXHDR(anchors),
								 crls ? VARDATA_ANY(crls) : NULL, crls ? VARSIZE_ANY_EXHDR(crls) :
								 0, policy,
								 certificate_time_argument(PG_GETARG_TIMESTAMPTZ(3)), reason,
								 &error);
	if (verdict == CERTIFICATE_ERROR)
		pure_error(&error, CERTIFICATE_HINT);
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = BoolGetDatum(verdict == CERTIFICATE_VALID);
	values[1] = pure_text(reason);
	nulls[1] = reason[0] == '\0';
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}

PG_FUNCTION_INFO_V1(medchain_certificate_facts);

/*
 * certificate_facts(certificate) -> (subject, issuer, not_before, not_after, fingerprint,
 * public_key, key_fingerprint)
 */
Datum
medchain_certificate_facts(PG_FUNCTION_ARGS)
{
	text	   *certificate = PG_GETARG_TEXT_PP(0);
	CertificateInfo info;
	CoreError	error = {0};
	const Key  *key;
	char	   *pem;
	char		fingerprint[65];
	TupleDesc	desc;
	Datum		values[7];
	bool		nulls[7] = {false};

	if (!certificate_info(VARDATA_ANY(certificate), VARSIZE_ANY_EXHDR(certificate), &info, &error))
		pure_error(&error, CERTIFICATE_HINT);
	key = pure_key(certificate);
	pem = key_to_pem(key, &error);
	if (pem == NULL || !key_fingerprint(key, fingerprint))
		elog(ERROR, "could not read the key of a certificate: %s", error.message);
	values[5] = CStringGetTextDatum(pem);
	key_free_text(pem);
	values[0] = pure_text(info.subject);
	values[1] = pure_text(info.issuer);
	values[2] = certificate_timestamp(info.not_before);
	values[3] = certificate_timestamp(info.not_after);
	values[4] = pure_bytea(info.fingerprint, HASH_LEN);
	values[6] = CStringGetTextDatum(fingerprint);
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}

PG_FUNCTION_INFO_V1(medchain_certificate_path);

/*
 * certificate_path(certificate, trust_anchors, at) -> setof (position, subject, issuer, serial,
 * not_before, not_after, fingerprint, is_anchor)
 */
Datum
medchain_certificate_path(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	text	   *certificate = PG_GETARG_TEXT_PP(0);
	text	   *anchors = PG_GETARG_TEXT_PP(1);
	int64		at = certificate_time_argument(PG_GETARG_TIMESTAMPTZ(2));
	CertificateInfo *path = palloc(sizeof(CertificateInfo) * CERTIFICATE_PATH_MAX);
	bool		anchored = false;
	CoreError	error = {0};
	int			count;

	InitMaterializedSRF(fcinfo, 0);
	count = certificate_path(VARDATA_ANY(certificate), VARSIZE_ANY_EXHDR(certificate),
							 VARDATA_ANY(anchors), VARSIZE_ANY_EXHDR(anchors), at, path, &anchored,
							 &error);
	if (count == 0)
		pure_error(&error, CERTIFICATE_HINT);
	for (int i = 0; i < count; i++)
	{
		Datum		values[8];
		bool		nulls[8] = {false};

		values[0] = Int32GetDatum(i);
		values[1] = pure_text(path[i].subject);
		values[2] = pure_text(path[i].issuer);
		values[3] = CStringGetTextDatum(path[i].serial);
		values[4] = certificate_timestamp(path[i].not_before);
		values[5] = certificate_timestamp(path[i].not_after);
		values[6] = pure_bytea(path[i].fingerprint, HASH_LEN);
		values[7] = BoolGetDatum(anchored && i == count - 1);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* What a function of src/core wrote, as a text of ours. */
static text *
certificate_text(char *written, const CoreError *error)
{
	text	   *result;

	if (written == NULL)
		pure_error(error, CERTIFICATE_HINT);
	result = cstring_to_text(written);
	key_free_text(written);
	return result;
}

PG_FUNCTION_INFO_V1(medchain_certificate_pem);

/* certificate_pem(certificate bytea) -> text */
Datum
medchain_certificate_pem(PG_FUNCTION_ARGS)
{
	bytea	   *data = PG_GETARG_BYTEA_PP(0);
	CoreError	error = {0};

	PG_RETURN_TEXT_P(certificate_text(certificate_to_pem(VARDATA_ANY(data), VARSIZE_ANY_EXHDR(data),
														 &error), &error));
}

PG_FUNCTION_INFO_V1(medchain_crl_pem);

/* crl_pem(crl bytea) -> text */
Datum
medchain_crl_pem(PG_FUNCTION_ARGS)
{
	bytea	   *data = PG_GETARG_BYTEA_PP(0);
	CoreError	error = {0};

	PG_RETURN_TEXT_P(certificate_text(certificate_crls_to_pem(VARDATA_ANY(data),
													   VARSIZE_ANY_EXHDR(data), &error), &error));
}
