/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <stddef.h>
#include <string.h>

#include "state.h"

#define ADV  ADVERT_ADVERTISE
#define WDR  ADVERT_WITHDRAW
#define PRIO STEER_PRIORITY
#define FAIL STEER_FAILED

/* A reading may take as long as the interval, and this where that is short. */
#define READING_MAX (10 * 1000)

/* What each state does, unless the configuration says otherwise. */
const struct actions state_table[STATE_MAX + 1] = {
	[1] = { { ADV, WDR }, PRIO },
	[2] = { { WDR, WDR }, FAIL },
	[3] = { { ADV, ADV }, PRIO },
	[4] = { { ADV, WDR }, FAIL },
	[5] = { { ADV, WDR }, FAIL },
	[6] = { { ADV, ADV }, PRIO },
	[7] = { { ADV, ADV }, PRIO },
	[8] = { { ADV, WDR }, FAIL },
};

/* The verdicts that make each state. */
static const struct {
	enum verdict local;
	enum verdict remote;
	enum verdict remote_bgp;
} rows[STATE_MAX + 1] = {
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
 * Fill in the policy that mt-gcpd.conf(5) gives as its defaults; durations are
 * milliseconds.
 */
void
policy_default(struct policy *policy)
{
	int state;

	memset(policy, 0, sizeof(*policy));
	policy->window = 5;
	policy->up = 4;
	policy->down = 3;
	policy->unknown_after = 45 * 1000;
	policy->bgp_down_after = 60 * 1000;
	policy->local_bgp = true;
	policy->return_after = 300 * 1000;
	policy->brake = 6;
	policy->brake_period = 3600 * 1000;
	policy->handover = 60 * 1000;
	policy->interval = 15 * 1000;
	policy->fast = 5 * 1000;
	for (state = 1; state <= STATE_MAX; state++)
		policy->verify[state] = 1;
	memcpy(policy->table, state_table, sizeof(policy->table));
}

/* What a candidate waits for, in events and logs; a constant string. */
const char *
pending_name(enum pending pending)
{
	static const char *const names[] = {
		[PENDING_NONE] = "nothing",
		[PENDING_VERIFY] = "verification",
		[PENDING_DWELL] = "dwell time",
		[PENDING_RETURN] = "return-after",
		[PENDING_BRAKE] = "acknowledgement",
	};

	return (names[pending]);
}

/* Do both do the same to both prefixes and to the routes? */
bool
actions_equal(const struct actions *a, const struct actions *b)
{
	return (a->prefix[PRIMARY] == b->prefix[PRIMARY] &&
	    a->prefix[SECONDARY] == b->prefix[SECONDARY] &&
	    a->cloudflare == b->cloudflare);
}

/* A machine that knows nothing yet and is in no state; it owns no memory. */
void
machine_init(struct machine *machine)
{
	int side;

	memset(machine, 0, sizeof(*machine));
	for (side = LOCAL; side < SIDES; side++) {
		machine->services[side].verdict = V_UNKNOWN;
		machine->bgp[side].verdict = V_UNKNOWN;
		machine->bgp[side].run = V_UNKNOWN;
	}
}

/*
 * A machine that comes back in a state (0 to 8), which it entered at that time
 * of the caller's present clock; it may lie before the clock's zero.  Nothing
 * else is remembered: every verdict starts as unknown, so nothing is done
 * before fresh samples say what to do, and the clock of the secondary prefix
 * starts anew.
 */
void
machine_restore(struct machine *machine, int current, int64_t entered)
{
	machine_init(machine);
	machine->current = current;
	machine->entered = entered;
}

/*
 * Give back, after machine_restore(), a transition that counted for the brake:
 * its time on the caller's present clock.  The oldest come first; too many are
 * dropped.
 */
void
machine_move(struct machine *machine, int64_t at)
{
	if (machine->nmoves <= BRAKE_MAX)
		machine->moves[machine->nmoves++] = at;
}

/* The administrator has seen to it: let go of the brake, and count anew. */
void
machine_ack(struct machine *machine)
{
	machine->braked = false;
	machine->nmoves = 0;
}

static bool
fits(enum verdict known, enum verdict row)
{
	return (known == V_UNKNOWN || known == row);
}

/*
 * The state that the verdicts say.  An unknown that cannot change the actions
 * is no obstacle: if all states that are still possible have the same actions
 * in the policy's table, it is the lowest-numbered of them.  Otherwise it is
 * STATE_NONE.
 */
int
state_read(const struct policy *policy, enum verdict local, enum verdict remote,
    enum verdict remote_bgp)
{
	int state, found = STATE_NONE;

	for (state = 1; state <= STATE_MAX; state++) {
		if (!fits(local, rows[state].local) ||
		    !fits(remote, rows[state].remote) ||
		    !fits(remote_bgp, rows[state].remote_bgp))
			continue;
		if (found == STATE_NONE)
			found = state;
		else if (!actions_equal(&policy->table[found],
			     &policy->table[state]))
			return (STATE_NONE);
	}
	return (found);
}

static uint32_t
count_healthy(const struct window *window)
{
	return ((uint32_t)__builtin_popcountll(window->bits));
}

/* Forget all but the n youngest samples. */
static void
window_cut(struct window *window, uint32_t n)
{
	if (window->count > n)
		window->count = n;
	if (window->count < WINDOW_MAX)
		window->bits &= (1ULL << window->count) - 1;
}

/*
 * Has nothing been known for too long?  A known sample that ends the hole came
 * in time unless a whole cycle is missing: unknown_after may be as short as the
 * interval, and slow readings alone must not empty what they fill.
 */
static bool
is_stale(const struct policy *policy, enum verdict sample, int64_t last_known,
    int64_t now)
{
	int64_t limit = policy->unknown_after;
	int64_t reading = policy->interval;

	if (reading < READING_MAX)
		reading = READING_MAX;
	if (sample != V_UNKNOWN && limit < policy->interval + reading)
		limit = policy->interval + reading;
	return (now - last_known >= limit);
}

/*
 * Of the last n known samples, enough healthy ones make the window healthy,
 * enough unhealthy ones unhealthy; otherwise it keeps its verdict.  An unknown
 * sample does not enter it, and after too long without a known one nothing is
 * known any more.
 */
static void
window_step(struct window *window, const struct policy *policy,
    enum verdict sample, int64_t now)
{
	uint32_t healthy;

	if (is_stale(policy, sample, window->last_known, now)) {
		window->verdict = V_UNKNOWN;
		window_cut(window, 0);
	}
	if (sample == V_UNKNOWN)
		return;
	window->last_known = now;
	window->bits = window->bits << 1 | (sample == V_YES);
	window->count++;
	window_cut(window, policy->window);
	healthy = count_healthy(window);
	if (healthy >= policy->up)
		window->verdict = V_YES;
	else if (window->count - healthy >= policy->down)
		window->verdict = V_NO;
}

/*
 * Cloud Router may be away for a minute, in planned maintenance, without loss
 * of traffic: so down counts only once every known sample has said so for a
 * while, two at least, and up after two.  An unknown sample neither counts nor
 * interrupts, but too long without a known one and nothing is known any more.
 */
static void
bgp_step(struct bgp_watch *bgp, const struct policy *policy,
    enum verdict sample, int64_t now)
{
	if (is_stale(policy, sample, bgp->last_known, now)) {
		bgp->verdict = bgp->run = V_UNKNOWN;
		bgp->run_count = 0;
	}
	if (sample == V_UNKNOWN)
		return;
	bgp->last_known = now;
	if (bgp->run != sample) {
		bgp->run = sample;
		bgp->run_count = 0;
		bgp->run_since = now;
	}
	if (bgp->run_count < 2)
		bgp->run_count++;
	if (policy->bgp_down_after == 0 ||
	    (bgp->run_count >= 2 &&
		(sample == V_YES ||
		    now - bgp->run_since >= policy->bgp_down_after)))
		bgp->verdict = sample;
}

/* Count how often running the candidate has been read. */
static void
candidate_step(struct machine *machine, int read)
{
	if (read == STATE_NONE)
		return; /* neither counts nor resets */
	if (read == machine->current) {
		machine->candidate = STATE_NONE;
		machine->candidate_count = 0;
	} else if (read != machine->candidate) {
		machine->candidate = read;
		machine->candidate_count = 1;
	} else if (machine->candidate_count < UINT32_MAX)
		machine->candidate_count++;
}

/* For how long has state 1 been read?  A 0 does not interrupt. */
static void
return_step(struct machine *machine, int read, int64_t now)
{
	if (read == STATE_NONE)
		return;
	if (read == 1 && !machine->one_running)
		machine->one_since = now;
	machine->one_running = read == 1;
}

/*
 * A state is kept for its dwell time, unless it or the one to be entered is
 * excepted.  The first decision does not wait.
 */
static int64_t
dwell_left(const struct machine *machine, const struct policy *policy,
    int64_t now)
{
	uint32_t pair = 1U << machine->current | 1U << machine->candidate;

	if (machine->current == STATE_NONE || (policy->dwell_except & pair))
		return (0);
	return (machine->entered + policy->dwell - now);
}

/* State 1 is entered only after it has been read for long enough. */
static int64_t
return_left(const struct machine *machine, const struct policy *policy,
    int64_t now)
{
	if (machine->current == STATE_NONE || machine->candidate != 1)
		return (0);
	return (machine->one_since + policy->return_after - now);
}

/* What does the candidate wait for? */
static void
pending_step(const struct machine *machine, const struct policy *policy,
    int64_t now, struct decision *decision)
{
	uint32_t verify;
	int64_t dwell, back;

	if (machine->candidate == STATE_NONE)
		return;
	verify = policy->verify[machine->candidate];
	dwell = dwell_left(machine, policy, now);
	back = return_left(machine, policy, now);
	decision->candidate = machine->candidate;
	if (machine->candidate_count < verify) {
		decision->pending = PENDING_VERIFY;
		decision->verify_left = verify - machine->candidate_count;
	} else if (dwell > 0) {
		decision->pending = PENDING_DWELL;
		decision->pending_left = dwell;
	} else if (back > 0) {
		decision->pending = PENDING_RETURN;
		decision->pending_left = back;
	} else if (machine->braked && machine->candidate == 1 &&
	    machine->current != STATE_NONE) {
		decision->pending = PENDING_BRAKE;
		decision->pending_left = -1;
	}
}

/*
 * Count a transition that the machine made by itself.  More than the policy
 * allows within its period and state 1 is not entered again until somebody
 * has looked at it; all other moves are rescues and are made.
 */
static void
brake_step(struct machine *machine, const struct policy *policy,
    const struct orders *orders, int64_t now, struct decision *decision)
{
	uint32_t old = 0;

	if (policy->brake == 0 || !decision->changed ||
	    decision->old == STATE_NONE || orders->passive || orders->hold ||
	    orders->force != STATE_NONE)
		return;
	while (old < machine->nmoves &&
	    now - machine->moves[old] >= policy->brake_period)
		old++;
	if (old == 0 && machine->nmoves > BRAKE_MAX)
		old = 1;
	machine->nmoves -= old;
	memmove(machine->moves, machine->moves + old,
	    machine->nmoves * sizeof(machine->moves[0]));
	machine->moves[machine->nmoves++] = now;
	if (machine->nmoves > policy->brake && !machine->braked)
		machine->braked = decision->brake_latched = true;
}

/*
 * Enter the candidate's state, if nothing holds it back any more.  A candidate
 * outlives cycles that know too little, but is never entered in one.
 */
static void
transition_step(struct machine *machine, const struct policy *policy,
    int64_t now, struct decision *decision)
{
	decision->old = machine->current;
	pending_step(machine, policy, now, decision);
	if (decision->read != STATE_NONE && machine->candidate != STATE_NONE &&
	    decision->pending == PENDING_NONE) {
		machine->current = machine->candidate;
		machine->entered = now;
		machine->candidate = STATE_NONE;
		machine->candidate_count = 0;
		machine->taken_over = machine->stuck = false;
		decision->candidate = STATE_NONE;
		decision->changed = true;
	}
	decision->current = machine->current;
}

/* In passive mode all is planned and shown, for nothing is written anyway. */
static bool
is_held(const struct orders *orders)
{
	return (orders->hold && !orders->passive);
}

/*
 * State 2 takes the primary prefix away from this side, so it is acted on once
 * the remote side announces it, or after waiting for long enough in vain.  Both
 * take evidence that it is still the right state: a side that has recovered
 * meanwhile, and only waits to return, keeps its prefix.  A remote side that is
 * seen to announce it no longer has taken it back for that, or has lost it: then
 * nothing more is handed over to it, such as by a step that failed until now.
 */
static void
takeover_step(struct machine *machine, const struct policy *policy,
    const struct orders *orders, const struct sample *sample, int64_t now,
    struct decision *decision)
{
	int64_t left = machine->entered + policy->handover - now;

	if (policy->handover < 0 || machine->current != 2)
		return;
	if (sample->remote_announces[PRIMARY] == V_NO)
		machine->taken_over = false;
	else if (sample->remote_announces[PRIMARY] == V_YES &&
	    decision->read == 2)
		machine->taken_over = true;
	if (!machine->taken_over && !machine->stuck && left <= 0 &&
	    decision->read == 2 && !is_held(orders) &&
	    orders->force == STATE_NONE)
		machine->stuck = decision->handover_stuck = true;
	decision->wait_takeover = !machine->taken_over && !machine->stuck;
	if (decision->wait_takeover)
		decision->takeover_left = left > 0 ? left : 0;
}

/* Does this step's transition decide to withdraw the secondary prefix? */
static bool
decides_withdrawal(const struct policy *policy, const struct decision *decision)
{
	return (decision->changed &&
	    policy->table[decision->current].prefix[SECONDARY] ==
		ADVERT_WITHDRAW);
}

/*
 * The secondary prefix is withdrawn only after the remote side has been seen
 * announcing it without interruption; not to see it is an interruption.  The
 * time counts from the last decision to withdraw: a remote side that recovers
 * before it has withdrawn anything has announced the prefix all along, and yet
 * needs the time to steer the traffic back to itself.  So it does if an earlier
 * state has asked for the withdrawal already, in vain.  It is kept without
 * hand-over rules too: they may come with a reload.
 */
static void
secondary_step(struct machine *machine, const struct policy *policy,
    const struct sample *sample, int64_t now, struct decision *decision)
{
	bool announced = sample->remote_announces[SECONDARY] == V_YES;
	int64_t left;

	if (decides_withdrawal(policy, decision))
		machine->secondary_running = false;
	if (announced && !machine->secondary_running)
		machine->secondary_since = now;
	machine->secondary_running = announced;
	if (!announced) {
		decision->secondary_left = -1;
		decision->keep_secondary = policy->handover >= 0;
		return;
	}
	left = machine->secondary_since + policy->handover - now;
	decision->secondary_left = left > 0 ? left : 0;
	decision->keep_secondary = left > 0;
}

static bool
contradicts(enum verdict sample, enum verdict verdict)
{
	return (sample != V_UNKNOWN && sample != verdict);
}

/*
 * Look more often while a known sample contradicts its verdict or a candidate
 * is pending, but not for ever; what is unknown never speeds anything up.
 */
static void
interval_step(struct machine *machine, const struct policy *policy,
    const struct sample *sample, int64_t now, struct decision *decision)
{
	bool reason;

	reason = contradicts(sample->services[LOCAL],
		     machine->services[LOCAL].verdict) ||
	    contradicts(sample->services[REMOTE],
		machine->services[REMOTE].verdict) ||
	    contradicts(sample->bgp[REMOTE], machine->bgp[REMOTE].verdict) ||
	    (policy->local_bgp &&
		contradicts(sample->bgp[LOCAL], machine->bgp[LOCAL].verdict)) ||
	    (machine->candidate != STATE_NONE && decision->read != STATE_NONE);
	if (reason && !machine->fast_running)
		machine->fast_since = now;
	machine->fast_running = reason;
	decision->fast = reason && now - machine->fast_since < FAST_STRETCH;
	decision->interval = decision->fast ? policy->fast : policy->interval;
}

/*
 * One cycle: take the sample that was complete at now (milliseconds), and
 * decide.  The machine is changed; policy, orders and sample are only read,
 * and policy and orders may be others than in the step before.  All of
 * *decision is written, and it cannot fail.  now must not run backwards.
 *
 * A step that reads STATE_NONE, for not enough is known, makes no transition,
 * and what waits goes on waiting.
 */
void
machine_step(struct machine *machine, const struct policy *policy,
    const struct orders *orders, const struct sample *sample, int64_t now,
    struct decision *decision)
{
	int side;

	memset(decision, 0, sizeof(*decision));
	for (side = LOCAL; side < SIDES; side++) {
		window_step(&machine->services[side], policy,
		    sample->services[side], now);
		bgp_step(&machine->bgp[side], policy, sample->bgp[side], now);
	}
	decision->local = machine->services[LOCAL].verdict;
	if (policy->local_bgp)
		decision->local = v_and(decision->local,
		    machine->bgp[LOCAL].verdict);
	decision->remote = machine->services[REMOTE].verdict;
	decision->remote_bgp = machine->bgp[REMOTE].verdict;
	decision->read = state_read(policy, decision->local, decision->remote,
	    decision->remote_bgp);

	if (policy->brake == 0)
		machine_ack(machine);
	candidate_step(machine, decision->read);
	return_step(machine, decision->read, now);
	transition_step(machine, policy, now, decision);
	brake_step(machine, policy, orders, now, decision);
	decision_order(policy, orders, decision);
	takeover_step(machine, policy, orders, sample, now, decision);
	secondary_step(machine, policy, sample, now, decision);
	interval_step(machine, policy, sample, now, decision);
}

/*
 * What is to be done now, and may it begin?  Of what is not known nothing is
 * done, unless the administrator has taken over.  Part of machine_step(), and
 * to be called again when the orders change between two steps.
 */
void
decision_order(const struct policy *policy, const struct orders *orders,
    struct decision *decision)
{
	decision->overridden = orders->force != STATE_NONE;
	decision->acting = decision->overridden ? orders->force :
						  decision->current;
	decision->may_act = decision->overridden ||
	    (decision->read != STATE_NONE && decision->current != STATE_NONE &&
		!is_held(orders));
	decision->actions = policy->table[decision->acting];
}
