/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <sys/socket.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mtgcpd.h"

/*
 * What the parent tells the reporter: that it never waits for it, keeps no
 * more for it than a bound, and says how much was lost; and what it measures
 * of reactions.
 */

#define EVENT_LEN 20000
#define KEPT_MOST (4 * 1024 * 1024) /* with what the socket takes */

static struct event_base *base;
static struct channel *channel;
static struct imsgbuf *peer; /* the reporter's end */
static int fds[2];

static void
handler(const struct imsg *imsg, void *arg)
{
	(void)imsg;
	(void)arg;
}

static void
lost(const char *why, void *arg)
{
	(void)why;
	(void)arg;
}

static int
setup(void **state)
{
	struct conf conf;

	(void)state;
	memset(&conf, 0, sizeof(conf));
	conf.cloud_project = (char *)(uintptr_t) "p-1";
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	base = channel_loop();
	channel = channel_new(base, imsgbuf_new(fds[0]), ROLE_PARENT,
	    ROLE_REPORTER, handler, lost, NULL);
	assert_non_null(channel);
	peer = imsgbuf_new(fds[1]);
	assert_non_null(peer);
	report_reload(&conf);
	return (0);
}

static int
teardown(void **state)
{
	(void)state;
	report_close();
	channel_free(channel);
	imsgbuf_free(peer);
	event_base_free(base);
	close(fds[0]);
	close(fds[1]);
	return (0);
}

/* The next message that has come through; false if there is none. */
static bool
next(struct imsg *imsg)
{
	int r;

	while ((r = imsgbuf_get(peer, imsg)) == 0) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		if (recv(fds[1], &(char){ 0 }, 1, MSG_PEEK | MSG_DONTWAIT) != 1)
			return (false);
		assert_true(imsgbuf_read(peer) > 0);
	}
	assert_int_equal(r, 1);
	return (true);
}

/* Read everything; how many whole events, and how many are said to be lost. */
static size_t
drain(uint64_t *dropped, size_t *bytes)
{
	struct msg_count count;
	struct imsg imsg;
	size_t events = 0;

	*dropped = 0;
	*bytes = 0;
	while (next(&imsg)) {
		if (imsg.hdr.type == IMSG_EVENT_CHUNK)
			*bytes += imsg.len;
		else if (imsg.hdr.type == IMSG_EVENT_END)
			events++;
		else if (imsg.hdr.type == IMSG_EVENTS_DROPPED) {
			assert_int_equal(
			    imsg_get_data(&imsg, &count, sizeof(count)), 0);
			*dropped += count.count;
		}
	}
	return (events);
}

static void
bounded(void **state)
{
	static char text[EVENT_LEN + 1];
	size_t i, sent = 2000, events, bytes;
	uint64_t dropped;

	(void)state;
	memset(text, 'x', EVENT_LEN);
	report_open(channel);
	for (i = 0; i < sent; i++)
		report_event(text, EVENT_LEN);
	assert_true(channel_queued(channel) < KEPT_MOST);
	events = drain(&dropped, &bytes);
	assert_int_equal(bytes, events * EVENT_LEN);
	assert_int_equal(dropped, 0); /* there was no room to say so */
	assert_true(events > 10 && events < sent);
	report_event(text, EVENT_LEN);
	i = events;
	events = drain(&dropped, &bytes);
	assert_int_equal(events, 1);
	assert_int_equal(dropped, sent - i);
	/* too large for any message */
	report_event(text, EVENT_MAX + 1);
	report_event(text, 1);
	assert_int_equal(drain(&dropped, &bytes), 1);
	assert_int_equal(dropped, 1);
}

/* What is said before the reporter runs waits for it. */
static void
early(void **state)
{
	uint64_t dropped;
	size_t bytes;

	(void)state;
	report_event("first", 5);
	report_event("second", 6);
	report_open(channel);
	report_event("third", 5);
	assert_int_equal(drain(&dropped, &bytes), 3);
	assert_int_equal(bytes, 16);
}

/* The reactions that have been told, by phase, in milliseconds. */
static void
reactions(int64_t took[REACTION_MAX])
{
	struct msg_report_reaction msg;
	struct imsg imsg;
	int i;

	for (i = 0; i < REACTION_MAX; i++)
		took[i] = -1;
	while (next(&imsg)) {
		if (imsg.hdr.type != IMSG_REPORT_REACTION)
			continue;
		assert_int_equal(imsg_get_data(&imsg, &msg, sizeof(msg)), 0);
		assert_int_equal(took[msg.phase], -1);
		took[msg.phase] = msg.duration;
	}
}

static struct failover_conf fc;
static struct failover failover;

/* A cycle that began at that time, with samples and verdicts of the local
 * side; all else is well. */
static void
cycle(int64_t at, enum verdict sample, enum verdict verdict, int current)
{
	struct decision *decision = &failover.decision;
	struct sample *s = &failover.sample;

	s->services[LOCAL] = sample;
	s->services[REMOTE] = s->bgp[LOCAL] = s->bgp[REMOTE] = V_YES;
	decision->local = verdict;
	decision->read = verdict == V_YES ? 1 : verdict == V_NO ? 2 : 0;
	decision->old = decision->current;
	decision->current = current;
	decision->changed = decision->old != current;
	failover.started = at;
	report_decided(&failover, at + 10);
}

static void
detect_and_verify(void **state)
{
	int64_t took[REACTION_MAX];

	(void)state;
	memset(&failover, 0, sizeof(failover));
	memset(&fc, 0, sizeof(fc));
	policy_default(&fc.policy);
	failover.conf = &fc;
	failover.reaction.sampled = failover.reaction.read =
	    failover.reaction.decided = -1;
	report_open(channel);
	/* the first decision of all is no reaction */
	cycle(1000, V_YES, V_YES, 1);
	/* a sample that comes to nothing */
	cycle(2000, V_NO, V_YES, 1);
	cycle(3000, V_YES, V_YES, 1);
	reactions(took);
	assert_int_equal(took[REACTION_DETECT], -1);
	/* one sick sample, an unknown one, two more, and verified in two */
	cycle(4000, V_NO, V_YES, 1);
	cycle(5000, V_UNKNOWN, V_YES, 1);
	cycle(6000, V_NO, V_NO, 1);
	cycle(7000, V_NO, V_NO, 2);
	reactions(took);
	assert_int_equal(took[REACTION_DETECT], 2010);
	assert_int_equal(took[REACTION_VERIFY], 1000);
	assert_int_equal(failover.reaction.decided, 7010);
	/* nothing more while it stays so */
	cycle(8000, V_NO, V_NO, 2);
	reactions(took);
	assert_int_equal(took[REACTION_DETECT], -1);
	assert_int_equal(took[REACTION_VERIFY], -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(early, setup, teardown),
		cmocka_unit_test_setup_teardown(detect_and_verify, setup,
		    teardown),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
