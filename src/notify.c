/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <sys/socket.h>
#include <sys/un.h>

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "mtgcpd.h"

/*
 * What the service manager is told, see sd_notify(3): that the daemon is ready,
 * reloads or stops, the state of each failover, and that it is alive.  It is
 * alive if its loop turns and no failover's cycle is overdue.
 */

#define STATUS_LEN 512
#define OVERDUE	   (10 * 1000) /* milliseconds beyond what a cycle may take */

static struct {
	int fd; /* -1: nobody wants to know */
	struct sockaddr_un address;
	socklen_t len;
	struct event *watchdog; /* or NULL */
	struct timeval period;
	char status[STATUS_LEN];
} notify = { .fd = -1 };

static void tell(const char *format, ...)
    __attribute__((__format__(__printf__, 1, 2)));

static void
tell(const char *format, ...)
{
	char text[STATUS_LEN + 64];
	va_list ap;
	int n;

	if (notify.fd == -1)
		return;
	va_start(ap, format);
	n = vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(text))
		return;
	(void)sendto(notify.fd, text, (size_t)n, MSG_NOSIGNAL,
	    (const struct sockaddr *)&notify.address, notify.len);
}

/* Has every failover ended a cycle in the time that it has for one? */
static bool
cycles_turn(void)
{
	struct failover *failover;
	size_t i, count = engine_failovers(&failover);
	int64_t now = mono_ms(), last;

	for (i = 0; i < count; i++) {
		last = failover[i].ended > mtgcpd.started ? failover[i].ended :
							    mtgcpd.started;
		if (now - last > failover[i].conf->policy.interval +
			failover[i].conf->timeout.health + OVERDUE)
			return (false);
	}
	return (true);
}

static void
on_watchdog(evutil_socket_t fd __unused, short what __unused,
    void *arg __unused)
{
	if (reload_running() || cycles_turn())
		tell("WATCHDOG=1");
	else
		log_errorx("a cycle is overdue: the watchdog is not told that "
			   "all is well");
	evtimer_add(notify.watchdog, &notify.period);
}

/* Twice in the time that the service manager allows. */
static void
watchdog_start(void)
{
	const char *text = getenv("WATCHDOG_USEC"), *error;
	const char *pid = getenv("WATCHDOG_PID");
	long long usec;

	if (text == NULL ||
	    (pid != NULL && strtoll(pid, NULL, 10) != (long long)getpid()))
		return;
	usec = strtonum(text, 1000, INT64_MAX / 2, &error) / 2;
	if (error != NULL)
		return;
	notify.period.tv_sec = (time_t)(usec / 1000000);
	notify.period.tv_usec = (suseconds_t)(usec % 1000000);
	notify.watchdog = evtimer_new(mtgcpd.base, on_watchdog, NULL);
	if (notify.watchdog == NULL ||
	    evtimer_add(notify.watchdog, &notify.period) == -1)
		fatalx("%s", __func__);
}

/* Find out who wants to know, before the children are started: they must not.
 * Nobody: everything here does nothing. */
void
notify_open(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t len = path == NULL ? 0 : strlen(path);

	if (len > 1 && len < sizeof(notify.address.sun_path) &&
	    (*path == '/' || *path == '@')) {
		notify.address.sun_family = AF_UNIX;
		memcpy(notify.address.sun_path, path, len);
		if (*path == '@')
			notify.address.sun_path[0] = '\0';
		notify.len =
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
		notify.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (notify.fd == -1)
			log_warn("NOTIFY_SOCKET");
		else
			watchdog_start();
	}
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

/* The daemon has started, or has reloaded. */
void
notify_ready(void)
{
	tell("READY=1");
}

/* The configuration is being read again. */
void
notify_reloading(void)
{
	struct timespec ts;

	/* That very clock is asked for. */
	if (clock_gettime(CLOCK_MONOTONIC, &ts) == -1)
		fatal("clock_gettime");
	tell("RELOADING=1\nMONOTONIC_USEC=%lld",
	    (long long)ts.tv_sec * 1000000 + ts.tv_nsec / 1000);
}

/* The daemon stops. */
void
notify_stopping(void)
{
	tell("STOPPING=1");
}

/* The state of each failover, as far as there is room, if it is not the same
 * as before. */
void
notify_status(void)
{
	char status[STATUS_LEN] = "", part[FAILOVER_LEN + 64];
	const struct failover *f;
	struct failover *failover;
	size_t i, count;

	if (notify.fd == -1)
		return;
	count = engine_failovers(&failover);
	for (i = 0; i < count; i++) {
		f = &failover[i];
		snprintf(part, sizeof(part), "%s%s: state %d%s%s%s%s",
		    i == 0 ? "" : ", ", f->conf->name, f->machine.current,
		    f->decision.read == STATE_NONE ? " (not known)" : "",
		    f->conf->passive ? " passive" : "",
		    f->orders.force != STATE_NONE ? " forced" : "",
		    f->orders.hold ? " held" : "");
		if (strlcat(status, part, sizeof(status)) >= sizeof(status)) {
			strlcpy(status + sizeof(status) - 4, "...", 4);
			break;
		}
	}
	if (strcmp(status, notify.status) == 0)
		return;
	strlcpy(notify.status, status, sizeof(notify.status));
	tell("STATUS=%s", status);
}

/* Nobody is told anything any more. */
void
notify_close(void)
{
	if (notify.watchdog != NULL)
		event_free(notify.watchdog);
	if (notify.fd != -1)
		close(notify.fd);
	notify.watchdog = NULL;
	notify.fd = -1;
}
