/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "forecast.h"
#include "random.h"

/*
 * What is foretold of a failover is what then happens: after random samples,
 * under random policies and orders, what is seen stays as it is, and each
 * change has to come when it was said to, and no other.
 */

#define SCHEDULES 3000
#define SECOND	  INT64_C(1000)

static struct policy policy;
static struct orders orders;
static struct machine machine;
static struct decision decision;
static struct sample sample;
static int64_t now;

static enum verdict
any_verdict(void)
{
	static const enum verdict verdicts[] = { V_YES, V_YES, V_NO, V_NO,
		V_UNKNOWN };

	return (verdicts[pick(5)]);
}

static void
any_policy(void)
{
	int state;

	policy_default(&policy);
	policy.window = 1 + pick(6);
	policy.up = policy.window / 2 + 1;
	policy.down = policy.window + 1 - policy.up;
	policy.interval = (1 + pick(20)) * SECOND;
	policy.fast = one_in(2) ? policy.interval : SECOND;
	policy.unknown_after = policy.interval * (1 + pick(4));
	policy.bgp_down_after = one_in(2) ? 0 : pick(90) * SECOND;
	policy.dwell = one_in(2) ? 0 : pick(200) * SECOND;
	policy.return_after = one_in(2) ? 0 : pick(400) * SECOND;
	policy.handover = one_in(3) ? -1 : (int64_t)pick(90) * SECOND;
	policy.brake = pick(3);
	policy.local_bgp = one_in(2);
	for (state = 1; state <= STATE_MAX; state++)
		policy.verify[state] = 1 + pick(4);
}

static void
any_orders(void)
{
	memset(&orders, 0, sizeof(orders));
	orders.passive = one_in(10);
	orders.hold = one_in(10);
	orders.force = one_in(10) ? (int)(1 + pick(STATE_MAX)) : STATE_NONE;
}

static void
any_sample(void)
{
	int i;

	for (i = 0; i < SIDES; i++) {
		sample.services[i] = any_verdict();
		sample.bgp[i] = any_verdict();
	}
	for (i = 0; i < PREFIXES; i++)
		sample.remote_announces[i] = any_verdict();
}

static void
step(void)
{
	machine_step(&machine, &policy, &orders, &sample, now, &decision);
}

/* Everything that a forecast says, of the decision as it is. */
static struct forecast
as_it_is(int64_t since)
{
	struct forecast change;

	memset(&change, 0, sizeof(change));
	change.in = now - since;
	change.local = decision.local;
	change.remote = decision.remote;
	change.remote_bgp = decision.remote_bgp;
	change.read = decision.read;
	change.current = decision.current;
	change.acts = decision_acts(&decision);
	change.actions = decision_picture(&decision);
	return (change);
}

static bool
alike(const struct forecast *a, const struct forecast *b)
{
	return (a->local == b->local && a->remote == b->remote &&
	    a->remote_bgp == b->remote_bgp && a->read == b->read &&
	    a->current == b->current && a->acts == b->acts &&
	    actions_equal(&a->actions, &b->actions));
}

/* Step on, and see the changes come as foretold; a settled forecast must not
 * be followed by another one, however long one waits. */
static void
follow(const struct forecast *changes, size_t n, bool settled)
{
	struct forecast before = as_it_is(now), after;
	int64_t since = now, end;
	size_t seen = 0;

	end = now + (n > 0 ? changes[n - 1].in : 0) +
	    (settled ? 3600 * SECOND : 0);
	while (now + decision.interval <= end) {
		now += decision.interval;
		step();
		after = as_it_is(since);
		if (alike(&before, &after))
			continue;
		assert_true(seen < n);
		assert_int_equal(after.in, changes[seen].in);
		assert_true(alike(&after, &changes[seen]));
		before = after;
		seen++;
	}
	assert_int_equal(seen, n);
}

static void
comes_true(void **state)
{
	struct forecast changes[FORECAST_MAX];
	uint64_t foretold = 0, settled_ones = 0, still = 0;
	struct standing from;
	bool settled;
	size_t n;
	int i, j;

	(void)state;
	seed = 20260117;
	for (i = 0; i < SCHEDULES; i++) {
		any_policy();
		any_orders();
		machine_init(&machine);
		now = 1000 * SECOND;
		for (j = (int)pick(40); j >= 0; j--) {
			if (one_in(3))
				any_sample();
			step();
			now += decision.interval;
		}
		now -= decision.interval;
		from = (struct standing){ &machine, &policy, &orders, &sample,
			&decision, now, now + decision.interval };
		n = forecast(&from, 100000, changes, &settled);
		foretold += n;
		settled_ones += settled;
		still += n == 0;
		follow(changes, n, settled);
	}
	/* The schedules were worth their while. */
	assert_true(foretold > SCHEDULES);
	assert_true(settled_ones > SCHEDULES * 9 / 10);
	assert_true(still > SCHEDULES / 10);
}

/* The end of the look ahead is told from the end of all changes. */
static void
cut_short(void **state)
{
	struct forecast changes[FORECAST_MAX];
	struct standing from;
	bool settled;

	(void)state;
	policy_default(&policy);
	memset(&orders, 0, sizeof(orders));
	machine_init(&machine);
	now = 1000 * SECOND;
	sample = (struct sample){ .services = { V_YES, V_YES },
		.bgp = { V_YES, V_YES },
		.remote_announces = { V_NO, V_YES } };
	step();
	from = (struct standing){ &machine, &policy, &orders, &sample,
		&decision, now, now + decision.interval };
	assert_int_equal(forecast(&from, 1, changes, &settled), 1);
	assert_false(settled);
	assert_true(forecast(&from, 1000, changes, &settled) > 1);
	assert_true(settled);
	assert_int_equal(changes[0].current, STATE_NONE);
	assert_int_equal(changes[1].current, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_true),
		cmocka_unit_test(cut_short),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
