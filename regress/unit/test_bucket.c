/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bucket.h"

/* How many requests there is room for at that time. */
static int
drain(struct bucket *bucket, int64_t now)
{
	int n;

	for (n = 0; bucket_take(bucket, now); n++)
		assert_true(n < 100000);
	return (n);
}

static void
burst_then_rate(void **state)
{
	struct bucket bucket = { 0 };

	(void)state;
	/* 8 a second, 40 at once */
	bucket_set(&bucket, 8000, 40, 1000);
	assert_int_equal(bucket_wait(&bucket, 1000), 0);
	assert_int_equal(drain(&bucket, 1000), 40);
	assert_int_equal(bucket_wait(&bucket, 1000), 125);
	assert_int_equal(bucket_wait(&bucket, 1100), 25);
	assert_false(bucket_take(&bucket, 1124));
	assert_int_equal(bucket_wait(&bucket, 1124), 1);
	assert_int_equal(bucket_wait(&bucket, 1125), 0);
	assert_true(bucket_take(&bucket, 1125));
	assert_false(bucket_take(&bucket, 1125));
	/* parts of a request are not lost */
	assert_int_equal(drain(&bucket, 2000), 7);
	assert_int_equal(drain(&bucket, 7000), 40);
	assert_int_equal(drain(&bucket, 7000 + 3600 * 1000), 40);
}

/* Asked as often as can be, it gives no more than it should. */
static void
in_the_long_run(void **state)
{
	struct bucket bucket = { 0 };
	int64_t now;
	int n;

	(void)state;
	bucket_set(&bucket, 333, 2, 0);
	for (n = 0, now = 0; now < 1000 * 1000; now++)
		n += bucket_take(&bucket, now);
	assert_int_equal(n, 2 + 332);
	assert_true(bucket_take(&bucket, now + 1000));
}

/* One that waits as long as it is told finds what it waits for, and not much
 * earlier. */
static void
wait_is_exact(void **state)
{
	static const uint32_t rates[] = { 1, 7, 999, 1000, 12345, 1000000,
		1000000000 };
	struct bucket bucket;
	int64_t now, wait;
	size_t i;
	int n;

	(void)state;
	for (i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		memset(&bucket, 0, sizeof(bucket));
		now = 5;
		bucket_set(&bucket, rates[i], 1, now);
		for (n = 0; n < 100; n++) {
			assert_true(bucket_take(&bucket, now));
			wait = bucket_wait(&bucket, now);
			assert_true(wait > 0);
			assert_true(wait <= 1000000 / rates[i] + 1);
			assert_false(bucket_take(&bucket, now + wait - 1));
			now += wait;
		}
		assert_true(bucket_take(&bucket, now));
	}
}

static void
extremes(void **state)
{
	struct bucket bucket = { 0 };

	(void)state;
	bucket_set(&bucket, 1000000000, 1000000000, 0);
	assert_true(bucket_take(&bucket, 0));
	assert_true(bucket_take(&bucket, INT64_MAX / 2));
	assert_int_equal(bucket.level, (int64_t)999999999 * 1000000);
	/* a clock that goes back gives nothing */
	assert_true(bucket_take(&bucket, 10));
	assert_int_equal(bucket.level, (int64_t)999999998 * 1000000);
	memset(&bucket, 0, sizeof(bucket));
	bucket_set(&bucket, 0, 1, 0);
	assert_int_equal(drain(&bucket, 1000), 1);
	assert_int_equal(bucket_wait(&bucket, 1000), INT64_MAX);
}

/* A configuration that is read again gives nobody a second burst. */
static void
set_again(void **state)
{
	struct bucket bucket = { 0 };

	(void)state;
	bucket_set(&bucket, 1000, 10, 0);
	assert_int_equal(drain(&bucket, 0), 10);
	bucket_set(&bucket, 1000, 10, 0);
	assert_int_equal(drain(&bucket, 0), 0);
	bucket_set(&bucket, 1000, 20, 5000);
	assert_int_equal(drain(&bucket, 5000), 5);
	/* a smaller one does not hold what the larger one did */
	bucket_set(&bucket, 1000, 3, 25000);
	assert_int_equal(drain(&bucket, 25000), 3);
	/* another rate holds from then on only */
	bucket_set(&bucket, 2000, 3, 26000);
	assert_int_equal(drain(&bucket, 26000), 1);
	assert_int_equal(drain(&bucket, 26500), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(burst_then_rate),
		cmocka_unit_test(in_the_long_run),
		cmocka_unit_test(wait_is_exact),
		cmocka_unit_test(extremes),
		cmocka_unit_test(set_again),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
