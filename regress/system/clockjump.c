/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

/*
 * Preloaded into a daemon: its wall clock, and no other one, is ahead by as
 * many milliseconds as the file named by CLOCKJUMP says.  The programs that it
 * executes have their right time.
 */

#include <sys/mman.h>
#include <sys/time.h>

#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *ahead;

__attribute__((constructor)) static void
begin(void)
{
	const char *path = getenv("CLOCKJUMP");
	int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	void *map = fd == -1 ?
	    MAP_FAILED :
	    mmap(NULL, sizeof(*ahead), PROT_READ, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		abort();
	close(fd);
	ahead = map;
	unsetenv("LD_PRELOAD");
	unsetenv("CLOCKJUMP");
}

int
clock_gettime(clockid_t id, struct timespec *ts)
{
	static int (*real)(clockid_t, struct timespec *);
	int r;

	if (real == NULL)
		real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT,
		    "clock_gettime");
	r = real(id, ts);
	if (r == 0 && id == CLOCK_REALTIME && ahead != NULL) {
		ts->tv_sec += *ahead / 1000;
		ts->tv_nsec += *ahead % 1000 * 1000000;
		if (ts->tv_nsec < 0 || ts->tv_nsec >= 1000000000) {
			ts->tv_sec += ts->tv_nsec < 0 ? -1 : 1;
			ts->tv_nsec += ts->tv_nsec < 0 ? 1000000000 :
							 -1000000000;
		}
	}
	return (r);
}

int
gettimeofday(struct timeval *tv, void *zone)
{
	struct timespec ts;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &ts);
	tv->tv_sec = ts.tv_sec;
	tv->tv_usec = ts.tv_nsec / 1000;
	return (0);
}

time_t
time(time_t *t)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	if (t != NULL)
		*t = ts.tv_sec;
	return (ts.tv_sec);
}
