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
#include <syslog.h>

#include <cmocka.h>

#include "log.h"
#include "mtgcpd.h"
#include "random.h"

/*
 * A failover with its orders, its state file and two clocks, through random
 * schedules of samples, failures, restarts and administrators.  What must come
 * out of each step is worked out anew from everything that has happened before,
 * by the rules as people are told them; a schedule ends with inputs that stay
 * as they are, and the failover has to arrive where they lead.
 *
 * The environment variable MTGCPD_SCHEDULES says how many schedules.
 */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SECOND	     INT64_C(1000)
#define SCHEDULES    8500
#define STEPS_MAX    1024 /* of one schedule */

/* Time as it really is, when the machine was started, and by how much the wall
 * clock is ahead of what really is. */
static struct {
	int64_t at;
	int64_t boot;
	int64_t ahead;
} world;

int64_t
mono_ms(void)
{
	return (world.at - world.boot);
}

int64_t
wall_ms(void)
{
	return (world.at + world.ahead);
}

void
correlation_id(char *buf, size_t len)
{
	snprintf(buf, len, "test");
}

static struct failover_conf conf = { .name = (char[]){ "web" } };
static const struct policy *const policy = &conf.policy;
static struct failover failover;

/* How often what happened, in all schedules. */
static struct {
	uint64_t schedules, steps;
	uint64_t transitions, rescues, returns, reads, unknowns;
	uint64_t brakes, braked, acks;
	uint64_t holds, forces, refused, releases, ends, forced_blind;
	uint64_t passive, restarts, reboots, gaps, clock_sets, trips;
	uint64_t waits, stuck, kept, fast, settled, settled_braked, nowhere;
	uint64_t pending[PENDING_BRAKE + 1];
} seen;

/* What has happened in one step. */
struct past {
	int64_t at;
	enum verdict services[SIDES];
	enum verdict bgp[SIDES];
	enum verdict announces[PREFIXES];
	/* As the rules have it, after the step. */
	int read;
	int current;
	bool reason; /* to look more often */
	bool free;   /* neither held nor forced */
};

/* An order, as far as it matters. */
struct expected_order {
	bool given;
	int64_t until;
};

/* A schedule, and what must be true now. */
static struct {
	struct past past[STEPS_MAX];
	int count;
	int first;    /* step after the last restart */
	int restored; /* current state before that step, since */
	int64_t since;
	int64_t moves[STEPS_MAX]; /* that count for the brake */
	int nmoves;
	bool braked;
	struct expected_order hold, force;
	int force_state;
} past;

/* The verdicts of each state: local, remote, remote BGP. */
static const enum verdict rows[STATE_MAX + 1][3] = {
	[1] = { V_YES, V_YES, V_YES },
	[2] = { V_NO, V_YES, V_YES },
	[3] = { V_YES, V_NO, V_YES },
	[4] = { V_NO, V_NO, V_YES },
	[5] = { V_NO, V_YES, V_NO },
	[6] = { V_YES, V_YES, V_NO },
	[7] = { V_YES, V_NO, V_NO },
	[8] = { V_NO, V_NO, V_NO },
};

/*
 * The known samples of a check that still count after a step, the newest
 * first; at most max.  offset is where the check is in struct past.
 */
static int
known_samples(int step, size_t offset, const struct past **known, int max)
{
	int64_t reading = policy->interval > 10 * SECOND ? policy->interval :
							   10 * SECOND;
	int64_t in_time = policy->unknown_after;
	int64_t newer = past.past[step].at, unknown = newer;
	bool newer_known = false, unknown_seen = false;
	enum verdict sample;
	int i, n = 0;

	if (in_time < policy->interval + reading)
		in_time = policy->interval + reading;
	for (i = step; i >= past.first && n < max; i--) {
		memcpy(&sample, (const char *)&past.past[i] + offset,
		    sizeof(sample));
		if (sample == V_UNKNOWN) {
			if (!unknown_seen)
				unknown = past.past[i].at;
			unknown_seen = true;
			continue;
		}
		if (unknown_seen &&
		    unknown - past.past[i].at >= policy->unknown_after)
			break;
		if (newer_known && newer - past.past[i].at >= in_time)
			break;
		newer = past.past[i].at;
		newer_known = true;
		unknown_seen = false;
		known[n++] = &past.past[i];
	}
	return (n);
}

static enum verdict
value(const struct past *one, size_t offset)
{
	enum verdict sample;

	memcpy(&sample, (const char *)one + offset, sizeof(sample));
	return (sample);
}

/* The newest window that says something says it.  all: there are no older
 * samples than those. */
static enum verdict
window_of(const struct past **known, int n, bool all, size_t offset)
{
	uint32_t healthy, sick;
	int i, j;

	for (i = 0; i < n; i++) {
		if (!all && i + (int)policy->window > n)
			break;
		healthy = sick = 0;
		for (j = i; j < n && j < i + (int)policy->window; j++) {
			healthy += value(known[j], offset) == V_YES;
			sick += value(known[j], offset) == V_NO;
		}
		if (healthy >= policy->up)
			return (V_YES);
		if (sick >= policy->down)
			return (V_NO);
	}
	return (V_UNKNOWN);
}

/* The newest run that is long enough says it, likewise. */
static enum verdict
sessions_of(const struct past **known, int n, bool all, size_t offset)
{
	enum verdict sample;
	int i, j;

	for (i = 0; i < n; i++) {
		sample = value(known[i], offset);
		if (policy->bgp_down_after == 0)
			return (sample);
		for (j = i; j + 1 < n; j++)
			if (value(known[j + 1], offset) != sample)
				break;
		if (!all && j + 1 == n)
			break;
		if (j > i &&
		    (sample == V_YES ||
			known[i]->at - known[j]->at >= policy->bgp_down_after))
			return (sample);
	}
	return (V_UNKNOWN);
}

static enum verdict
verdict_of(int step, size_t offset,
    enum verdict (*judge)(const struct past **, int, bool, size_t))
{
	static const struct past *known[STEPS_MAX];
	enum verdict verdict;
	int n;

	/* Mostly the newest ones are enough. */
	n = known_samples(step, offset, known, 16);
	verdict = judge(known, n, n < 16, offset);
	if (n < 16 || verdict != V_UNKNOWN)
		return (verdict);
	n = known_samples(step, offset, known, STEPS_MAX);
	return (judge(known, n, true, offset));
}

struct verdicts {
	enum verdict services[SIDES];
	enum verdict bgp[SIDES];
	enum verdict of[3]; /* local, remote, remote BGP */
};

static enum verdict
both(enum verdict a, enum verdict b)
{
	if (a == V_NO || b == V_NO)
		return (V_NO);
	return (a == V_YES && b == V_YES ? V_YES : V_UNKNOWN);
}

static void
make_verdicts(struct verdicts *v, int step)
{
	int side;

	for (side = LOCAL; side < SIDES; side++) {
		v->services[side] = verdict_of(step,
		    offsetof(struct past, services) +
			(size_t)side * sizeof(enum verdict),
		    window_of);
		v->bgp[side] = verdict_of(step,
		    offsetof(struct past, bgp) +
			(size_t)side * sizeof(enum verdict),
		    sessions_of);
	}
	v->of[0] = policy->local_bgp ? both(v->services[LOCAL], v->bgp[LOCAL]) :
				       v->services[LOCAL];
	v->of[1] = v->services[REMOTE];
	v->of[2] = v->bgp[REMOTE];
}

/* The first of the states that are possible, if all do the same. */
static int
read_of(const enum verdict of[3])
{
	const struct actions *a, *b;
	int state, i, found = 0;

	for (state = 1; state <= STATE_MAX; state++) {
		for (i = 0; i < 3; i++)
			if (of[i] != V_UNKNOWN && of[i] != rows[state][i])
				break;
		if (i < 3)
			continue;
		a = &policy->table[found];
		b = &policy->table[state];
		if (found == 0)
			found = state;
		else if (a->prefix[PRIMARY] != b->prefix[PRIMARY] ||
		    a->prefix[SECONDARY] != b->prefix[SECONDARY] ||
		    a->cloudflare != b->cloudflare)
			return (0);
	}
	return (found);
}

static int
current_before(int step)
{
	return (
	    step == past.first ? past.restored : past.past[step - 1].current);
}

static int64_t
entered_before(int step)
{
	int current = current_before(step);

	for (step--; step >= past.first; step--)
		if (current_before(step) != current)
			return (past.past[step].at);
	return (past.since);
}

/* What is read since the current state was entered, and is not that. */
static int
candidate_of(int step)
{
	int current = current_before(step);
	int i;

	for (i = step; i >= past.first; i--) {
		if (current_before(i) != current)
			return (0);
		if (past.past[i].read != 0)
			return (past.past[i].read == current ?
				0 :
				past.past[i].read);
	}
	return (0);
}

/* What does a candidate wait for in that step? */
static enum pending
pending_of(int step, int candidate)
{
	int current = current_before(step);
	int64_t now = past.past[step].at;
	int64_t one_since = now;
	uint32_t verified = 0;
	int i;

	for (i = step; i >= past.first; i--) {
		if (past.past[i].read == 0)
			continue;
		if (past.past[i].read != candidate)
			break;
		verified += current_before(i) == current;
		one_since = past.past[i].at;
	}
	if (verified < policy->verify[candidate])
		return (PENDING_VERIFY);
	if (current == 0)
		return (PENDING_NONE);
	if (now - entered_before(step) < policy->dwell &&
	    !(policy->dwell_except >> current & 1) &&
	    !(policy->dwell_except >> candidate & 1))
		return (PENDING_DWELL);
	if (candidate == 1 && now - one_since < policy->return_after)
		return (PENDING_RETURN);
	if (candidate == 1 && past.braked)
		return (PENDING_BRAKE);
	return (PENDING_NONE);
}

/* Count a transition; does it latch the brake? */
static bool
brake_of(int64_t now)
{
	int i, kept = 0;

	for (i = 0; i < past.nmoves; i++)
		if (now - past.moves[i] < policy->brake_period)
			past.moves[kept++] = past.moves[i];
	past.moves[kept++] = now;
	past.nmoves = kept;
	if (past.braked || kept <= (int)policy->brake)
		return (false);
	past.braked = true;
	return (true);
}

/*
 * Is state 2 still waiting for the remote side after that step?  What counts is
 * what was seen of it last, and before that, that this side was sick then.
 */
static bool
wait_of(int step, bool *stuck)
{
	bool taken = false;
	int64_t entered;
	int i;

	*stuck = false;
	if (policy->handover < 0 || past.past[step].current != 2)
		return (false);
	for (i = step; i > past.first; i--)
		if (past.past[i - 1].current != 2)
			break;
	entered = current_before(i) == 2 ? past.since : past.past[i].at;
	for (; i <= step; i++) {
		if (past.past[i].announces[PRIMARY] == V_NO)
			taken = false;
		if (past.past[i].read != 2)
			continue;
		if (past.past[i].announces[PRIMARY] == V_YES)
			taken = true;
		if (!taken && past.past[i].free &&
		    past.past[i].at - entered >= policy->handover) {
			*stuck = i == step;
			return (false);
		}
	}
	return (!taken);
}

static bool
withdraws(int state)
{
	return (policy->table[state].prefix[SECONDARY] == ADVERT_WITHDRAW);
}

/* Must the secondary prefix be kept after that step? */
static bool
keep_of(int step)
{
	int64_t now = past.past[step].at;

	if (policy->handover < 0)
		return (false);
	for (; step >= past.first; step--) {
		if (past.past[step].announces[SECONDARY] != V_YES)
			return (true);
		if (now - past.past[step].at >= policy->handover)
			return (false);
		if (withdraws(past.past[step].current) &&
		    past.past[step].current != current_before(step))
			return (true); /* that decision starts the time anew */
	}
	return (true);
}

/* Is there a reason to look more often? */
static bool
reason_of(int step, const struct verdicts *v, int candidate)
{
	const struct past *one = &past.past[step];
	int side;

	for (side = LOCAL; side < SIDES; side++) {
		if (one->services[side] != V_UNKNOWN &&
		    one->services[side] != v->services[side])
			return (true);
		if (one->bgp[side] != V_UNKNOWN &&
		    one->bgp[side] != v->bgp[side] &&
		    (side == REMOTE || policy->local_bgp))
			return (true);
	}
	return (candidate != 0 && one->read != 0);
}

static bool
fast_of(int step)
{
	int64_t since = past.past[step].at;
	int i;

	for (i = step; i >= past.first && past.past[i].reason; i--)
		since = past.past[i].at;
	return (past.past[step].reason &&
	    past.past[step].at - since < 300 * SECOND);
}

/* What may be done, and as which state, after a step or an order. */
static void
check_orders(int read, int current)
{
	const struct decision *decision = &failover.decision;
	bool forced = past.force.given, held = past.hold.given && !conf.passive;

	assert_int_equal(failover.orders.passive, conf.passive);
	assert_int_equal(failover.orders.hold, past.hold.given);
	assert_int_equal(failover.orders.force, forced ? past.force_state : 0);
	assert_int_equal(decision->overridden, forced);
	assert_int_equal(decision->acting, forced ? past.force_state : current);
	assert_memory_equal(&decision->actions,
	    &policy->table[decision->acting], sizeof(decision->actions));
	assert_int_equal(decision->may_act,
	    forced || (read != 0 && current != 0 && !held));
	/* In so many words: never from what is not known. */
	if (read == 0 && !forced)
		assert_false(decision->may_act);
	seen.forced_blind += read == 0 && forced;
}

/* An order ends by the wall clock, for good. */
static void
end_order(struct expected_order *order)
{
	if (!order->given || order->until == 0 || wall_ms() < order->until)
		return;
	order->given = false;
	seen.ends++;
}

static void
end_orders(void)
{
	end_order(&past.hold);
	end_order(&past.force);
}

static char *
remembered(const struct failover *of)
{
	json_t *object = failover_remember(of, wall_ms() - mono_ms());
	char *text = json_dumps(object, JSON_COMPACT);

	assert_non_null(text);
	json_decref(object);
	return (text);
}

static void
fresh(struct failover *of)
{
	memset(of, 0, sizeof(*of));
	of->conf = &conf;
	machine_init(&of->machine);
}

static void
recall(struct failover *into, const char *text)
{
	json_t *object = json_loads(text, 0, NULL);

	assert_non_null(object);
	fresh(into);
	failover_recall(into, object, wall_ms() - mono_ms(), mono_ms());
	json_decref(object);
}

static void
forget(struct failover *of)
{
	region_forget(&of->memory[LOCAL]);
	region_forget(&of->memory[REMOTE]);
}

/* Has something that is to be remembered changed since the last call? */
static bool
file_changed(void)
{
	static struct failover last;
	static int64_t last_shift;
	int64_t shift = wall_ms() - mono_ms();
	const struct machine *a = &failover.machine, *b = &last.machine;
	bool changed;

	changed = shift != last_shift || a->current != b->current ||
	    a->entered != b->entered || a->braked != b->braked ||
	    a->nmoves != b->nmoves ||
	    memcmp(a->moves, b->moves, sizeof(a->moves)) != 0 ||
	    memcmp(&failover.hold, &last.hold, sizeof(last.hold)) != 0 ||
	    memcmp(&failover.force, &last.force, sizeof(last.force)) != 0 ||
	    failover.force_state != last.force_state ||
	    memcmp(failover.drift, last.drift, sizeof(last.drift)) != 0;
	last = failover;
	last_shift = shift;
	return (changed);
}

/* The state file changes nothing of what it says; it is tried again when that
 * has changed, and now and then. */
static void
check_file(void)
{
	static struct failover copy;
	const struct machine *a = &failover.machine, *b = &copy.machine;
	int64_t shift = wall_ms() - mono_ms();
	json_t *object, *again;

	if (!file_changed() && !one_in(100))
		return;
	object = failover_remember(&failover, shift);
	fresh(&copy);
	failover_recall(&copy, object, shift, mono_ms());
	again = failover_remember(&copy, shift);
	assert_true(json_equal(object, again));
	assert_int_equal(a->current, b->current);
	assert_int_equal(a->entered, b->entered);
	assert_int_equal(a->braked, b->braked);
	assert_int_equal(a->nmoves, b->nmoves);
	assert_memory_equal(a->moves, b->moves,
	    a->nmoves * sizeof(a->moves[0]));
	forget(&copy);
	json_decref(object);
	json_decref(again);
	seen.trips++;
}

/* What the machine has made of the samples, and whether it has moved. */
static void
check_move(struct past *one, int before, struct verdicts *v)
{
	const struct decision *decision = &failover.decision;
	int step = past.count - 1, candidate;
	enum pending pending = PENDING_NONE;
	bool latched = false;

	make_verdicts(v, step);
	one->read = read_of(v->of);
	if (decision->read != one->read)
		fail_msg("step %d: read %d, not %d", step, decision->read,
		    one->read);
	assert_int_equal(decision->local, v->of[0]);
	assert_int_equal(decision->remote, v->of[1]);
	assert_int_equal(decision->remote_bgp, v->of[2]);

	candidate = candidate_of(step);
	if (candidate != 0)
		pending = pending_of(step, candidate);
	one->current = before;
	if (candidate != 0 && pending == PENDING_NONE && one->read != 0) {
		one->current = candidate;
		candidate = 0;
		if (before != 0 && policy->brake > 0 && !conf.passive &&
		    !past.hold.given && !past.force.given)
			latched = brake_of(one->at);
	}
	if (decision->current != one->current)
		fail_msg("step %d: read %d, %d became %d, not %d", step,
		    one->read, before, decision->current, one->current);
	assert_int_equal(decision->candidate, candidate);
	assert_int_equal(decision->pending, pending);
	assert_int_equal(decision->brake_latched, latched);
	assert_int_equal(failover.machine.current, one->current);
	assert_int_equal(failover.machine.braked, past.braked);
	one->reason = reason_of(step, v, candidate);
}

static void
count_step(int before)
{
	const struct decision *decision = &failover.decision;

	seen.steps++;
	seen.transitions += decision->changed;
	seen.rescues += decision->changed && decision->current != 1;
	seen.returns += decision->changed && decision->current == 1 &&
	    before != 0;
	seen.reads += decision->read != 0;
	seen.unknowns += decision->read == 0;
	seen.brakes += decision->brake_latched;
	seen.braked += past.braked;
	seen.passive += conf.passive;
	seen.waits += decision->wait_takeover;
	seen.stuck += decision->handover_stuck;
	seen.kept += decision->keep_secondary;
	seen.fast += decision->fast;
	seen.pending[decision->pending]++;
}

/* After a step: everything that the rules say of it. */
static void
check_step(void)
{
	const struct decision *decision = &failover.decision;
	int step = past.count - 1;
	int before = current_before(step);
	struct past *one = &past.past[step];
	struct verdicts v;
	bool stuck;

	if (policy->brake == 0) {
		past.braked = false;
		past.nmoves = 0;
	}
	check_move(one, before, &v);
	assert_int_equal(decision->old, before);
	assert_int_equal(decision->changed, before != one->current);
	/* In so many words: no move because of what is not known, and nothing
	 * but the return to state 1 is put off. */
	if (decision->read == 0)
		assert_false(decision->changed);
	if (decision->candidate != 1)
		assert_true(decision->pending < PENDING_RETURN);
	check_orders(one->read, one->current);

	one->free = !past.force.given && (!past.hold.given || conf.passive);
	assert_int_equal(decision->wait_takeover, wait_of(step, &stuck));
	assert_int_equal(decision->handover_stuck, stuck);
	assert_int_equal(decision->keep_secondary, keep_of(step));
	assert_int_equal(decision->fast, fast_of(step));
	assert_int_equal(decision->interval,
	    decision->fast ? policy->fast : policy->interval);
	check_file();
	count_step(before);
}

/* A cycle that saw this. */
static void
run_step(const struct sample *sample)
{
	struct past *one = &past.past[past.count++];

	assert_true(past.count <= STEPS_MAX);
	one->at = world.at;
	memcpy(one->services, sample->services, sizeof(one->services));
	memcpy(one->bgp, sample->bgp, sizeof(one->bgp));
	memcpy(one->announces, sample->remote_announces,
	    sizeof(one->announces));
	failover.sample = *sample;
	operator_orders(&failover);
	end_orders();
	machine_step(&failover.machine, policy, &failover.orders, sample,
	    mono_ms(), &failover.decision);
	check_step();
}

static void
random_policy(void)
{
	struct policy *p = &conf.policy;
	int i;

	policy_default(p);
	p->window = 1 + pick(6);
	p->up = 1 + pick(p->window);
	p->down = p->window + 1 - p->up;
	if (one_in(2))
		p->down += pick(p->window - p->down + 1);
	p->local_bgp = one_in(2);
	p->bgp_down_after = one_in(2) ? 0 : pick(60) * SECOND;
	p->unknown_after = (15 + pick(60)) * SECOND;
	for (i = 1; i <= STATE_MAX; i++)
		p->verify[i] = 1 + pick(3);
	p->dwell = one_in(2) ? 0 : pick(200) * SECOND;
	p->dwell_except = pick(4) == 0 ? pick(512) & ~1U : 0;
	p->return_after = one_in(3) ? 0 : pick(300) * SECOND;
	p->brake = one_in(4) ? 0 : 1 + pick(4);
	p->brake_period = (60 + pick(3600)) * SECOND;
	p->handover = one_in(4) ? -1 : pick(90) * SECOND;
	p->interval = (5 + pick(25)) * SECOND;
	p->fast = p->interval / (1 + pick(4));
	while (one_in(2)) {
		i = 1 + (int)pick(STATE_MAX);
		p->table[i] = state_table[1 + pick(STATE_MAX)];
	}
}

static enum verdict
random_verdict(uint32_t unknowns)
{
	if (pick(10) < unknowns)
		return (V_UNKNOWN);
	return (pick(4) == 0 ? V_NO : V_YES);
}

static void
random_sample(struct sample *sample, uint32_t unknowns, uint32_t changes)
{
	enum verdict *all[] = { &sample->services[LOCAL],
		&sample->services[REMOTE], &sample->bgp[LOCAL],
		&sample->bgp[REMOTE], &sample->remote_announces[PRIMARY],
		&sample->remote_announces[SECONDARY] };
	size_t i;

	for (i = 0; i < COUNT(all); i++)
		if (one_in(changes))
			*all[i] = random_verdict(unknowns);
}

/* An instant that was remembered, after the wall clock was set. */
static int64_t
moved(int64_t at, int64_t ahead)
{
	at += ahead - world.ahead;
	return (at > world.at ? world.at : at);
}

/*
 * The daemon is started again, on the same machine or after a reboot, with the
 * same configuration or another; the wall clock may have been set meanwhile.
 */
static void
restart(void)
{
	int64_t ahead = world.ahead, since = entered_before(past.count);
	int current = current_before(past.count);
	char *text = remembered(&failover);
	int i;

	world.at += pick(100 * SECOND);
	if (one_in(2)) {
		world.boot = world.at - pick(50 * SECOND);
		seen.reboots++;
	}
	if (one_in(3)) {
		world.ahead += (int64_t)pick(1000 * SECOND) - 500 * SECOND;
		seen.clock_sets++;
	}
	past.first = past.count;
	past.restored = current;
	past.since = moved(since, ahead);
	for (i = 0; i < past.nmoves; i++)
		past.moves[i] = moved(past.moves[i], ahead);
	if (one_in(3))
		random_policy();

	forget(&failover);
	recall(&failover, text);
	free(text);
	assert_int_equal(failover.machine.current, past.restored);
	if (past.restored != 0)
		assert_int_equal(failover.machine.entered,
		    past.since - world.boot);
	assert_int_equal(failover.machine.braked, past.braked);
	assert_int_equal(failover.machine.nmoves, past.nmoves);
	for (i = 0; i < past.nmoves; i++)
		assert_int_equal(failover.machine.moves[i],
		    past.moves[i] - world.boot);
	assert_int_equal(failover.hold.given, past.hold.given);
	assert_int_equal(failover.force.given, past.force.given);
	seen.restarts++;
}

static int64_t
random_end(struct expected_order *order)
{
	int64_t seconds = one_in(3) ? 0 : 1 + pick(300);

	order->given = true;
	order->until = seconds == 0 ? 0 : wall_ms() + seconds * SECOND;
	return (seconds);
}

/* Returns whether it was taken. */
static bool
random_force(void)
{
	struct expected_order order;
	int state = 1 + (int)pick(STATE_MAX);
	bool anyway = one_in(2), fine;
	char why[256];

	fine = anyway ||
	    policy->table[state].prefix[PRIMARY] != ADVERT_WITHDRAW ||
	    failover.sample.remote_announces[PRIMARY] == V_YES;
	assert_int_equal(operator_force(&failover, state, random_end(&order),
			     anyway, "test", why, sizeof(why)),
	    fine ? 0 : -1);
	seen.forces += fine;
	seen.refused += !fine;
	if (!fine)
		return (false);
	past.force = order;
	past.force_state = state;
	return (true);
}

/* Somebody orders something between two cycles. */
static void
random_order(void)
{
	switch (pick(6)) {
	case 0:
		operator_hold(&failover, random_end(&past.hold), "test");
		seen.holds++;
		break;
	case 1:
		if (!random_force())
			return;
		break;
	case 2:
	case 3:
		operator_release(&failover);
		past.hold.given = past.force.given = false;
		seen.releases++;
		break;
	case 4:
		operator_ack(&failover);
		past.braked = false;
		past.nmoves = 0;
		seen.acks++;
		break;
	default:
		conf.passive = one_in(4);
		return; /* it is noticed in the next cycle */
	}
	end_orders();
	/* Only what was decided since the last restart can be acted on. */
	if (past.count > past.first)
		check_orders(past.past[past.count - 1].read,
		    past.past[past.count - 1].current);
}

static void
random_time(void)
{
	world.at += failover.decision.interval + pick(3) * SECOND;
	if (one_in(50)) {
		world.at += one_in(2) ? pick(7200 * SECOND) : pick(60 * SECOND);
		seen.gaps++;
	}
	if (one_in(100)) {
		world.ahead += (int64_t)pick(600 * SECOND) - 300 * SECOND;
		seen.clock_sets++;
	}
}

/* When all verdicts have become what constant samples say, the first of which
 * is taken now. */
static int64_t
verdicts_settled(void)
{
	int64_t interval = policy->interval;
	int64_t window = interval *
	    (policy->up > policy->down ? policy->up : policy->down);
	int64_t bgp = interval + policy->bgp_down_after;
	int64_t unknown = interval + policy->unknown_after;
	int64_t most = window > bgp ? window : bgp;

	return (world.at + (most > unknown ? most : unknown));
}

/*
 * Inputs that stay the same: the row of the table is reached in the time that
 * verification, dwell and return-after imply, whatever has happened before; at
 * most the brake keeps from state 1, and that until it is acknowledged.
 */
static void
check_settles(void)
{
	struct sample sample;
	struct verdicts v;
	int64_t settled, end, wait;
	int target;

	random_sample(&sample, one_in(3) ? 3 : 0, 1);
	if (one_in(2))
		sample.services[LOCAL] = sample.services[REMOTE] =
		    sample.bgp[LOCAL] = sample.bgp[REMOTE] = V_YES;
	memcpy(v.services, sample.services, sizeof(v.services));
	v.of[0] = sample.services[LOCAL];
	if (policy->local_bgp)
		v.of[0] = both(v.of[0], sample.bgp[LOCAL]);
	v.of[1] = sample.services[REMOTE];
	v.of[2] = sample.bgp[REMOTE];
	target = read_of(v.of);

	settled = end = verdicts_settled();
	if (target != 0) {
		wait = policy->interval * (policy->verify[target] - 1);
		if (wait < policy->dwell + policy->interval)
			wait = policy->dwell + policy->interval;
		if (target == 1 &&
		    wait < policy->return_after + policy->interval)
			wait = policy->return_after + policy->interval;
		end += wait;
	}
	for (;; world.at += failover.decision.interval) {
		run_step(&sample);
		if (world.at >= settled) {
			assert_int_equal(failover.decision.read, target);
			if (target == 0)
				assert_false(failover.decision.changed);
		}
		if (world.at >= end)
			break;
	}
	if (target == 0) {
		seen.nowhere++;
		return;
	}
	if (target == 1 && past.braked && failover.decision.current != 1) {
		assert_int_equal(failover.decision.pending, PENDING_BRAKE);
		operator_ack(&failover);
		past.braked = false;
		past.nmoves = 0;
		world.at += failover.decision.interval;
		run_step(&sample);
		seen.settled_braked++;
	}
	if (failover.decision.current != target)
		fail_msg("%d, not %d", failover.decision.current, target);
	assert_int_equal(failover.decision.candidate, 0);
	assert_int_equal(failover.decision.pending, PENDING_NONE);
	seen.settled++;
}

static void
random_memory(void)
{
	(void)region_remember(&failover.memory[pick(SIDES)], "api",
	    mono_ms() - pick(100 * SECOND), one_in(2));
	failover.had_peers[LOCAL] = one_in(2);
	(void)drift_repaired(&failover.drift[pick(OBJECTS)], mono_ms());
}

static void
random_schedule(void)
{
	static const struct sample nothing = {
		.services = { V_UNKNOWN, V_UNKNOWN },
		.bgp = { V_UNKNOWN, V_UNKNOWN },
		.remote_announces = { V_UNKNOWN, V_UNKNOWN },
	};
	struct sample sample = nothing;
	uint32_t unknowns = pick(4), changes = 4 + pick(20);
	uint32_t steps = 1 + pick(200), orders = one_in(3) ? 0 : 3 + pick(40);

	past.count = past.first = past.restored = past.nmoves = 0;
	past.since = 0;
	past.braked = past.hold.given = past.force.given = false;
	world.at = pick(1000 * SECOND);
	world.boot = world.at - pick(1000 * SECOND);
	world.ahead = INT64_C(1790000000000);
	random_policy();
	conf.passive = false;
	fresh(&failover);
	random_memory();
	random_sample(&sample, unknowns, 1);
	while (steps-- > 0) {
		if (one_in(100))
			restart();
		if (orders > 0 && one_in(orders))
			random_order();
		random_sample(&sample, unknowns, changes);
		run_step(one_in(20) ? &nothing : &sample);
		random_time();
	}
	if (one_in(2))
		restart();
	check_settles();
	forget(&failover);
	seen.schedules++;
}

/* A schedule in which nothing happens would prove nothing. */
static void
check_seen(void)
{
	uint64_t n = seen.schedules;
	int i;

	assert_true(seen.steps > 100 * n);
	assert_true(seen.transitions > 5 * n);
	assert_true(seen.rescues > 3 * n);
	assert_true(seen.returns > n);
	assert_true(seen.reads > 30 * n);
	assert_true(seen.unknowns > 30 * n);
	assert_true(seen.brakes > n / 5);
	assert_true(seen.braked > 10 * n);
	assert_true(seen.acks > n / 2);
	assert_true(seen.holds > n / 2);
	assert_true(seen.forces > n / 2);
	assert_true(seen.refused > n / 100);
	assert_true(seen.releases > n);
	assert_true(seen.ends > n / 3);
	assert_true(seen.forced_blind > n);
	assert_true(seen.passive > 5 * n);
	assert_true(seen.restarts > n);
	assert_true(seen.reboots > n / 2);
	assert_true(seen.gaps > n);
	assert_true(seen.clock_sets > n);
	assert_true(seen.trips > 5 * n);
	assert_true(seen.waits > n);
	assert_true(seen.stuck > n / 20);
	assert_true(seen.kept > 10 * n);
	assert_true(seen.fast > 10 * n);
	assert_true(seen.settled > n / 2);
	assert_true(seen.settled_braked > n / 50);
	assert_true(seen.nowhere > n / 20);
	for (i = PENDING_VERIFY; i <= PENDING_BRAKE; i++)
		assert_true(seen.pending[i] > n / 2);
}

/* How far it came, also if it failed. */
static int
tell(void **state)
{
	(void)state;
	print_message("%llu schedules, %llu steps: %llu transitions, %llu "
		      "restarts, %llu brakes, %llu holds, %llu forces\n",
	    (unsigned long long)seen.schedules, (unsigned long long)seen.steps,
	    (unsigned long long)seen.transitions,
	    (unsigned long long)seen.restarts, (unsigned long long)seen.brakes,
	    (unsigned long long)seen.holds, (unsigned long long)seen.forces);
	return (0);
}

static void
random_schedules(void **state)
{
	const char *number = getenv("MTGCPD_SCHEDULES");
	uint64_t schedules = SCHEDULES;

	(void)state;
	if (number != NULL)
		schedules = strtoull(number, NULL, 10);
	log_setlevel(LOG_CRIT);
	seed = 0x6d742d67637064;
	while (seen.schedules < schedules)
		random_schedule();
	if (schedules >= 1000)
		check_seen();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(random_schedules, tell),
	};

	return (cmocka_run_group_tests_name("schedules", tests, NULL, NULL));
}
