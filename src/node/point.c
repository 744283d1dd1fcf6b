/*
 * point.c: points in our PL/pgSQL at which a test can stop a session, as those in C are that
 * COMPAT_INJECTION_POINT() makes.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "compat.h"

PG_FUNCTION_INFO_V1(medchain_injection_point);

/* injection_point(name text) -> void */
Datum
medchain_injection_point(PG_FUNCTION_ARGS)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));

	COMPAT_INJECTION_POINT(name);
	PG_RETURN_VOID();
}
