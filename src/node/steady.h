/*
 * steady.h: a clock that nobody sets, for how long something has taken.
 *
 * The date of a server jumps: a virtual machine is resumed, an administrator or NTP puts it right.
 * Who compares two dates to find out whether a second has passed waits an hour when it was put back
 * by that, and workers that look around once a second do nothing until then.  What is shown, signed
 * or decided by goes by the date; how long to wait goes by this.
 */
#ifndef MEDCHAIN_NODE_STEADY_H
#define MEDCHAIN_NODE_STEADY_H

#include <time.h>

#include "datatype/timestamp.h"
#include "utils/timestamp.h"

/* Far from 0, which stands for "never": further than anybody waits. */
#define STEADY_BEGIN (INT64CONST(36500) * USECS_PER_DAY)

/*
 * Microseconds of CLOCK_MONOTONIC (POSIX, clock_getres()), which all processes of a machine share.
 * The form is that of a TimestampTz, so that TimestampDifferenceExceeds() and its like serve; to
 * compare it with a date means nothing.
 */
static inline TimestampTz
steady_now(void)
{
	struct timespec now;

	(void) clock_gettime(CLOCK_MONOTONIC, &now);
	return STEADY_BEGIN + (TimestampTz) now.tv_sec * USECS_PER_SEC + now.tv_nsec / 1000;
}

/* The date that it was then, by today's idea of it. */
static inline TimestampTz
steady_date(TimestampTz then)
{
	return GetCurrentTimestamp() - (steady_now() - then);
}

#endif
