/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "../../common/backoff.c"

#define DAY ((int64_t)24 * 3600 * 1000)

static void
doubles(void **state)
{
	(void)state;
	assert_int_equal(backoff_most(1000, 60000, 1), 1000);
	assert_int_equal(backoff_most(1000, 60000, 2), 2000);
	assert_int_equal(backoff_most(1000, 60000, 6), 32000);
	assert_int_equal(backoff_most(1000, 60000, 7), 60000);
	assert_int_equal(backoff_most(1000, 60000, 4000000000U), 60000);
	assert_int_equal(backoff_most(1000, 1000, 3), 1000);
	assert_int_equal(backoff_most(5000, 1000, 1), 1000);
	assert_int_equal(backoff_most(1, UINT32_MAX, 100), UINT32_MAX);
	assert_int_equal(backoff_most(0, 60000, 1), 0);
	assert_int_equal(backoff_most(0, 60000, 4000000), 0);
}

/* All of what is possible, and nothing else; evenly, more or less. */
static void
jitter(void **state)
{
	unsigned int seen[8];
	uint32_t wait;
	int i;

	(void)state;
	memset(seen, 0, sizeof(seen));
	for (i = 0; i < 8000; i++) {
		wait = backoff_wait(1, 7, 9);
		assert_in_range(wait, 0, 7);
		seen[wait]++;
	}
	for (i = 0; i < 8; i++)
		assert_in_range(seen[i], 700, 1300);
	for (i = 0; i < 100; i++) {
		assert_in_range(backoff_wait(1000, 60000, 2), 0, 2000);
		assert_int_equal(backoff_wait(0, 60000, 3), 0);
		backoff_wait(UINT32_MAX, UINT32_MAX, 1);
	}
}

static void
seconds(void **state)
{
	static const struct {
		const char *text;
		int64_t wait;
	} cases[] = {
		{ "0", 0 },
		{ "120", 120000 },
		{ "007", 7000 },
		{ "120 ", 120000 },
		{ "86400", DAY },
		{ "86401", DAY },
		{ "4294967297", DAY },
		{ "99999999999999999999999999999999999999999999", DAY },
		{ "0000000000000000000000000000000000000000001", 1000 },
		{ "", -1 },
		{ " ", -1 },
		{ "-1", -1 },
		{ "+1", -1 },
		{ "1.5", -1 },
		{ "1s", -1 },
		{ "1 2", -1 },
		{ "0x10", -1 },
		{ "soon", -1 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(retry_after(cases[i].text, 1000000),
		    cases[i].wait);
}

/* 784111777 is the example of RFC 9110. */
static void
dates(void **state)
{
	static const char *const good[] = {
		"Sun, 06 Nov 1994 08:49:37 GMT",
		"Sunday, 06-Nov-94 08:49:37 GMT",
		"Sun Nov  6 08:49:37 1994",
	};
	static const char *const bad[] = {
		"Sun, 06 Nov 1994 08:49:37",
		"Sun, 06 Nov 1994 08:49:37 CET",
		"Sun, 06 Nov 1994 08:49:37 GMT+1",
		"Sun, 06 Nov 1994 24:49:37 GMT",
		"Sun, 06 Nov 1994 08:60:37 GMT",
		"Sun, 06 Nov 1994 08:49:61 GMT",
		"Sun, 00 Nov 1994 08:49:37 GMT",
		"Sun, 32 Nov 1994 08:49:37 GMT",
		"Sun, 30 Feb 1994 08:49:37 GMT",
		"Sun, 06 Nop 1994 08:49:37 GMT",
		"Sun, 06 Nov 1894 08:49:37 GMT",
		"Sun, 06 Nov 1994 08:-9:37 GMT",
		"06 Nov 1994 08:49:37 GMT",
		"Sunday, 06-Nov-94 08:49:37",
		"Sun Nov  6 08:49:37 1994 GMT",
		"Sun Nov  6 08:49:37",
		"1994-11-06T08:49:37Z",
		"Sun,",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(retry_after(good[i], 784111777 - 90), 90000);
		assert_int_equal(retry_after(good[i], 784111777), 0);
		assert_int_equal(retry_after(good[i], 784111777 + 1), 0);
		assert_int_equal(retry_after(good[i], 784111777 + 9999999), 0);
		assert_int_equal(retry_after(good[i], 784111777 - 86400), DAY);
		assert_int_equal(retry_after(good[i], 784111777 - 9999999),
		    DAY);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(retry_after(bad[i], 784111777), -1);
	assert_int_equal(retry_after("Fri, 31 Dec 9999 23:59:60 GMT", 0), DAY);
}

/* Two digits of a year are of the century that is nearest. */
static void
short_years(void **state)
{
	(void)state;
	/* 2026-11-22 */
	assert_int_equal(
	    retry_after("Sunday, 22-Nov-26 00:00:09 GMT", 1795305600), 9000);
	assert_int_equal(
	    retry_after("Friday, 22-Nov-75 00:00:00 GMT", 1795305600), DAY);
	assert_int_equal(
	    retry_after("Tuesday, 22-Nov-77 00:00:00 GMT", 1795305600), 0);
}

/* Every day until 2100 and some, as libc counts them. */
static void
calendar(void **state)
{
	static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May",
		"Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	struct date date;
	struct tm tm;
	int64_t found;
	time_t t;

	(void)state;
	for (t = 3723; t < (time_t)150 * 366 * 86400; t += 86400) {
		assert_non_null(gmtime_r(&t, &tm));
		memset(&date, 0, sizeof(date));
		strlcpy(date.month, months[tm.tm_mon], sizeof(date.month));
		date.year = tm.tm_year + 1900;
		date.day = tm.tm_mday;
		date.hour = tm.tm_hour;
		date.minute = tm.tm_min;
		date.second = tm.tm_sec;
		assert_true(date_seconds(&date, &found));
		assert_int_equal(found, t);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(doubles),
		cmocka_unit_test(jitter),
		cmocka_unit_test(seconds),
		cmocka_unit_test(dates),
		cmocka_unit_test(short_years),
		cmocka_unit_test(calendar),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
