/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "verdict.h"

/* Both functions, spelled out: a, b, a and b, a or b. */
static void
kleene(void **state)
{
	static const struct {
		enum verdict a, b, and, or ;
	} table[] = {
		{ V_NO, V_NO, V_NO, V_NO },
		{ V_NO, V_UNKNOWN, V_NO, V_UNKNOWN },
		{ V_NO, V_YES, V_NO, V_YES },
		{ V_UNKNOWN, V_NO, V_NO, V_UNKNOWN },
		{ V_UNKNOWN, V_UNKNOWN, V_UNKNOWN, V_UNKNOWN },
		{ V_UNKNOWN, V_YES, V_UNKNOWN, V_YES },
		{ V_YES, V_NO, V_NO, V_YES },
		{ V_YES, V_UNKNOWN, V_UNKNOWN, V_YES },
		{ V_YES, V_YES, V_YES, V_YES },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		assert_int_equal(v_and(table[i].a, table[i].b), table[i].and);
		assert_int_equal(v_or(table[i].a, table[i].b), table[i].or);
	}
}

static void
names(void **state)
{
	(void)state;
	assert_string_equal(v_name(V_YES, "up", "down"), "up");
	assert_string_equal(v_name(V_NO, "up", "down"), "down");
	assert_string_equal(v_name(V_UNKNOWN, "up", "down"), "unknown");
}

static void
pools(void **state)
{
	static const struct {
		struct pool pool; /* healthy, sick, unknown, open */
		uint32_t percent;
		enum verdict verdict;
	} table[] = {
		/* Nothing to count. */
		{ { 0, 0, 0, false }, 50, V_UNKNOWN },
		{ { 0, 0, 0, false }, 100, V_UNKNOWN },
		{ { 0, 0, 0, true }, 50, V_UNKNOWN },
		/* The limit itself is healthy. */
		{ { 1, 1, 0, false }, 50, V_YES },
		{ { 1, 1, 0, false }, 51, V_NO },
		{ { 1, 2, 0, false }, 33, V_YES },
		{ { 1, 2, 0, false }, 34, V_NO },
		{ { 99, 1, 0, false }, 99, V_YES },
		{ { 99, 1, 0, false }, 100, V_NO },
		{ { 0, 3, 0, false }, 1, V_NO },
		/* An unknown endpoint counts both ways. */
		{ { 1, 1, 1, false }, 50, V_UNKNOWN },
		{ { 2, 1, 1, false }, 50, V_YES },
		{ { 0, 2, 1, false }, 50, V_NO },
		{ { 0, 0, 5, false }, 50, V_UNKNOWN },
		/* One sick endpoint settles "all". */
		{ { 9, 1, 9, false }, 100, V_NO },
		{ { 9, 0, 1, false }, 100, V_UNKNOWN },
		{ { 9, 1, 0, true }, 100, V_NO },
		/* Of a pool of unknown size, nothing else is. */
		{ { 9, 0, 0, true }, 100, V_UNKNOWN },
		{ { 9, 0, 0, true }, 1, V_UNKNOWN },
		{ { 0, 9, 0, true }, 50, V_UNKNOWN },
		/* Counts that 32 bits could not multiply, or even add. */
		{ { UINT32_MAX, UINT32_MAX, 0, false }, 50, V_YES },
		{ { UINT32_MAX, UINT32_MAX, 0, false }, 51, V_NO },
		{ { 0, UINT32_MAX, 1, false }, 1, V_NO },
		{ { 42949673, 0, 0, false }, 100, V_YES },
		{ { UINT32_MAX, 0, UINT32_MAX, false }, 51, V_UNKNOWN },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (pool_verdict(&table[i].pool, table[i].percent) !=
		    table[i].verdict)
			fail_msg("row %zu", i);
}

/*
 * What the pool could turn out to be, tried one by one: each unknown endpoint
 * healthy or sick, and beside an open pool so many more that they could
 * outweigh those that were seen.
 */
static enum verdict
brute_force(const struct pool *pool, uint32_t percent)
{
	uint32_t counted = pool->healthy + pool->sick + pool->unknown;
	uint32_t more = pool->open ? 100 * (counted + 1) : 0;
	uint32_t extra, healthy, total;
	bool yes = false, no = false;

	if (counted == 0)
		return (V_UNKNOWN);
	for (extra = 0;; extra = more) {
		total = counted + extra;
		for (healthy = pool->healthy; healthy <= total - pool->sick;
		     healthy++) {
			if (healthy * 100 >= percent * total)
				yes = true;
			else
				no = true;
		}
		if (extra == more)
			break;
	}
	if (yes && no)
		return (V_UNKNOWN);
	return (yes ? V_YES : V_NO);
}

/* An answer is one if, and only if, no unknown could turn it. */
static void
pools_settled(void **state)
{
	struct pool pool;
	uint32_t i, percent;

	(void)state;
	for (i = 0; i < 2 * 6 * 6 * 6; i++) {
		pool.open = i % 2;
		pool.healthy = i / 2 % 6;
		pool.sick = i / 12 % 6;
		pool.unknown = i / 72;
		for (percent = 1; percent <= 100; percent++)
			if (pool_verdict(&pool, percent) !=
			    brute_force(&pool, percent))
				fail_msg("%u healthy, %u sick, %u unknown%s, "
					 "%u %%",
				    pool.healthy, pool.sick, pool.unknown,
				    pool.open ? ", open" : "", percent);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kleene),
		cmocka_unit_test(names),
		cmocka_unit_test(pools),
		cmocka_unit_test(pools_settled),
	};

	return (cmocka_run_group_tests_name("verdict", tests, NULL, NULL));
}
