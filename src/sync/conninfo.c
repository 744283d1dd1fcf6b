/*
 * conninfo.c: what is in a connection string.
 *
 * libpq parses it (PQconninfoParse), as it will when the connection is made.  What it says of one
 * that it does not take may have a password in it, and is not shown.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "libpq-fe.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "sync/reason.h"

PG_FUNCTION_INFO_V1(medchain_conninfo_options);

/* conninfo_options(conninfo text, OUT keyword text, OUT value text) */
Datum
medchain_conninfo_options(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	char	   *conninfo = text_to_cstring(PG_GETARG_TEXT_PP(0));
	PQconninfoOption *options;

	InitMaterializedSRF(fcinfo, 0);
	reason_check_conninfo(conninfo);
	options = PQconninfoParse(conninfo, NULL);
	if (options == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	PG_TRY();
	{
		for (PQconninfoOption *option = options; option->keyword != NULL; option++)
		{
			Datum		values[2];
			bool		nulls[2] = {false};

			if (option->val == NULL)
				continue;
			values[0] = CStringGetTextDatum(option->keyword);
			values[1] = CStringGetTextDatum(option->val);
			tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
		}
	}
	PG_FINALLY();
	{
		PQconninfoFree(options);
	}
	PG_END_TRY();
	return (Datum) 0;
}
