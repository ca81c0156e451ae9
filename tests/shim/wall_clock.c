/* A wall clock that a test can set: every door of libc to CLOCK_REALTIME, shifted by the control page. */
#define _GNU_SOURCE
#include "faults.h"

#include <dlfcn.h>
#include <sys/time.h>
#include <time.h>

static int64_t offset_ms(void)
{
	struct fault_control *c = fault_control();
	return c ? atomic_load_explicit(&c->wall_offset_ms, memory_order_relaxed) : 0;
}

static void shift(struct timespec *t)
{
	int64_t ms = offset_ms(), ns = t->tv_nsec + ms % 1000 * 1000000;
	t->tv_sec += ms / 1000;
	if (ns >= 1000000000) {
		t->tv_sec++;
		ns -= 1000000000;
	} else if (ns < 0) {
		t->tv_sec--;
		ns += 1000000000;
	}
	t->tv_nsec = ns;
}

int clock_gettime(clockid_t id, struct timespec *t)
{
	static int (*next)(clockid_t, struct timespec *);
	if (!next)
		*(void **)&next = dlsym(RTLD_NEXT, "clock_gettime");
	int rc = next(id, t);
	if (rc == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		shift(t);
	return rc;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	(void)zone;
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	tv->tv_sec = t.tv_sec;
	tv->tv_usec = t.tv_nsec / 1000;
	return 0;
}

time_t time(time_t *out)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	if (out)
		*out = t.tv_sec;
	return t.tv_sec;
}

int timespec_get(struct timespec *t, int base)
{
	return base == TIME_UTC && clock_gettime(CLOCK_REALTIME, t) == 0 ? base : 0;
}
