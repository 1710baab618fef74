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

#include "random.h"
#include "texts.h"

static bool
overlap(const char *a, const char *b, const char *c)
{
	const char *texts[] = { a, b, c };

	return (texts_overlap(texts, 3));
}

static void
examples(void **state)
{
	const char *one = "a";

	(void)state;
	assert_false(overlap("a", "b", "c"));
	assert_false(overlap("site A primary", "site B primary", "site A sec"));
	assert_true(overlap("a", "b", "a"));
	assert_true(overlap("site", "other", "site A"));
	assert_true(overlap("A", "other", "site A"));
	assert_true(overlap("te", "other", "site A"));
	assert_true(overlap("", "other", "site A"));
	assert_false(overlap("ab", "ba", "aa"));
	assert_false(texts_overlap(&one, 0));
	assert_false(texts_overlap(&one, 1));
}

/* The same as by comparing each with each other. */
static void
all_pairs(void **state)
{
	char room[6][8];
	const char *texts[6];
	bool expected;
	size_t i, j, len, n;
	int round, seen[2] = { 0, 0 };

	(void)state;
	seed = 1;
	for (round = 0; round < 100000; round++) {
		n = 2 + pick(5);
		for (i = 0; i < n; i++) {
			len = 1 + pick(7);
			for (j = 0; j < len; j++)
				room[i][j] = (char)('a' + (int)pick(3));
			room[i][len] = '\0';
			texts[i] = room[i];
		}
		expected = false;
		for (i = 0; i < n; i++)
			for (j = 0; j < n; j++)
				if (i != j && strstr(room[i], room[j]) != NULL)
					expected = true;
		assert_int_equal(texts_overlap(texts, n), expected);
		seen[expected]++;
	}
	assert_true(seen[0] > 10000 && seen[1] > 10000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(examples),
		cmocka_unit_test(all_pairs),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
