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

#include "../../src/spread.c"

/* Who begins with whom, and when. */

#define COUNT	 40
#define INTERVAL 15000

static struct failover failovers[COUNT];
static struct failover_conf confs[COUNT];
static char texts[COUNT][5][16];

static void
place(size_t i, const char *project, const char *local, const char *remote)
{
	struct failover_conf *conf = &confs[i];
	char(*text)[16] = texts[i];

	memset(conf, 0, sizeof(*conf));
	memset(&failovers[i], 0, sizeof(failovers[i]));
	strlcpy(text[0], project, sizeof(text[0]));
	strlcpy(text[1], local, sizeof(text[0]));
	strlcpy(text[2], remote, sizeof(text[0]));
	snprintf(text[3], sizeof(text[3]), "router-%zu", i % 2);
	snprintf(text[4], sizeof(text[4]), "remote-%zu", i % 2);
	conf->index = (uint32_t)i;
	conf->project = conf->router_project = text[0];
	conf->region[LOCAL] = text[1];
	conf->region[REMOTE] = text[2];
	conf->router[LOCAL] = text[3];
	conf->router[REMOTE] = text[4];
	conf->policy.interval = INTERVAL;
	failovers[i].conf = conf;
}

static size_t
ring(const struct failover *failover)
{
	const struct failover *mate = failover->mate;
	size_t n = 1;

	for (; mate != failover; mate = mate->mate) {
		assert_int_equal(mate->first_cycle, failover->first_cycle);
		assert_true(n++ < COUNT);
	}
	return (n);
}

static void
alone(void **state)
{
	(void)state;
	place(0, "p", "a", "b");
	spread_failovers(failovers, 1);
	assert_ptr_equal(failovers[0].mate, &failovers[0]);
	assert_int_equal(failovers[0].first_cycle, 0);
	spread_failovers(failovers, 0);
}

/* Those who share nothing begin one after the other. */
static void
strangers(void **state)
{
	char project[16];
	bool taken[COUNT] = { false };
	size_t i, slot;

	(void)state;
	for (i = 0; i < COUNT; i++) {
		snprintf(project, sizeof(project), "p%zu", i);
		place(i, project, "a", "b");
	}
	spread_failovers(failovers, COUNT);
	for (i = 0; i < COUNT; i++) {
		assert_int_equal(ring(&failovers[i]), 1);
		slot = (size_t)failovers[i].first_cycle * COUNT / INTERVAL;
		assert_true(slot < COUNT);
		assert_false(taken[slot]);
		taken[slot] = true;
	}
}

/* Those who share all are in groups of a size that is no burst. */
static void
mates(void **state)
{
	size_t at[COUNT / MATES_MAX] = { 0 };
	size_t i, slot;

	(void)state;
	for (i = 0; i < COUNT; i++)
		place(i, "p", "a", "b");
	spread_failovers(failovers, COUNT);
	for (i = 0; i < COUNT; i++) {
		assert_int_equal(ring(&failovers[i]), MATES_MAX);
		slot = (size_t)failovers[i].first_cycle /
		    (INTERVAL * MATES_MAX / COUNT);
		assert_true(slot < COUNT / MATES_MAX);
		at[slot]++;
		/* the same routers, too, as far as that goes */
		if (slot != COUNT / MATES_MAX / 2)
			assert_string_equal(failovers[i].mate->conf->router[0],
			    failovers[i].conf->router[0]);
	}
	for (i = 0; i < COUNT / MATES_MAX; i++)
		assert_int_equal(at[i], MATES_MAX);
}

/* A region in common is enough, a project is not. */
static void
neighbours(void **state)
{
	(void)state;
	place(0, "p", "a", "b");
	place(1, "p", "a", "c");
	place(2, "p", "d", "e");
	place(3, "q", "a", "b");
	spread_failovers(failovers, 4);
	assert_ptr_equal(failovers[0].mate, &failovers[1]);
	assert_ptr_equal(failovers[1].mate, &failovers[0]);
	assert_int_equal(ring(&failovers[2]), 1);
	assert_int_equal(ring(&failovers[3]), 1);
	assert_int_equal(failovers[0].first_cycle, 0);
	assert_int_equal(failovers[2].first_cycle, INTERVAL / 3);
	assert_int_equal(failovers[3].first_cycle, 2 * INTERVAL / 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(alone),
		cmocka_unit_test(strangers),
		cmocka_unit_test(mates),
		cmocka_unit_test(neighbours),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
