/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "budget.h"

/* How often an account may be called. */

static struct budget budget;
static int64_t until;

static void
begin(void)
{
	memset(&budget, 0, sizeof(budget));
	until = -1;
}

/* So many calls, one each step. */
static void
spend(int64_t now, int64_t step, int n)
{
	for (; n > 0; n--, now += step)
		budget_spend(&budget, now);
}

static enum budget_why
ask(int64_t now, bool look)
{
	return (budget_ask(&budget, now, look, &until));
}

static void
window(void **state)
{
	(void)state;
	begin();
	assert_int_equal(ask(1, true), BUDGET_MAY);
	assert_int_equal(until, 1);
	spend(1000, 10, 399);
	assert_int_equal(ask(5000, true), BUDGET_MAY);
	spend(5000, 0, 1);
	/* the last 200 are for writes */
	assert_int_equal(ask(5000, true), BUDGET_RESERVE);
	assert_int_equal(until, 1000 + 300000);
	assert_int_equal(ask(5000, false), BUDGET_MAY);
	spend(6000, 0, 199);
	assert_int_equal(ask(7000, false), BUDGET_MAY);
	spend(7000, 0, 1);
	assert_int_equal(ask(7000, false), BUDGET_SPENT);
	assert_int_equal(until, 1000 + 300000);
	assert_int_equal(ask(300999, false), BUDGET_SPENT);
	assert_int_equal(ask(300999, true), BUDGET_SPENT);
	/* any 300 s: one call for each that was made so long ago */
	assert_int_equal(ask(301000, false), BUDGET_MAY);
	assert_int_equal(ask(301000, true), BUDGET_RESERVE);
	spend(301000, 0, 1);
	assert_int_equal(ask(301000, false), BUDGET_SPENT);
	assert_int_equal(until, 301010);
	assert_int_equal(ask(301010, false), BUDGET_MAY);
	/* and all of them when nothing was called for so long */
	assert_int_equal(ask(601000, true), BUDGET_MAY);
}

/* Count what is allowed, whatever is asked for, in every window. */
static void
any_window(void **state)
{
	static int64_t made[5000];
	size_t i, first = 0, n = 0;
	int64_t now;

	(void)state;
	begin();
	for (now = 1; now < 1000000; now += 173) {
		if (ask(now, now % 2 == 0) != BUDGET_MAY)
			continue;
		budget_spend(&budget, now);
		made[n++] = now;
	}
	assert_true(n > 1200);
	for (i = 0; i < n; i++) {
		while (made[i] - made[first] >= BUDGET_WINDOW)
			first++;
		assert_true(i - first + 1 <= BUDGET_CALLS);
	}
}

static void
refused(void **state)
{
	(void)state;
	begin();
	budget_answer(&budget, 1000, 429, -1, "");
	assert_int_equal(ask(1000, false), BUDGET_STOPPED);
	assert_int_equal(until, 301000);
	assert_int_equal(ask(300999, false), BUDGET_STOPPED);
	assert_int_equal(ask(301000, true), BUDGET_MAY);
	begin();
	budget_answer(&budget, 1000, 429, 7000, "\"default\";r=0;t=5");
	assert_int_equal(ask(7999, false), BUDGET_STOPPED);
	assert_int_equal(until, 8000);
	assert_int_equal(ask(8000, false), BUDGET_MAY);
	/* a shorter one does not take back a longer one */
	budget_answer(&budget, 9000, 429, 60000, "");
	budget_answer(&budget, 10000, 429, 1000, "\"default\";r=0;t=2");
	assert_int_equal(ask(60000, false), BUDGET_STOPPED);
	assert_int_equal(until, 69000);
	/* nobody can stop us for ever */
	begin();
	budget_answer(&budget, 1000, 429, INT64_MAX / 2, "");
	assert_int_equal(ask(1000, false), BUDGET_STOPPED);
	assert_int_equal(until, 1000 + 3600000);
	/* only a 429 does */
	begin();
	budget_answer(&budget, 1000, 503, 60000, "");
	budget_answer(&budget, 1000, 0, 60000, "");
	assert_int_equal(ask(1000, false), BUDGET_MAY);
}

static void
expect_wait(const char *header, int64_t wait)
{
	begin();
	budget_answer(&budget, 1000, 200, -1, header);
	if (wait == 0) {
		assert_int_equal(ask(1000, false), BUDGET_MAY);
		return;
	}
	assert_int_equal(ask(1000, false), BUDGET_LEFT);
	assert_int_equal(until, 1000 + wait);
	assert_int_equal(ask(1000 + wait, false), BUDGET_MAY);
}

static void
header(void **state)
{
	(void)state;
	expect_wait("\"default\";r=0;t=30", 30000);
	expect_wait("\"default\";r=50;t=30", 0);
	expect_wait("\"default\";r=1;t=30", 0);
	expect_wait("\"default\"; t=30; r=0", 30000);
	expect_wait("\"default\";r=50;t=30, \"burst\";r=0;t=2", 2000);
	expect_wait("\"a\";r=0;t=9,\"burst\";r=0;t=2", 9000);
	expect_wait("\"a,b;r=0;t=9\";r=5;t=2", 0);
	expect_wait("\"default\";r=0;t=99999999999999999999999", 300000);
	/* what cannot be read says nothing */
	expect_wait("", 0);
	expect_wait("\"default\"", 0);
	expect_wait("\"default\";r=0", 0);
	expect_wait("\"default\";r=;t=30", 0);
	expect_wait("\"default\";r=-1;t=30", 0);
	expect_wait("\"default\";r=0;t=-30", 0);
	expect_wait("\"default\";r=0;t=x", 0);
	expect_wait("\"default;r=0;t=30", 0);
	expect_wait("\"default\";", 0);
	expect_wait(";;;,,,;", 0);
	expect_wait("r=0;t=30", 0);
	expect_wait("\"default\";tr=0;rt=30", 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(window),
		cmocka_unit_test(any_window),
		cmocka_unit_test(refused),
		cmocka_unit_test(header),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
