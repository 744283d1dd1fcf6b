/*
 * verify_stray.c: rows that no walk through a chain comes by.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"

#include "node/trusted.h"
#include "verify/verify_job.h"

void
verify_stray_rows(VerifyJob *job, int number)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[2] = {TEXTOID, INT8OID};
	Datum		values[2];

	/* in the order of the indexes, and no more than can be told */
	values[0] = CStringGetTextDatum(verify_job_origin(job, number)->origin);
	values[1] = Int64GetDatum(job->fault_limit);
	trusted_read(&plan,
				 "(SELECT 'entry', seq FROM medchain.entry WHERE origin = $1 AND seq < 0 "
				 "ORDER BY seq LIMIT $2) UNION ALL "
				 "(SELECT 'block', height FROM medchain.block WHERE origin = $1 AND height < 0 "
				 "ORDER BY height LIMIT $2) UNION ALL "
				 "(SELECT 'tile', index FROM medchain.tile WHERE origin = $1 AND (index < 0 OR "
				 "level NOT BETWEEN 1 AND 7) ORDER BY level, index LIMIT $2)",
				 2, types, values);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		char	   *what = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
		char	   *which = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2);

		verify_job_report(job, number, -1, (int64) i, "stray row",
						  "%s %s is no part of the chain", what, which);
	}
	SPI_freetuptable(SPI_tuptable);
}

void
verify_local_rows(VerifyJob *job, int number, bool whole)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[1] = {BOOLOID};
	Datum		values[1] = {BoolGetDatum(whole)};

	trusted_read(&plan, "SELECT f FROM medchain_internal.local_faults($1) f", 1, types, values);
	for (uint64 i = 0; i < SPI_processed; i++)
		verify_job_report(job, number, -1, (int64) i, "local table differs", "%s",
						  SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1));
	SPI_freetuptable(SPI_tuptable);
}
