/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include "forecast.h"

/* The actions of a decision, but for what the hand-over rules hold back. */
struct actions
decision_picture(const struct decision *decision)
{
	struct actions picture = decision->actions;

	if (decision->keep_secondary && !decision->overridden &&
	    picture.prefix[SECONDARY] == ADVERT_WITHDRAW)
		picture.prefix[SECONDARY] = ADVERT_KEEP;
	return (picture);
}

/* May what is decided be carried out now? */
bool
decision_acts(const struct decision *decision)
{
	return (decision->may_act &&
	    (!decision->wait_takeover || decision->overridden));
}

static void
describe(const struct decision *decision, int64_t in, struct forecast *change)
{
	change->in = in;
	change->local = decision->local;
	change->remote = decision->remote;
	change->remote_bgp = decision->remote_bgp;
	change->read = decision->read;
	change->current = decision->current;
	change->acts = decision_acts(decision);
	change->actions = decision_picture(decision);
}

static bool
same(const struct forecast *a, const struct forecast *b)
{
	return (a->local == b->local && a->remote == b->remote &&
	    a->remote_bgp == b->remote_bgp && a->read == b->read &&
	    a->current == b->current && a->acts == b->acts &&
	    actions_equal(&a->actions, &b->actions));
}

/* After so long without a change there is none to come, if nothing new is
 * seen: everything that the machine waits for takes less. */
static int64_t
longest_wait(const struct policy *policy)
{
	int64_t cycles = policy->window;
	int state;

	for (state = 1; state <= STATE_MAX; state++)
		if (policy->verify[state] > cycles)
			cycles = policy->verify[state];
	return ((cycles + 2) * policy->interval + policy->unknown_after +
	    policy->bgp_down_after + policy->dwell + policy->return_after +
	    (policy->handover > 0 ? policy->handover : 0));
}

/*
 * Fill in the changes that are to come, the first one first, and return how
 * many there are.  settled: nothing comes after them; else the look ahead has
 * ended there, after that many cycles at most.
 */
size_t
forecast(const struct standing *from, uint64_t cycles,
    struct forecast changes[FORECAST_MAX], bool *settled)
{
	struct machine machine = *from->machine;
	struct decision decision = *from->decision;
	struct forecast before, after;
	int64_t at = from->next, changed = from->now;
	int64_t patience = longest_wait(from->policy);
	size_t n = 0;

	describe(&decision, 0, &before);
	*settled = false;
	while (n < FORECAST_MAX && cycles-- > 0) {
		if (at - changed > patience) {
			*settled = true;
			break;
		}
		machine_step(&machine, from->policy, from->orders, from->sample,
		    at, &decision);
		describe(&decision, at - from->now, &after);
		if (!same(&before, &after)) {
			changes[n++] = before = after;
			changed = at;
		}
		at += decision.interval;
	}
	return (n);
}
