/*
 * verify_set.h: what verify() says about sets, whose items are in this database alone.
 */
#ifndef MEDCHAIN_VERIFY_VERIFY_SET_H
#define MEDCHAIN_VERIFY_VERIFY_SET_H

#include "postgres.h"
#include "utils/uuid.h"

#include "verify/verify_job.h"

/*
 * If entry seq of our own chain is a set: are its items what it says?  *kept: NULL at first, and
 * then what is kept from one set to the next.
 */
extern void verify_set(VerifyJob *job, int origin, int64 height, int64 seq, const text *kind,
					   const pg_uuid_t *id, const text *payload, void **kept);

/* Items that are of no set of that chain. */
extern void verify_set_strays(VerifyJob *job, int origin);

#endif
