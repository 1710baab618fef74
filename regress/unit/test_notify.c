/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../../src/notify.c"

/*
 * When the service manager is told that all is well, and what of.  The engine
 * is the one below.
 */

struct parent mtgcpd;

static struct failover_conf conf[2] = {
	{ .name = (char[]){ "web" },
	    .policy = { .interval = 15000 },
	    .timeout = { .health = 45000 } },
	{ .name = (char[]){ "api" },
	    .policy = { .interval = 5000 },
	    .timeout = { .health = 10000 } },
};
static struct failover failover[2] = { { .conf = &conf[0] },
	{ .conf = &conf[1] } };
static int64_t now;
static bool reloading;
static int manager = -1;

int64_t
mono_ms(void)
{
	return (now);
}

bool
reload_running(void)
{
	return (reloading);
}

size_t
engine_failovers(struct failover **all)
{
	*all = failover;
	return (2);
}

/* What was told since the last time; "": nothing. */
static const char *
heard(void)
{
	static char text[STATUS_LEN + 64];
	ssize_t n;

	n = recv(manager, text, sizeof(text) - 1, MSG_DONTWAIT);
	text[n > 0 ? n : 0] = '\0';
	return (text);
}

static void
all_is_well(const char *expected)
{
	on_watchdog(-1, 0, NULL);
	assert_string_equal(heard(), expected);
}

static int
setup(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char name[64];
	int n;

	(void)state;
	n = snprintf(name, sizeof(name), "@mt-gcpd-test-%d", (int)getpid());
	memcpy(address.sun_path, name, (size_t)n);
	address.sun_path[0] = '\0';
	manager = socket(AF_UNIX, SOCK_DGRAM, 0);
	assert_int_equal(
	    bind(manager, (struct sockaddr *)&address,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) +
		    (size_t)n)),
	    0);
	mtgcpd.base = event_base_new();
	mtgcpd.started = 1000;
	setenv("NOTIFY_SOCKET", name, 1);
	setenv("WATCHDOG_USEC", "60000000", 1);
	notify_open();
	assert_null(getenv("NOTIFY_SOCKET"));
	assert_int_equal(notify.period.tv_sec, 30);
	return (0);
}

static int
teardown(void **state)
{
	(void)state;
	notify_close();
	event_base_free(mtgcpd.base);
	close(manager);
	return (0);
}

/* A failover has the interval, the time for reading and ten seconds. */
static void
overdue(void **state)
{
	(void)state;
	failover[0].ended = failover[1].ended = -1; /* since the start */
	now = 1000 + 25000;
	all_is_well("WATCHDOG=1");
	now++;
	all_is_well(""); /* api */
	failover[1].ended = now;
	all_is_well("WATCHDOG=1");
	now = 1000 + 70000;
	failover[1].ended = now;
	all_is_well("WATCHDOG=1");
	now++;
	all_is_well("");  /* web */
	reloading = true; /* which begins no cycle */
	all_is_well("WATCHDOG=1");
	reloading = false;
	failover[0].ended = now;
	all_is_well("WATCHDOG=1");
}

/* The states are told when they change, and no more than fits. */
static void
status(void **state)
{
	char longest[STATUS_LEN];

	(void)state;
	failover[0].machine.current = 1;
	failover[0].decision.read = 1;
	failover[1].machine.current = 3;
	failover[1].orders.hold = true;
	notify_status();
	assert_string_equal(heard(),
	    "STATUS=web: state 1, api: state 3 (not known) held");
	notify_status();
	assert_string_equal(heard(), "");
	failover[1].decision.read = 3;
	failover[1].orders.hold = false;
	failover[1].orders.force = 4;
	notify_status();
	assert_string_equal(heard(),
	    "STATUS=web: state 1, api: state 3 forced");
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	conf[1].name = longest;
	notify_status();
	assert_null(strstr(heard(), "forced"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(overdue),
		cmocka_unit_test(status),
	};

	return (cmocka_run_group_tests(tests, setup, teardown));
}
