/*
 * policy.h: what functions share that policies call.
 */
#ifndef MEDCHAIN_ACCESS_POLICY_H
#define MEDCHAIN_ACCESS_POLICY_H

#include "postgres.h"
#include "fmgr.h"

typedef struct PolicySubject
{
	const char *identity;
	size_t		len;
	char	   *to_free;		/* or NULL */
} PolicySubject;

/* The function's first argument, whatever its type is; false: null. */
extern bool policy_subject(FunctionCallInfo fcinfo, PolicySubject *subject);

#endif
