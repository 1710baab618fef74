/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* When the connectivity is tested, and what is taken of the answers. */

#include "../../src/connectivity.c"

/* A timer, a clock and children that do what the test says. */

struct event {
	event_callback_fn cb;
};

static struct event timer;
static int64_t due = -1; /* milliseconds; -1: not set */
static bool quiet = true;

struct event *
event_new(struct event_base *base __unused, evutil_socket_t fd __unused,
    short what __unused, event_callback_fn cb, void *arg __unused)
{
	timer.cb = cb;
	return (&timer);
}

int
event_add(struct event *ev __unused, const struct timeval *tv)
{
	due = (int64_t)tv->tv_sec * 1000 + tv->tv_usec / 1000;
	return (0);
}

int
event_del(struct event *ev __unused)
{
	due = -1;
	return (0);
}

void
event_free(struct event *ev __unused)
{
	due = -1;
}

static void
fire(void)
{
	assert_int_not_equal(due, -1);
	due = -1;
	timer.cb(-1, EV_TIMEOUT, NULL);
}

bool
engine_quiet(void)
{
	return (quiet);
}

/* What was sent to whom. */
static struct {
	unsigned int sent[ROLE_MAX];
	uint32_t id;
	uint64_t number;
} out;

static int channels[ROLE_MAX];

void
channel_send(struct channel *channel, enum imsg_type type, uint32_t id,
    const void *data, size_t len)
{
	struct msg_test msg;
	int role = (int)((int *)(void *)channel - channels);

	assert_int_equal(type, IMSG_TEST);
	assert_int_equal(len, sizeof(msg));
	memcpy(&msg, data, sizeof(msg));
	out.sent[role]++;
	out.id = id;
	out.number = msg.test;
}

static unsigned int events[2]; /* well, failed */
static char last_error[REASON_LEN];

void
report_expiry(uint32_t failover __unused, int64_t expires __unused)
{
}

void
event_emit(const struct event_head *head, json_t *details)
{
	assert_string_equal(head->type, "connectivity_test");
	assert_null(head->corr);
	events[head->result == RESULT_FAILURE]++;
	strlcpy(last_error, head->error, sizeof(last_error));
	json_decref(details);
}

static struct failover_conf failovers[2];
static struct conf conf;

static void
silent(int priority __unused, const char *corr __unused,
    const char *text __unused)
{
}

static int
setup(void **state)
{
	static char names[2][4] = { "one", "two" };
	size_t i;

	(void)state;
	log_init("test", LOG_ERR, silent);
	memset(failovers, 0, sizeof(failovers));
	memset(&conf, 0, sizeof(conf));
	memset(&out, 0, sizeof(out));
	memset(&tests, 0, sizeof(tests));
	memset(events, 0, sizeof(events));
	due = -1;
	quiet = true;
	TAILQ_INIT(&conf.failovers);
	for (i = 0; i < 2; i++) {
		failovers[i].index = (uint32_t)i;
		failovers[i].name = names[i];
		failovers[i].timeout.api = 1000;
		failovers[i].timeout.health = 2000;
		failovers[i].timeout.cloudflare = 3000;
		failovers[i].timeout.cloudflare_bulk = 4000;
		TAILQ_INSERT_TAIL(&conf.failovers, &failovers[i], entry);
	}
	conf.nfailovers = 2;
	return (0);
}

static struct channel *
channel_of(enum role role)
{
	return ((struct channel *)(void *)&channels[role]);
}

static void
start(void)
{
	unsigned int before = out.sent[ROLE_PROBER];

	connectivity_start(NULL, &conf, channel_of(ROLE_PROBER),
	    channel_of(ROLE_ACTUATOR));
	/* not before the loop has come to the first cycle */
	assert_int_equal(out.sent[ROLE_PROBER], before);
	assert_int_equal(due, 0);
	fire();
}

static void
say(enum role role, enum imsg_type type, uint32_t id, const void *msg,
    size_t len)
{
	struct imsg imsg = { .hdr = { .type = type, .id = id },
		.data = msg,
		.len = len };

	connectivity_message(role, &imsg);
}

static void
tested(enum role role, uint32_t id, uint64_t number, enum outcome result)
{
	struct msg_tested msg = { .test = number,
		.result = result,
		.operation = "get_router",
		.subject = "a/b",
		.error = "be\033cause" };

	say(role, IMSG_TESTED, id, &msg, sizeof(msg));
}

static void
done(enum role role, uint32_t id, uint64_t number)
{
	struct msg_test msg = { .test = number };

	say(role, IMSG_TEST_DONE, id, &msg, sizeof(msg));
}

/* One failover is tested by both, and all is well. */
static void
well(uint32_t id)
{
	tested(ROLE_ACTUATOR, id, out.number, RESULT_SUCCESS);
	done(ROLE_ACTUATOR, id, out.number);
	tested(ROLE_PROBER, id, out.number, RESULT_SUCCESS);
	done(ROLE_PROBER, id, out.number);
}

static void
expect_sent(unsigned int times, uint32_t id)
{
	assert_int_equal(out.sent[ROLE_PROBER], times);
	assert_int_equal(out.sent[ROLE_ACTUATOR], times);
	assert_int_equal(out.id, id);
}

/* At once, one failover after another, and again every day. */
static void
every_day(void **state)
{
	uint64_t number;
	unsigned int day, sent = 0;

	(void)state;
	start();
	for (day = 0; day < 3; day++) {
		expect_sent(++sent, 0);
		number = out.number;
		well(0);
		expect_sent(sent, 0);
		assert_int_equal(due, PAUSE);
		fire();
		expect_sent(++sent, 1);
		assert_int_equal(out.number, number);
		well(1);
		assert_int_equal(due, DAY);
		fire();
		assert_int_not_equal(out.number, number);
	}
	assert_int_equal(events[0], 3 * 4);
	assert_int_equal(events[1], 0);
	connectivity_stop();
	assert_int_equal(due, -1);
}

/* Not while something is going on. */
static void
when_quiet(void **state)
{
	int i;

	(void)state;
	quiet = false;
	start(); /* at the start nothing is known of that */
	well(0);
	fire();
	well(1);
	assert_int_equal(due, DAY);
	for (i = 0; i < 5; i++) {
		fire();
		expect_sent(2, 1);
		assert_int_equal(due, NOT_QUIET);
	}
	quiet = true;
	fire();
	expect_sent(3, 0);
	connectivity_stop();
}

/* A child that does not answer in time is said so, and the next failover comes
 * nevertheless. */
static void
late(void **state)
{
	(void)state;
	start();
	/* longer than what the children allow themselves */
	assert_true(due >= 3 * 1000 + 2000 + 1000);
	assert_true(due >= 3 * 1000 + 3 * 3000 + 4000 + 2000 + 1000);
	tested(ROLE_PROBER, 0, out.number, RESULT_SUCCESS);
	done(ROLE_PROBER, 0, out.number);
	fire();
	assert_int_equal(events[0], 1);
	assert_int_equal(events[1], 1);
	assert_non_null(strstr(last_error, "in time"));
	assert_int_equal(due, PAUSE);
	/* what comes now is too late */
	tested(ROLE_ACTUATOR, 0, out.number, RESULT_SUCCESS);
	done(ROLE_ACTUATOR, 0, out.number);
	assert_int_equal(events[0], 1);
	fire();
	expect_sent(2, 1);
	connectivity_stop();
}

/* Who says that it is done has to have done something. */
static void
nothing_done(void **state)
{
	(void)state;
	start();
	done(ROLE_PROBER, 0, out.number);
	assert_int_equal(events[1], 1);
	assert_string_equal(last_error, "it has tested nothing");
	connectivity_stop();
}

/* What is of another round, another failover or nobody's is not counted. */
static void
stale(void **state)
{
	(void)state;
	start();
	tested(ROLE_PROBER, 0, out.number - 1, RESULT_FAILURE);
	tested(ROLE_PROBER, 1, out.number, RESULT_FAILURE);
	done(ROLE_PROBER, 0, out.number + 1);
	done(ROLE_ACTUATOR, 1, out.number);
	assert_int_equal(events[0] + events[1], 0);
	well(0);
	assert_int_equal(due, PAUSE);
	assert_int_equal(events[0], 2);
	/* twice */
	done(ROLE_PROBER, 0, out.number);
	assert_int_equal(due, PAUSE);
	connectivity_stop();
	/* after the end */
	tested(ROLE_PROBER, 0, out.number, RESULT_FAILURE);
	done(ROLE_PROBER, 0, out.number);
	assert_int_equal(events[1], 0);
}

/* After a stop a new start has a number of its own, so that answers of before
 * are not taken for its own. */
static void
again(void **state)
{
	uint64_t number;

	(void)state;
	start();
	number = out.number;
	connectivity_stop();
	start();
	assert_true(out.number > number);
	expect_sent(2, 0);
	tested(ROLE_PROBER, 0, number, RESULT_FAILURE);
	assert_int_equal(events[1], 0);
	connectivity_stop();
}

/* A child's text cannot do anything to who reads it. */
static void
plain(void **state)
{
	char text[] = "a\033[2J\x7f\n\xc2\x9b\xc3\xa9";

	(void)state;
	make_plain(text);
	assert_string_equal(text, "a?[2J????\xc3\xa9");
	start();
	tested(ROLE_PROBER, 0, out.number, RESULT_FAILURE);
	assert_string_equal(last_error, "be?cause");
	connectivity_stop();
}

int
main(void)
{
	const struct CMUnitTest list[] = {
		cmocka_unit_test_setup(every_day, setup),
		cmocka_unit_test_setup(when_quiet, setup),
		cmocka_unit_test_setup(late, setup),
		cmocka_unit_test_setup(nothing_done, setup),
		cmocka_unit_test_setup(stale, setup),
		cmocka_unit_test_setup(again, setup),
		cmocka_unit_test_setup(plain, setup),
	};

	return (cmocka_run_group_tests(list, NULL, NULL));
}
