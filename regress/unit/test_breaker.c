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

#include "breaker.h"
#include "random.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SECOND	     1000

/*
 * A breaker's life, a word each: the second and what happens: + a cycle whose
 * calls succeeded, - one with a failure, ? somebody asks.  Expected is a letter
 * a word: of a result the state after it (closed, open, half-open), in upper
 * case if it is worth telling; of a question y or n.
 */
struct life {
	const char *name;
	struct breaker_policy policy; /* in seconds */
	const char *words, *expected;
};

static char
breaker_word(struct breaker *breaker, const struct breaker_policy *policy,
    char what, int64_t now)
{
	bool told;
	char letter;

	if (what == '?')
		return (breaker_allows(breaker, now) ? 'y' : 'n');
	told = breaker_result(breaker, policy, what == '+', now);
	letter = breaker_state_name(breaker->state)[0];
	return (told ? (char)(letter - 'a' + 'A') : letter);
}

static void
run_lives(const struct life *life, size_t count)
{
	const struct life *end = life + count;
	struct breaker_policy policy;
	struct breaker breaker;
	char found[64], *at;
	const char *next;
	size_t word;
	int64_t now;

	for (; life < end; life++) {
		policy = life->policy;
		policy.first *= SECOND;
		policy.timeout *= SECOND;
		memset(&breaker, 0, sizeof(breaker));
		memset(found, 0, sizeof(found));
		next = life->words;
		for (word = 0; *next != '\0'; word++) {
			assert_true(word < sizeof(found) - 1);
			now = (int64_t)(strtod(next, &at) * SECOND);
			found[word] = breaker_word(&breaker, &policy, *at, now);
			next = at[1] == ' ' ? at + 2 : at + 1;
		}
		if (strcmp(found, life->expected) != 0)
			fail_msg("%s: \"%s\", not \"%s\"", life->name, found,
			    life->expected);
	}
}

static void
breakers(void **state)
{
	static const struct life lives[] = {
		{ "closed allows everything", { 5, 15, 300 }, "0? 1- 2? 3+ 4?",
		    "ycycy" },
		{ "the fifth running opens it", { 5, 15, 300 },
		    "0- 1- 2- 3- 3? 4- 4?", "ccccyOn" },
		{ "a success forgets", { 3, 15, 300 },
		    "0- 1- 2+ 3- 4- 5+ 6- 7- 8-", "ccccccccO" },
		{ "a threshold of one", { 1, 15, 300 }, "0- 1?", "On" },
		{ "the first trial, not before", { 1, 15, 300 },
		    "100- 100? 114.999? 115?", "Onny" },
		{ "after the interval", { 1, 60, 300 }, "0- 59.999? 60?",
		    "Ony" },
		{ "no sooner than 15 s", { 1, 5, 300 }, "0- 14.999? 15?",
		    "Ony" },
		{ "no later than the timeout", { 1, 60, 20 }, "0- 19.999? 20?",
		    "Ony" },
		{ "nobody asks, nothing changes", { 1, 15, 300 },
		    "0- 1000- 1000?", "Ooy" },
		{ "the trial is allowed till it ends", { 1, 15, 300 },
		    "0- 15? 16? 900?", "Oyyy" },
		{ "a good trial closes", { 2, 15, 300 },
		    "0- 1- 16? 17+ 17? 18- 19-", "cOyCycO" },
		{ "a bad trial opens at once", { 5, 15, 300 },
		    "0- 1- 2- 3- 4- 19? 20- 20?", "ccccOyOn" },
		{ "each waits twice as long", { 1, 15, 300 },
		    "0- 15? 15- 44.999? 45? 45- 104.999? 105? 105- 224.999? "
		    "225?",
		    "OyOnyOnyOny" },
		{ "up to the timeout", { 1, 15, 50 },
		    "0- 15? 15- 45? 45- 94.999? 95? 95- 144.999? 145?",
		    "OyOyOnyOny" },
		{ "from the end of the trial", { 1, 15, 300 },
		    "0- 15? 25- 54.999? 55?", "OyOny" },
		{ "a success makes the wait short again", { 1, 15, 300 },
		    "0- 15? 15- 45? 45+ 50- 64.999? 65?", "OyOyCOny" },
		{ "late failures change nothing", { 2, 15, 300 },
		    "0- 1- 2- 15- 15.999? 16? 16- 17- 45.999? 46?",
		    "cOoonyOony" },
		{ "late successes close it", { 1, 15, 300 }, "0- 1+ 1? 2-",
		    "OCyO" },
		{ "no wait at all", { 1, 15, 0 }, "0- 0? 0- 0?", "OyOy" },
	};

	(void)state;
	run_lives(lives, COUNT(lives));
}

static void
breaker_names(void **state)
{
	(void)state;
	assert_string_equal(breaker_state_name(BREAKER_CLOSED), "closed");
	assert_string_equal(breaker_state_name(BREAKER_OPEN), "open");
	assert_string_equal(breaker_state_name(BREAKER_HALF_OPEN), "half_open");
}

/* A trial that fails opens it, whatever threshold a reload has brought. */
static void
breaker_reload(void **state)
{
	struct breaker_policy policy = { 2, 15 * SECOND, 300 * SECOND };
	struct breaker breaker = { 0 };

	(void)state;
	assert_false(breaker_result(&breaker, &policy, false, 0));
	policy.threshold = 3;
	assert_false(breaker_result(&breaker, &policy, false, 0));
	assert_true(breaker_result(&breaker, &policy, false, 0));
	policy.threshold = 100;
	assert_true(breaker_allows(&breaker, 15 * SECOND));
	assert_true(breaker_result(&breaker, &policy, false, 15 * SECOND));
	assert_false(breaker_allows(&breaker, 44 * SECOND));
}

/* Any number of failures may be counted, and is told. */
static void
breaker_saturates(void **state)
{
	const struct breaker_policy policy = { UINT32_MAX, SECOND, SECOND };
	struct breaker breaker = { .failures = UINT32_MAX - 2 };

	(void)state;
	assert_false(breaker_result(&breaker, &policy, false, 0));
	assert_int_equal(breaker.failures, UINT32_MAX - 1);
	assert_true(breaker_result(&breaker, &policy, false, 0));
	assert_int_equal(breaker.failures, UINT32_MAX);
	assert_false(breaker_result(&breaker, &policy, false, 0));
	assert_int_equal(breaker.failures, UINT32_MAX);
	assert_int_equal(breaker.state, BREAKER_OPEN);
}

/* What happened to a breaker at random: one word each, as above. */
#define LIFE 200

struct past {
	int64_t now;
	char what;
	bool allowed; /* of a question */
};

/*
 * From the whole history: may the service be called, if somebody asks in that
 * word?  Each failure that ended a trial has doubled the wait; those that came
 * while it was open are nothing.
 */
static bool
expected_allowed(const struct past *past, int word,
    const struct breaker_policy *policy)
{
	int64_t opened = 0, wait = 0;
	bool trial = true; /* a call is allowed */
	uint32_t failures = 0;
	int i;

	for (i = word; i > 0 && past[i - 1].what != '+'; i--)
		;
	for (; i <= word; i++) {
		if (past[i].what == '?') {
			if (past[i].now - opened >= wait)
				trial = true;
			continue;
		}
		failures++;
		if (failures < policy->threshold || !trial)
			continue;
		wait = wait == 0 ? policy->first : wait * 2;
		if (wait < TRIAL_MIN)
			wait = TRIAL_MIN;
		if (wait > policy->timeout)
			wait = policy->timeout;
		opened = past[i].now;
		trial = false;
	}
	return (trial);
}

static void
random_breakers(void **state)
{
	static struct past past[LIFE];
	struct breaker_policy policy;
	struct breaker breaker;
	int blocked = 0, word, round;
	int64_t now;

	(void)state;
	seed = 0x627265616b6572;
	for (round = 0; round < 500; round++) {
		memset(&breaker, 0, sizeof(breaker));
		policy.threshold = 1 + pick(5);
		policy.first = pick(40) * SECOND;
		policy.timeout = (30 + pick(300)) * SECOND;
		now = pick(1000) * SECOND;
		for (word = 0; word < LIFE; word++) {
			past[word].now = now;
			past[word].what = "?--+"[one_in(12) ? 3 : pick(3)];
			past[word].allowed = breaker_word(&breaker, &policy,
						 past[word].what, now) == 'y';
			if (past[word].what == '?')
				assert_int_equal(past[word].allowed,
				    expected_allowed(past, word, &policy));
			blocked += past[word].what == '?' &&
			    !past[word].allowed;
			now += pick(20 * SECOND);
		}
	}
	assert_true(blocked > 5000);
}

/*
 * Repairs of one object, a word each: the second, and ! if it is forgotten just
 * before.  Expected is how many there were within ten minutes, with a * after
 * it if the object is contested.
 */
static void
drifts(void **state)
{
	static const struct {
		const char *words, *expected;
	} table[] = {
		{ "0 10 20", "1 2 3* " },
		{ "0 0 0", "1 2 3* " },
		{ "0 300 599", "1 2 3* " },
		{ "0 300 600", "1 2 2 " },
		{ "0 599 600 899 1199", "1 2 2 3* 3* " },
		{ "0 599 1198 1199", "1 2 2 2 " },
		{ "0 600 1200 1800", "1 1 1 1 " },
		{ "0 1 700 701 702", "1 2 1 2 3* " },
		{ "-900 -500 -300 0", "1 2 2 3* " },
		/* More of them change nothing: only the newest three count. */
		{ "0 1 2 3 4 603 604", "1 2 3* 3* 3* 2* 2* " },
		/* It stays contested, however long ago that is. */
		{ "0 1 2 9000 99999", "1 2 3* 1* 1* " },
		/* Until a transition, or the administrator, says otherwise. */
		{ "0 1 2 !3 4 5", "1 2 3* 1 2 3* " },
		{ "0 1 !2 3", "1 2 1 2 " },
	};
	struct drift drift;
	char found[64], *at;
	const char *next;
	uint32_t repairs;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(table); i++) {
		memset(&drift, 0, sizeof(drift));
		found[0] = '\0';
		for (next = table[i].words; *next != '\0'; next = at) {
			next += strspn(next, " ");
			if (*next == '!') {
				drift_forget(&drift);
				assert_false(drift.contested);
				next++;
			}
			repairs = drift_repaired(&drift,
			    strtol(next, &at, 10) * SECOND);
			snprintf(found + strlen(found),
			    sizeof(found) - strlen(found), "%u%s ", repairs,
			    drift.contested ? "*" : "");
		}
		if (strcmp(found, table[i].expected) != 0)
			fail_msg("%s: \"%s\", not \"%s\"", table[i].words,
			    found, table[i].expected);
	}
}

/* Against counting all repairs since the last time it was forgotten. */
static void
random_drifts(void **state)
{
	static int64_t at[1000];
	uint32_t found, expected;
	int contests = 0, first = 0, i, j;
	bool contested = false;
	struct drift drift;
	int64_t now = 0;

	(void)state;
	seed = 0x6472696674;
	memset(&drift, 0, sizeof(drift));
	for (i = 0; i < (int)COUNT(at); i++) {
		now += pick(500 * SECOND);
		if (one_in(10)) {
			drift_forget(&drift);
			first = i;
			contested = false;
		}
		at[i] = now;
		found = drift_repaired(&drift, now);
		for (expected = 0, j = first; j <= i; j++)
			expected += now - at[j] < 600 * SECOND;
		assert_int_equal(found, expected < 3 ? expected : 3);
		contested = contested || expected >= 3;
		assert_int_equal(drift.contested, contested);
		contests += contested;
	}
	assert_true(contests > 100);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(breakers),
		cmocka_unit_test(breaker_names),
		cmocka_unit_test(breaker_reload),
		cmocka_unit_test(breaker_saturates),
		cmocka_unit_test(random_breakers),
		cmocka_unit_test(drifts),
		cmocka_unit_test(random_drifts),
	};

	return (cmocka_run_group_tests_name("breaker", tests, NULL, NULL));
}
