/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Memory that can be made short. */
static bool memory_short;

static void *
scarce(void *memory, size_t count, size_t size)
{
	return (memory_short ? NULL : reallocarray(memory, count, size));
}

#define reallocarray scarce
#include "../../src/health.c"
#undef reallocarray

static enum verdict
from_letter(char letter)
{
	return (letter == 'H' ? V_YES : letter == 'S' ? V_NO : V_UNKNOWN);
}

static char
to_letter(enum verdict verdict)
{
	return (verdict == V_YES ? 'H' : verdict == V_NO ? 'S' : '?');
}

/*
 * A region's cycles, one word each: the second, a colon (or, where the list
 * was not whole, a slash), and the services by two letters: a name, and H
 * healthy, S sick, ? unknown or - nothing to count.  What is expected of them
 * is one letter a cycle.
 */
static void
run(struct region_memory *memory, const char *cycles, const char *expected)
{
	struct service_result results[8];
	enum verdict verdict;
	size_t count, cycle = 0;
	long second;
	char *at;
	bool complete;

	while (*cycles != '\0') {
		second = strtol(cycles, &at, 10);
		complete = *at++ == ':';
		memset(results, 0, sizeof(results));
		for (count = 0; *at != ' ' && *at != '\0'; count++) {
			results[count].name[0] = *at++;
			results[count].empty = *at == '-';
			results[count].verdict = from_letter(*at++);
		}
		cycles = *at == ' ' ? at + 1 : at;
		verdict = region_judge(memory, results, count, complete,
		    second * 1000);
		if (to_letter(verdict) != expected[cycle])
			fail_msg("second %ld: %c, not %c", second,
			    to_letter(verdict), expected[cycle]);
		cycle++;
	}
	assert_int_equal(cycle, strlen(expected));
}

static void
regions(void **state)
{
	static const struct {
		const char *cycles, *expected;
	} table[] = {
		/* All must be healthy; one known sick one settles it. */
		{ "0:aHbHcH 1:aHbScH 2:aHbHc? 3:aSbHc? 4:a?b?c?", "HS?S?" },
		/* Nothing to count, and a list that is not whole. */
		{ "0: 1:aH 2:", "?H?" },
		{ "0/aH 1/aS 2/ 3:aH", "???H" },
		/* Never had an endpoint: unknown for ever. */
		{ "0:a- 300:a- 100000:a-", "???" },
		/* Lost them: sick after 300 s. */
		{ "0:aH 10:a- 309:a- 310:a- 311:aH", "H??SH" },
		{ "0:aS 10:a- 310:a-", "S?S" },
		{ "0:aHbH 10:a-bH 20:a-bS 310:a-bH", "H?SS" },
		/* Endpoints between start the time anew. */
		{ "0:aH 10:a- 200:aH 201:a- 310:a- 501:a-", "H?H??S" },
		{ "0:aH 10:a- 200:a? 201:a- 310:a- 501:a-", "H????S" },
		/* So do those seen in a list that is not whole. */
		{ "0:aH 10:a- 200/aH 201:a- 310:a- 501:a-", "H????S" },
		{ "0/aH 10:a- 310:a-", "??S" },
		/* A call that failed does not prove that there were any. */
		{ "0:a? 10:a- 310:a- 1000:a-", "????" },
		/* Out of a whole list is out of mind ... */
		{ "0:aHbH 10:a-bH 20:bH 310:a-bH 700:a-bH", "H?H??" },
		{ "0:aH 10: 20:a- 400:a-", "H???" },
		/* ... but not out of one that is not whole. */
		{ "0:aHbH 10:a-bH 20/bH 30/ 310:a-bH", "H???S" },
		/* In any order, and twice. */
		{ "0:cHaHbH 10:bHc-aH 310:aHc-bH 311:c-bHaH", "H?SS" },
		{ "0:aHaH 1:aHaH 2:a-a- 302:a-a- 303:aHaS", "HH?SS" },
	};
	struct region_memory memory;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		memset(&memory, 0, sizeof(memory));
		run(&memory, table[i].cycles, table[i].expected);
		region_forget(&memory);
		assert_null(memory.service);
		assert_int_equal(memory.count, 0);
	}
}

/* What the state file brings back. */
static void
remembered(void **state)
{
	struct region_memory memory;

	(void)state;
	memset(&memory, 0, sizeof(memory));
	assert_int_equal(region_remember(&memory, "m", 0, false), 0);
	assert_int_equal(region_remember(&memory, "z", 50000, true), 0);
	assert_int_equal(region_remember(&memory, "a", -200000, true), 0);
	assert_int_equal(region_remember(&memory, NULL, 0, false), -1);
	/* Remembered already: stays as it is. */
	assert_int_equal(region_remember(&memory, "a", 90000, true), 0);
	assert_int_equal(memory.count, 3);
	assert_string_equal(memory.service[0].name, "a");
	assert_string_equal(memory.service[1].name, "m");
	assert_string_equal(memory.service[2].name, "z");
	/* Sick 300 s after a time before the clock began. */
	run(&memory, "99:a-mHzH 100:a-mHzH", "?S");
	region_forget(&memory);

	/* Each with its own time; one that was not empty begins now. */
	region_remember(&memory, "m", 0, false);
	region_remember(&memory, "z", 50000, true);
	run(&memory, "10:m- 20:m- 309:m- 310:m-", "???S");
	region_forget(&memory);
	region_remember(&memory, "m", 0, false);
	region_remember(&memory, "z", 50000, true);
	run(&memory, "10:mHz- 349:mHz- 350:mHz-", "??S");
	region_forget(&memory);
}

/* Names of full length, many of them, in any order. */
static void
many(void **state)
{
	enum {
		COUNT = 5000,
		LAST = sizeof(((struct service_result *)0)->name)
	};
	struct service_result *results;
	struct region_memory memory;
	size_t i;

	(void)state;
	memset(&memory, 0, sizeof(memory));
	results = calloc(COUNT, sizeof(*results));
	assert_non_null(results);
	for (i = 0; i < COUNT; i++) {
		snprintf(results[i].name, sizeof(results[i].name), "%0*zu",
		    LAST - 1, i * 7919 % COUNT);
		results[i].verdict = V_YES;
	}
	assert_int_equal(region_judge(&memory, results, COUNT, true, 0), V_YES);
	assert_int_equal(memory.count, COUNT);
	for (i = 1; i < COUNT; i++)
		assert_true(strcmp(memory.service[i - 1].name,
				memory.service[i].name) < 0);
	results[COUNT / 2].empty = true;
	assert_int_equal(region_judge(&memory, results, COUNT, true, 1000),
	    V_UNKNOWN);
	assert_int_equal(region_judge(&memory, results, COUNT, true, 301000),
	    V_NO);
	assert_int_equal(region_judge(&memory, results, 3, true, 301001),
	    V_YES);
	assert_int_equal(memory.count, 3);
	region_forget(&memory);
	free(results);
}

/* A service that cannot be remembered is unknown; the rest goes on. */
static void
short_of_memory(void **state)
{
	struct region_memory memory;

	(void)state;
	memset(&memory, 0, sizeof(memory));
	memory_short = true;
	assert_int_equal(region_remember(&memory, "a", 0, false), -1);
	run(&memory, "0:aH 1:aHbH", "??");
	assert_int_equal(memory.count, 0);
	memory_short = false;
	run(&memory, "2:aHbH 3:aHb- 303:aHb-", "H?S");
	region_forget(&memory);
}

static void
bgp(void **state)
{
	static const struct {
		enum verdict verdict;
		bool read;
		uint32_t peers;
		bool had;
		enum verdict expected;
		bool has;
	} table[] = {
		/* Not read: whatever it had, unknown, and nothing learnt. */
		{ V_UNKNOWN, false, 0, false, V_UNKNOWN, false },
		{ V_UNKNOWN, false, 0, true, V_UNKNOWN, true },
		{ V_NO, false, 2, false, V_UNKNOWN, false },
		/* No peers. */
		{ V_UNKNOWN, true, 0, false, V_UNKNOWN, false },
		{ V_YES, true, 0, false, V_UNKNOWN, false },
		{ V_UNKNOWN, true, 0, true, V_NO, true },
		{ V_YES, true, 0, true, V_NO, true },
		/* Peers say it. */
		{ V_YES, true, 1, false, V_YES, true },
		{ V_NO, true, 1, false, V_NO, true },
		{ V_UNKNOWN, true, 2, true, V_UNKNOWN, true },
	};
	bool had;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		had = table[i].had;
		if (bgp_judge(table[i].verdict, table[i].read, table[i].peers,
			&had) != table[i].expected ||
		    had != table[i].has)
			fail_msg("row %zu", i);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(regions),
		cmocka_unit_test(remembered),
		cmocka_unit_test(many),
		cmocka_unit_test(short_of_memory),
		cmocka_unit_test(bgp),
	};

	return (cmocka_run_group_tests_name("health", tests, NULL, NULL));
}
