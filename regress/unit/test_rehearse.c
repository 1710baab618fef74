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

/* The last look before what is to be validated, and the end of a token. */

#include "../../proc/actuator/rehearse.c"

#define URL "https://api.test/client/v4/accounts/acc/magic/routes"
#define ROUTE(id, priority, description)                                       \
	"{\"id\":\"" id "\",\"prefix\":\"203.0.113.0/24\","                    \
	"\"nexthop\":\"10.0.0.1\",\"priority\":" #priority                     \
	",\"description\":\"" description "\"}"
#define OURS   ROUTE("a", 150, "x")
#define THEIRS ROUTE("b", 100, "y")

struct event_base *base;

static struct account accounts[] = { { .id = "acc" }, { .id = "other" } };
static struct act acts[] = {
	{ .present = true, .conf = { .match = "x", .expect = -1 } },
	{ .present = true, .conf = { .match = "y", .expect = -1 } },
	{ .present = true,
	    .conf = { .match = "150", .expect = -1, .account = 1 } },
};
static struct config config = {
	.url = { "https://compute.test/v1", "https://api.test/client/v4" },
	.act = acts,
	.nacts = 3,
	.account = accounts,
	.naccounts = 2,
};

struct config *
config_current(void)
{
	return (&config);
}

const struct act *
config_act(uint32_t failover)
{
	return (&acts[failover]);
}

struct bucket *
config_bucket(void)
{
	return (NULL);
}

struct budget *
account_budget(const char *account)
{
	fail_msg("%s", account);
	return (NULL);
}

static bool
may(const char *url, const char *body)
{
	struct rehearsal rehearsal = { .act = &acts[0],
		.account = &accounts[0] };
	struct checkup checkup = { .more = &rehearsal };
	struct check check = { .checkup = &checkup };
	bool result;

	rehearsal.list = json_loads(
	    "{\"success\":true,\"result\":{\"routes\":[" OURS "," THEIRS "]}}",
	    0, NULL);
	assert_non_null(rehearsal.list);
	result = may_validate(&check, url, body);
	json_decref(rehearsal.list);
	return (result);
}

static void
last_look(void **state)
{
	const char *body = "{\"routes\":[" OURS "]}";

	(void)state;
	assert_true(may(URL "?validate_only=true", body));
	/* nothing that stores, nor another place */
	assert_false(may(URL, body));
	assert_false(may(URL "?validate_only=false", body));
	assert_false(may(URL "?validate_only=true&x", body));
	assert_false(may(URL "/a?validate_only=true", body));
	assert_false(may("https://api.test/client/v4/accounts/other/magic/"
			 "routes?validate_only=true",
	    body));
	/* nothing but our own, as they are */
	assert_false(may(URL "?validate_only=true", NULL));
	assert_false(may(URL "?validate_only=true", "no JSON"));
	assert_false(may(URL "?validate_only=true", "{\"routes\":[]}"));
	assert_false(
	    may(URL "?validate_only=true", "{\"routes\":[" THEIRS "]}"));
	assert_false(may(URL "?validate_only=true",
	    "{\"routes\":[" OURS "," THEIRS "]}"));
	assert_false(may(URL "?validate_only=true",
	    "{\"routes\":[" ROUTE("a", 100, "x") "]}"));
	/* not if another failover of the account claims it, too */
	strlcpy(acts[1].conf.match, "x", sizeof(acts[1].conf.match));
	assert_false(may(URL "?validate_only=true", body));
	strlcpy(acts[1].conf.match, "y", sizeof(acts[1].conf.match));
	acts[0].conf.expect = 2;
	assert_false(may(URL "?validate_only=true", body));
	acts[0].conf.expect = 1;
	assert_true(may(URL "?validate_only=true", body));
	acts[0].conf.passive = 1;
	assert_false(may(URL "?validate_only=true", body));
	acts[0].conf.passive = 0;
}

static void
expect_days(int64_t days)
{
	time_t then = time(NULL) + (time_t)days * 24 * 3600;
	char date[64];
	struct tm tm;
	int64_t left = -1000;

	gmtime_r(&then, &tm);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", &tm);
	assert_true(days_left(date, &left));
	/* The day may have changed meanwhile. */
	assert_true(left == days || left == days - 1);
}

static void
days(void **state)
{
	int64_t i, n;

	(void)state;
	assert_int_equal(days_since_epoch(1970, 1, 1), 0);
	assert_int_equal(days_since_epoch(2000, 2, 29), 11016);
	assert_int_equal(days_since_epoch(2000, 3, 1), 11017);
	assert_int_equal(
	    days_since_epoch(2100, 3, 1) - days_since_epoch(2100, 2, 28), 1);
	for (i = -400; i < 3000; i++)
		expect_days(i);
	assert_false(days_left(NULL, &n));
	assert_false(days_left("", &n));
	assert_false(days_left("tomorrow", &n));
	assert_false(days_left("2026-13-01T00:00:00Z", &n));
	assert_false(days_left("2026-00-01T00:00:00Z", &n));
	assert_false(days_left("2026-01-40T00:00:00Z", &n));
	assert_false(days_left("99999999999999-01-01T00:00:00Z", &n));
	assert_true(days_left("9999-12-31T23:59:59.999999+14:00", &n));
}

static void
expiries(void **state)
{
	(void)state;
	assert_int_equal(expiry(NULL), 0);
	assert_int_equal(expiry(""), 0);
	assert_int_equal(expiry("tomorrow"), 0);
	assert_int_equal(expiry("2026-01-01"), 0);
	assert_int_equal(expiry("2026-13-01T00:00:00Z"), 0);
	assert_int_equal(expiry("2026-01-01T24:00:00Z"), 0);
	assert_int_equal(expiry("2026-01-01T00:60:00Z"), 0);
	assert_int_equal(expiry("2026-01-01T00:00:00.123Z"), 1767225600);
	assert_int_equal(expiry("2026-01-01T00:00:00.5-08:00"),
	    1767225600 + 8 * 3600);
	assert_int_equal(expiry("2026-01-01T00:00:00+05:30"),
	    1767225600 - 330 * 60);
	assert_int_equal(expiry("9999-12-31T23:59:59.999999Z"),
	    INT64_C(253402300799));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(last_look),
		cmocka_unit_test(days),
		cmocka_unit_test(expiries),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
