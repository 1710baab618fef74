/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ctl.h"

/* The words of mt-gcpctl(8). */

static struct control_request request;
static char why[256];

/* Parse a line of words, which a quoted reason ends. */
static int
words(const char *line)
{
	static char copy[1024];
	char *argv[16], *next = copy, *reason;
	int argc = 0;

	strlcpy(copy, line, sizeof(copy));
	reason = strchr(copy, '"');
	if (reason != NULL)
		*reason++ = '\0';
	while ((argv[argc] = strsep(&next, " ")) != NULL)
		if (*argv[argc] != '\0')
			argc++;
	if (reason != NULL)
		argv[argc++] = reason;
	why[0] = '\0';
	return (words_parse(&request, argc, argv, why, sizeof(why)));
}

static void
expect(const char *line, enum control_command command, const char *failover)
{
	assert_int_equal(words(line), 0);
	assert_int_equal(request.version, CONTROL_VERSION);
	assert_int_equal(request.command, command);
	assert_string_equal(request.failover, failover);
}

static void
refuse(const char *line, const char *text)
{
	assert_int_equal(words(line), -1);
	if (strstr(why, text) == NULL)
		fail_msg("\"%s\": %s", line, why);
}

static void
whole_words(void **state)
{
	(void)state;
	expect("show status", CONTROL_STATUS, "");
	expect("show failover", CONTROL_FAILOVER, "");
	expect("show checks web", CONTROL_CHECKS, "web");
	expect("show routes", CONTROL_ROUTES, "");
	expect("show breakers", CONTROL_BREAKERS, "");
	expect("show history web", CONTROL_HISTORY, "web");
	expect("explain", CONTROL_EXPLAIN, "");
	expect("monitor", CONTROL_MONITOR, "");
	expect("release web", CONTROL_RELEASE, "web");
	expect("ack", CONTROL_ACK, "");
	expect("probe web", CONTROL_PROBE, "web");
	expect("reload", CONTROL_RELOAD, "");
	expect("log brief", CONTROL_LOG_BRIEF, "");
	expect("log verbose", CONTROL_LOG_VERBOSE, "");
	expect("log reopen", CONTROL_LOG_REOPEN, "");
}

static void
cut_words(void **state)
{
	(void)state;
	expect("s s", CONTROL_STATUS, "");
	expect("sh h", CONTROL_HISTORY, "");
	expect("e web", CONTROL_EXPLAIN, "web");
	expect("m", CONTROL_MONITOR, "");
	expect("log r", CONTROL_LOG_REOPEN, "");
	expect("rele", CONTROL_RELEASE, "");
	refuse("rel", "ambiguous"); /* release, reload */
	refuse("r", "ambiguous");
	refuse("show", "unknown");
	refuse("show x", "unknown command: show x");
	refuse("stop", "unknown command: stop");
	refuse("", "unknown");
}

static void
orders(void **state)
{
	(void)state;
	expect("hold", CONTROL_HOLD, "");
	assert_int_equal(request.seconds, 0);
	assert_string_equal(request.reason, "");
	expect("hold for 60", CONTROL_HOLD, "");
	assert_int_equal(request.seconds, 60);
	expect("hold web for 60 reason \"two words", CONTROL_HOLD, "web");
	assert_int_equal(request.seconds, 60);
	assert_string_equal(request.reason, "two words");
	expect("hold reason \"x", CONTROL_HOLD, "");
	assert_string_equal(request.reason, "x");
	expect("force web state 4", CONTROL_FORCE, "web");
	assert_int_equal(request.state, 4);
	assert_int_equal(request.anyway, 0);
	expect("force web st 2 for 5 anyway reason \"drill", CONTROL_FORCE,
	    "web");
	assert_int_equal(request.state, 2);
	assert_int_equal(request.seconds, 5);
	assert_int_equal(request.anyway, 1);
}

static void
wrong_arguments(void **state)
{
	char line[512];

	(void)state;
	refuse("hold web for", "expected a whole number");
	refuse("hold web for 0", "from 1 to");
	refuse("hold web for 1.5", "\"1.5\"");
	refuse("hold web for 99999999999", "from 1 to");
	refuse("hold web anyway", "unexpected \"anyway\"");
	refuse("hold web reason", "expected a text");
	refuse("force", "expected a text");
	refuse("force web", "expected: force name state n");
	refuse("force web state", "expected a whole number from 1 to 8");
	refuse("force web state 9", "from 1 to 8");
	refuse("force web state 0", "from 1 to 8");
	refuse("force web 2", "expected: force");
	refuse("show status web", "unexpected \"web\"");
	refuse("release web now", "unexpected \"now\"");
	snprintf(line, sizeof(line), "show checks %0*d", FAILOVER_LEN, 1);
	refuse(line, "longer than 63");
	snprintf(line, sizeof(line), "hold reason %0*d", CONTROL_REASON_LEN, 1);
	refuse(line, "longer than 127");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_words),
		cmocka_unit_test(cut_words),
		cmocka_unit_test(orders),
		cmocka_unit_test(wrong_arguments),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
