/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include "prober_room.h"

/* Two failovers that want to know the same: who asks, and who is told. */

#define SHARE  500 /* milliseconds */
#define OWN    4   /* questions about groups, which are not shared */
#define SHARED 6

/* Let so much time pass. */
static void
pass(int64_t ms)
{
	int64_t until = now + ms;

	while (!TAILQ_EMPTY(&events) && TAILQ_FIRST(&events)->due <= until)
		run_one();
	now = until;
}

static void
check_well(const struct told *to)
{
	enum side side;

	assert_int_equal(to->ndone, 1);
	assert_int_equal(to->done.failed, 0);
	for (side = LOCAL; side < SIDES; side++) {
		assert_true(to->region[side].complete);
		assert_int_equal(to->region[side].services, 1);
		assert_int_equal(to->service[side].verdict, V_YES);
		assert_int_equal(to->router[side].verdict, V_YES);
	}
}

static int
room(void **state)
{
	setup(state);
	memset(&told, 0, sizeof(told));
	memset(&other, 0, sizeof(other));
	ncalls = 0;
	begun = now;
	questions_forget();
	return (0);
}

/* Two cycles, so many milliseconds apart; how many requests were made. */
static size_t
two(int64_t apart, uint32_t share)
{
	room(NULL);
	look(0, PARTS_ALL, share);
	pass(apart);
	look(1, PARTS_ALL, share);
	run();
	check_well(&told);
	check_well(&other);
	assert_int_equal(flying, 0);
	assert_int_equal(told.done.calls + other.done.calls, ncalls);
	return (ncalls);
}

static void
one_asks(void **state)
{
	(void)state;
	/* at once, while the answer is on its way, and after it came */
	assert_int_equal(two(0, SHARE), SHARED + 2 * OWN);
	assert_int_equal(two(LATENCY / 2, SHARE), SHARED + 2 * OWN);
	assert_int_equal(two(LATENCY, SHARE), SHARED + 2 * OWN);
	assert_int_equal(two(SHARE, SHARE), SHARED + 2 * OWN);
}

static void
all_ask(void **state)
{
	(void)state;
	/* too late, or nothing is to be shared */
	assert_int_equal(two(SHARE + 1, SHARE), 2 * (SHARED + OWN));
	assert_int_equal(two(5000, SHARE), 2 * (SHARED + OWN));
	assert_int_equal(two(0, 0), 2 * (SHARED + OWN));
	assert_int_equal(two(LATENCY / 2, 0), 2 * (SHARED + OWN));
	assert_int_equal(two(LATENCY, 0), 2 * (SHARED + OWN));
}

/* Who wants no old answer asks, though one is there. */
static void
fresh(void **state)
{
	(void)state;
	look(0, PARTS_ALL, SHARE);
	pass(LATENCY);
	look(1, PARTS_ALL, 0);
	run();
	check_well(&told);
	check_well(&other);
	assert_int_equal(ncalls, 2 * (SHARED + OWN));
}

/* Cycle after cycle, everybody has answers of this one's time. */
static void
again(void **state)
{
	int n;

	(void)state;
	for (n = 1; n <= 5; n++) {
		look(0, PARTS_ALL, SHARE);
		pass(LATENCY / 2);
		look(1, PARTS_ALL, SHARE);
		pass(2 * SHARE);
		assert_int_equal(told.ndone, n);
		assert_int_equal(other.ndone, n);
		assert_int_equal(called("backendServices?", NULL), 2 * n);
		assert_int_equal(called("getRouterStatus", NULL), 2 * n);
	}
	run();
}

/* The answers are those to each one's questions: only one of the regions. */
static void
not_the_same(void **state)
{
	(void)state;
	strlcpy(targets[1].probe.region[REMOTE], "c",
	    sizeof(targets[1].probe.region[0]));
	look(0, PARTS_ALL, SHARE);
	look(1, PARTS_ALL, SHARE);
	run();
	check_well(&told);
	check_well(&other);
	assert_int_equal(called("/a/backendServices?", NULL), 1);
	assert_int_equal(called("/b/backendServices?", NULL), 1);
	assert_int_equal(called("/c/backendServices?", NULL), 1);
}

/* Every page, with one request each. */
static void
all_pages(void **state)
{
	static char pages[][64] = {
		"{\"nextPageToken\":\"2\"}",
		"{\"nextPageToken\":\"3\"}",
		"{}",
	};

	(void)state;
	page = pages;
	at_page = 0;
	look(0, PARTS_ALL, SHARE);
	look(1, PARTS_ALL, SHARE);
	run();
	page = NULL;
	assert_int_equal(called("/b/backendServices?", NULL), 3);
	assert_true(told.region[REMOTE].complete);
	assert_true(other.region[REMOTE].complete);
	assert_int_equal(other.region[REMOTE].services, 0);
}

/* A failure is nobody else's: after the first one, each asks for itself. */
static void
failures(void **state)
{
	static const long statuses[] = { 403, 429, 500, 503 };
	int64_t at[8];
	size_t i;

	(void)state;
	for (i = 0; i < 4; i++) {
		room(NULL);
		rule("/routers/rb/getRouterStatus", 1, statuses[i]);
		look(0, PARTS_ALL, SHARE);
		look(1, PARTS_ALL, SHARE);
		run();
		check_well(&other);
		/* The first one calls again, if that is of any use. */
		assert_int_equal(told.done.failed, statuses[i] == 403);
		assert_int_equal(called("/routers/rb/getRouterStatus", at),
		    statuses[i] == 403 ? 2 : 3);
		assert_int_equal(at[1], LATENCY);
	}
}

static void
nothing_works(void **state)
{
	(void)state;
	rule("https://h/", 0, 403);
	look(0, PARTS_ALL, SHARE);
	look(1, PARTS_ALL, SHARE);
	run();
	assert_int_equal(told.done.failed_parts, PARTS_ALL);
	assert_int_equal(other.done.failed_parts, PARTS_ALL);
	assert_string_equal(other.router[LOCAL].error,
	    told.router[LOCAL].error);
	assert_int_equal(ncalls, 2 * SHARED);
}

/* An answer of another kind than expected is no answer. */
static void
wrong_answers(void **state)
{
	struct rule *r = rule("backendServices?", 2, 200);

	(void)state;
	r->body = "[]";
	look(0, PARTS_ALL, SHARE);
	look(1, PARTS_ALL, SHARE);
	run();
	check_well(&other);
}

/* A token that is refused is replaced before anybody is told. */
static void
refused(void **state)
{
	(void)state;
	rule("/routers/rb/getRouterStatus", 1, 401);
	look(0, PARTS_ALL, SHARE);
	look(1, PARTS_ALL, SHARE);
	run();
	check_well(&told);
	check_well(&other);
	assert_int_equal(refusals, 1);
	assert_int_equal(called("/routers/rb/getRouterStatus", NULL), 2);
}

/* Who asks goes away: one of the others has to. */
static void
gone(void **state)
{
	struct rule *r = rule("https://h/", SHARED, 0);

	(void)state;
	r->delay = NEVER;
	look(0, PARTS_ALL, SHARE);
	look(1, PARTS_ALL, SHARE);
	pass(LATENCY);
	assert_int_equal(ncalls, SHARED);
	cycle_end(targets[0].cycle);
	assert_int_equal(told.done.failed_parts, PARTS_ALL);
	pass(LATENCY / 2);
	assert_int_equal(ncalls, 2 * SHARED);
	run();
	check_well(&other);
}

/* Who waits, or is about to be told, goes away. */
static void
no_longer(void **state)
{
	(void)state;
	look(0, PARTS_ALL, SHARE);
	look(1, PARTS_ALL, SHARE);
	cycle_end(targets[1].cycle);
	assert_int_equal(other.done.failed_parts, PARTS_ALL);
	run();
	check_well(&told);

	room(NULL);
	look(0, PARTS_ALL, SHARE);
	pass(2 * LATENCY);
	look(1, PARTS_ALL, SHARE);
	cycle_end(targets[1].cycle);
	assert_int_equal(other.done.failed_parts, PARTS_ALL);
	run();
	check_well(&told);
}

/* Under another configuration all is asked anew. */
static void
another_configuration(void **state)
{
	(void)state;
	look(0, PARTS_ALL, SHARE);
	pass(2 * LATENCY);
	cycles_end();
	check_well(&told);
	look(1, PARTS_ALL, SHARE);
	run();
	check_well(&other);
	assert_int_equal(ncalls, 2 * (SHARED + OWN));
}

/* A slow answer is not found any more by who comes late, and yet told to all
 * those who wait for it. */
static void
slow(void **state)
{
	struct rule *r = rule("/a/backendServices?", 1, 200);

	(void)state;
	r->delay = 3 * SHARE;
	look(0, PARTS_ALL, SHARE);
	look(1, PARTS_ALL, SHARE);
	pass(2 * SHARE);
	cycle_end(targets[1].cycle);
	memset(&other, 0, sizeof(other));
	look(1, PARTS_ALL, SHARE);
	pass(2 * LATENCY);
	check_well(&other);
	assert_int_equal(told.ndone, 0);
	run();
	check_well(&told);
	assert_int_equal(called("/a/backendServices?", NULL), 2);
}

/* What is urgent waits for nobody who is not, but takes what is there. */
static void
urgency(void **state)
{
	(void)state;
	look(0, PARTS_ALL, SHARE);
	look_as(1, PARTS_ALL, SHARE, true);
	assert_int_equal(ncalls, 2 * SHARED);
	assert_false(calls[0].line->urgent);
	assert_true(calls[SHARED].line->urgent);
	run();
	check_well(&told);
	check_well(&other);

	room(NULL);
	look(0, PARTS_ALL, SHARE);
	pass(2 * LATENCY);
	look_as(1, PARTS_ALL, SHARE, true);
	run();
	check_well(&other);
	assert_int_equal(ncalls, SHARED + 2 * OWN);

	room(NULL);
	look_as(0, PARTS_ALL, SHARE, true);
	look_as(1, PARTS_ALL, SHARE, true);
	assert_int_equal(ncalls, SHARED);
	run();
	check_well(&other);
}

/* Answers are not kept for longer than anybody wants them. */
static void
forgotten(void **state)
{
	(void)state;
	look(0, PARTS_ALL, SHARE);
	pass(2 * LATENCY);
	assert_non_null(question_find(calls[0].url));
	pass(2 * KEPT_MAX);
	assert_null(question_find(calls[0].url));
	assert_null(questions.root);
	assert_true(TAILQ_EMPTY(&events));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(one_asks, room),
		cmocka_unit_test_setup(all_ask, room),
		cmocka_unit_test_setup(fresh, room),
		cmocka_unit_test_setup(again, room),
		cmocka_unit_test_setup(not_the_same, room),
		cmocka_unit_test_setup(all_pages, room),
		cmocka_unit_test_setup(failures, room),
		cmocka_unit_test_setup(nothing_works, room),
		cmocka_unit_test_setup(wrong_answers, room),
		cmocka_unit_test_setup(refused, room),
		cmocka_unit_test_setup(gone, room),
		cmocka_unit_test_setup(no_longer, room),
		cmocka_unit_test_setup(another_configuration, room),
		cmocka_unit_test_setup(slow, room),
		cmocka_unit_test_setup(urgency, room),
		cmocka_unit_test_setup(forgotten, room),
	};

	log_init("test", LOG_CRIT, NULL);
	cycle_init(NULL);
	return (cmocka_run_group_tests(tests, NULL, teardown));
}
