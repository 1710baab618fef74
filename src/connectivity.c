/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "mtgcpd.h"

/*
 * Connectivity tests: what will be needed in a disaster is tried before, when
 * the daemon starts, once a day while all is quiet, and when somebody asks for
 * it.  The prober and the actuator test what they hold; here is when, and what
 * is told of it.  The failovers of a round come one after another.
 */

#define DAY	   (24 * 3600 * 1000LL) /* milliseconds, as all here */
#define NOT_QUIET  (5 * 60 * 1000LL)
#define PAUSE	   (5 * 1000LL) /* between two failovers of a daemon */
#define GRACE	   (5 * 1000LL) /* that a child may be late */
#define TOKEN_TIME (2 * 1000LL) /* the actuator may wait for a new one */

static struct {
	const struct conf *conf;
	struct channel *channel[ROLE_MAX];
	uint64_t number;		/* of the round */
	const struct failover_conf *fc; /* being tested, or NULL */
	const struct failover_conf *next;
	bool awaited[ROLE_MAX];
	unsigned int results[ROLE_MAX];
	struct event *timer; /* patience with the children, or until what is
				next */
	/* Of a round that somebody has asked for. */
	void (*done)(bool failed); /* NULL: the daemon's */
	bool failed;
	int width;	      /* of the names of the failovers */
	char *text[ROLE_MAX]; /* the lines of a failover */
} tests;

static const enum role testers[] = { ROLE_PROBER, ROLE_ACTUATOR };

#define TESTERS (sizeof(testers) / sizeof(testers[0]))

static void connectivity_event(evutil_socket_t, short, void *);
static void connectivity_next(void);

static void
connectivity_after(int64_t ms)
{
	struct timeval tv = { ms / 1000, (ms % 1000) * 1000 };

	if (evtimer_add(tests.timer, &tv) == -1)
		fatalx("evtimer_add");
}

/* As long as all calls of both children may take, one after another. */
static int64_t
connectivity_patience(const struct failover_conf *fc)
{
	const struct timeouts *timeout = &fc->timeout;

	return (3 * (int64_t)timeout->api + timeout->health +
	    3 * (int64_t)timeout->cloudflare + timeout->cloudflare_bulk +
	    TOKEN_TIME + GRACE);
}

static void
connectivity_failover(const struct failover_conf *fc)
{
	struct msg_test msg = { .test = tests.number };
	enum role role;
	size_t i;

	tests.fc = fc;
	tests.next = TAILQ_NEXT(fc, entry);
	for (i = 0; i < TESTERS; i++) {
		role = testers[i];
		tests.awaited[role] = true;
		tests.results[role] = 0;
		channel_send(tests.channel[role], IMSG_TEST, fc->index, &msg,
		    sizeof(msg));
	}
	connectivity_after(connectivity_patience(fc));
}

static void
connectivity_round(void)
{
	tests.number++;
	connectivity_failover(TAILQ_FIRST(&tests.conf->failovers));
}

static void
connectivity_init(struct event_base *base, const struct conf *conf,
    struct channel *prober, struct channel *actuator)
{
	tests.conf = conf;
	tests.channel[ROLE_PROBER] = prober;
	tests.channel[ROLE_ACTUATOR] = actuator;
	if (tests.timer == NULL)
		tests.timer = evtimer_new(base, connectivity_event, NULL);
	if (tests.timer == NULL)
		fatalx("evtimer_new");
}

/*
 * Test all failovers of the configuration now, and every day.  conf has to
 * outlive that, or connectivity_stop() to be called before.
 */
void
connectivity_start(struct event_base *base, const struct conf *conf,
    struct channel *prober, struct channel *actuator)
{
	connectivity_init(base, conf, prober, actuator);
	connectivity_round();
}

/*
 * Test all failovers once, with a line for each test on standard output; done
 * is called at the end.
 */
void
connectivity_once(struct event_base *base, const struct conf *conf,
    struct channel *prober, struct channel *actuator,
    void (*done)(bool failed))
{
	const struct failover_conf *fc;
	int width;

	TAILQ_FOREACH(fc, &conf->failovers, entry) {
		width = (int)strlen(fc->name);
		if (width > tests.width)
			tests.width = width;
	}
	tests.done = done;
	connectivity_init(base, conf, prober, actuator);
	connectivity_round();
}

/* Test nothing any more; what is under way is forgotten. */
void
connectivity_stop(void)
{
	size_t i;

	if (tests.timer != NULL)
		event_free(tests.timer);
	for (i = 0; i < TESTERS; i++)
		free(tests.text[testers[i]]);
	/* What still comes is of a number that has passed. */
	memset(&tests, 0, offsetof(struct tests, number));
}
