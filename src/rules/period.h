/*
 * period.h: times and periods, as the ledger spells them.
 *
 * A time is microseconds since 2000-01-01 00:00 UTC, as PostgreSQL counts them, and a period what
 * its tstzrange is, so that the node's tables and the rules mean the same.
 */
#ifndef MEDCHAIN_RULES_PERIOD_H
#define MEDCHAIN_RULES_PERIOD_H

#include "rules/json_slice.h"

#define PERIOD_TIME_SIZE 48		/* a time as text, terminator included */
#define PERIOD_SECOND INT64_C(1000000)
#define PERIOD_EPOCH INT64_C(946684800) /* seconds from 1970 to 2000 */

typedef struct Period
{
	bool		empty;
	bool		has_from;
	bool		has_to;
	bool		from_inclusive;
	bool		to_inclusive;
	int64_t		from;
	int64_t		to;
} Period;

/*
 * A time in the ledger's spelling, to the microsecond or as blocks have it to the millisecond;
 * false if there is no such time.  24:00 is the next day, and second 60 the next minute, as
 * PostgreSQL takes them.
 */
extern bool period_time(const char *text, int64_t *time);

/* The ledger's spelling. */
extern void period_time_text(int64_t time, char out[PERIOD_TIME_SIZE]);

/* Seconds since 1970, for certificates; as PostgreSQL divides: toward 2000. */
extern int64_t period_seconds(int64_t time);
extern int64_t period_from_seconds(int64_t seconds);

/* [from, to); NULL: open */
extern Period period_between(const int64_t *from, const int64_t *to);

/*
 * {"from": time, "to": time}, each of them missing or null where it is open; missing or null
 * itself: all times.  False if it is none.  doc/ledger.md, "Kinds, and what their bodies say".
 */
extern bool period_read(JsonSlice value, Period *period);

extern bool period_has(const Period *period, int64_t time);
extern Period period_intersect(const Period *a, const Period *b);

/* As tstzrange prints it, with times in the ledger's spelling. */
extern char *period_text(Pool *pool, const Period *period);

#endif
