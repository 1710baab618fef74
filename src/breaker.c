/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <string.h>

#include "breaker.h"

/* The state of a breaker in events. */
const char *
breaker_state_name(enum breaker_state state)
{
	static const char *const names[] = {
		[BREAKER_CLOSED] = "closed",
		[BREAKER_OPEN] = "open",
		[BREAKER_HALF_OPEN] = "half_open",
	};

	return (names[state]);
}

/*
 * May the service behind the breaker be called at now?  When the time for it
 * has come an open breaker becomes half-open, and the call is the trial.  The
 * caller makes one at a time.
 */
bool
breaker_allows(struct breaker *breaker, int64_t now)
{
	if (breaker->state == BREAKER_OPEN && now >= breaker->trial)
		breaker->state = BREAKER_HALF_OPEN;
	return (breaker->state != BREAKER_OPEN);
}

static void
breaker_open(struct breaker *breaker, const struct breaker_policy *policy,
    int64_t now)
{
	int64_t first = policy->first < TRIAL_MIN ? TRIAL_MIN : policy->first;

	breaker->wait = breaker->wait == 0 ? first : breaker->wait * 2;
	if (breaker->wait > policy->timeout)
		breaker->wait = policy->timeout;
	breaker->trial = now + breaker->wait;
	breaker->state = BREAKER_OPEN;
}

/*
 * A cycle that called the service has ended at now; ok: no call failed.  Many
 * failures in one cycle count as one.  Success closes the breaker and forgets;
 * enough failures running, or a trial that fails, open it.  Returns whether
 * its state has changed, or its trial has failed.
 */
bool
breaker_result(struct breaker *breaker, const struct breaker_policy *policy,
    bool ok, int64_t now)
{
	enum breaker_state before = breaker->state;

	if (ok) {
		memset(breaker, 0, sizeof(*breaker));
		return (before != BREAKER_CLOSED);
	}
	if (breaker->failures < UINT32_MAX)
		breaker->failures++;
	if (before == BREAKER_OPEN) /* of a call from before it opened */
		return (false);
	if (before == BREAKER_CLOSED && breaker->failures < policy->threshold)
		return (false);
	breaker_open(breaker, policy, now);
	return (true);
}
