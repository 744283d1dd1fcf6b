/*
 * grant_load.h: the grants of a member, and what it sees in an emergency, out of the tables.
 */
#ifndef MEDCHAIN_ACCESS_GRANT_LOAD_H
#define MEDCHAIN_ACCESS_GRANT_LOAD_H

#include "postgres.h"
#include "access/grant_table.h"

typedef struct GrantLoad
{
	GrantTable *table;			/* is filled */
	TimestampTz clock;			/* what has ended by then is left out */
	TimestampTz horizon;		/* the first moment at which something begins or ends */
	uint32		head;			/* of the one subject asked for */
	bool		glasses;		/* look for broken ones, too */
	Size		room;			/* bytes that the table may take */
	bool		too_many;		/* it would take more */
} GrantLoad;

/* Has this member broken the glass, so that it has not ended by then? */
extern bool grant_load_has_glasses(const char *member, TimestampTz clock);

/*
 * All of a member; false: that table would take more than so many bytes.  And of one subject:
 * returns the head of its list.
 */
extern bool grant_load_all(GrantLoad *load, const char *member, Size room);
extern uint32 grant_load_one(GrantLoad *load, const char *member, const char *identity,
							 size_t len);

/* How many grants a member has, and all together, roughly, and never at the cost of many. */
extern double grant_load_estimate(const char *member, double *all);

#endif
