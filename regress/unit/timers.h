/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef UNIT_TIMERS_H
#define UNIT_TIMERS_H

#include <sys/types.h>
#include <sys/queue.h>

#include <event2/event.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

/*
 * Timers, and a time that only passes when a test lets it: what is included
 * before uses these in place of libevent's.
 */

struct event {
	TAILQ_ENTRY(event) entry;
	event_callback_fn cb;
	void *arg;
	bool pending;
	int64_t due;
};

static TAILQ_HEAD(, event) events = TAILQ_HEAD_INITIALIZER(events);
static int64_t now;

int64_t
http_now(void)
{
	return (now);
}

struct event *
event_new(struct event_base *unused, evutil_socket_t fd, short what,
    event_callback_fn cb, void *arg)
{
	struct event *ev = calloc(1, sizeof(*ev));

	(void)unused;
	(void)fd;
	(void)what;
	assert_non_null(ev);
	ev->cb = cb;
	ev->arg = arg;
	return (ev);
}

int
event_del(struct event *ev)
{
	if (ev->pending)
		TAILQ_REMOVE(&events, ev, entry);
	ev->pending = false;
	return (0);
}

/* Sooner goes first, and of the same time the one that was added first. */
int
event_add(struct event *ev, const struct timeval *tv)
{
	struct event *other;

	event_del(ev);
	ev->pending = true;
	ev->due = now + tv->tv_sec * 1000 + tv->tv_usec / 1000;
	TAILQ_FOREACH(other, &events, entry)
		if (other->due > ev->due)
			break;
	if (other != NULL)
		TAILQ_INSERT_BEFORE(other, ev, entry);
	else
		TAILQ_INSERT_TAIL(&events, ev, entry);
	return (0);
}

int
event_pending(const struct event *ev, short what, struct timeval *tv)
{
	(void)what;
	(void)tv;
	return (ev->pending);
}

void
event_active(struct event *ev, int what, short n)
{
	static const struct timeval at_once;

	(void)what;
	(void)n;
	event_add(ev, &at_once);
}

void
event_free(struct event *ev)
{
	event_del(ev);
	free(ev);
}

#endif /* UNIT_TIMERS_H */
