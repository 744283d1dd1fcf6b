/*
 * jumping_clock.c: a server's date, set forward or back by a test while the server runs.
 *
 * To be preloaded (LD_PRELOAD); the environment variable JUMPING_CLOCK names a file with the number
 * of microseconds that the date is ahead, as an int64 of this machine.  The clock that nobody sets
 * stays as it is.  libfaketime does it with more care, but forgets about processes that are forked
 * while it waits for the system, as PostgreSQL's before 16 are.
 */
#define _GNU_SOURCE

#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *ahead;

__attribute__((constructor))
static void
clock_begin(void)
{
	const char *name = getenv("JUMPING_CLOCK");
	int			file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
	void	   *map;

	if (file < 0)
		return;
	map = mmap(NULL, sizeof(*ahead), PROT_READ, MAP_SHARED, file, 0);
	close(file);
	if (map != MAP_FAILED)
		ahead = map;
}

int
clock_gettime(clockid_t clock, struct timespec *now)
{
	static int	(*next) (clockid_t, struct timespec *) = NULL;
	int			result;

	if (next == NULL)
		*(void **) &next = dlsym(RTLD_NEXT, "clock_gettime");
	result = next(clock, now);
	if (result == 0 && ahead != NULL && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
	{
		int64_t		micros = now->tv_nsec / 1000 + *ahead % 1000000 + 1000000;

		now->tv_sec += *ahead / 1000000 + micros / 1000000 - 1;
		now->tv_nsec = micros % 1000000 * 1000;
	}
	return result;
}

int
gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	struct timespec time;

	(void) zone;
	if (clock_gettime(CLOCK_REALTIME, &time) != 0)
		return -1;
	now->tv_sec = time.tv_sec;
	now->tv_usec = time.tv_nsec / 1000;
	return 0;
}

time_t
time(time_t *result)
{
	struct timespec now;

	if (clock_gettime(CLOCK_REALTIME, &now) != 0)
		return (time_t) -1;
	if (result != NULL)
		*result = now.tv_sec;
	return now.tv_sec;
}
