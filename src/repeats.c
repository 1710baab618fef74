/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <string.h>

#include "repeats.h"

/*
 * Lines that repeat the one before, as syslogd(8) has it: the first few are
 * written, the others are counted.  Only equal texts of equal priority are
 * repeats; correlation ids do not matter.
 */

/*
 * Is this the line that came last, less than a minute ago?  now is monotonic,
 * in milliseconds.
 */
bool
repeats_same(const struct repeats *repeats, int priority, const char *text,
    int64_t now)
{
	return (repeats->seen > 0 && priority == repeats->priority &&
	    now - repeats->last < REPEATS_MS &&
	    strcmp(text, repeats->text) == 0);
}

/*
 * Note a line that has come; before another one than the last, the caller has
 * to take what was held back.  Returns true if it is to be held back.
 */
bool
repeats_hold(struct repeats *repeats, int priority, const char *corr,
    const char *text, int64_t now)
{
	if (!repeats_same(repeats, priority, text, now)) {
		repeats->priority = priority;
		strlcpy(repeats->text, text, sizeof(repeats->text));
		repeats->seen = 0;
		repeats->held = 0;
	}
	repeats->last = now;
	if (repeats->seen < REPEATS_SHOWN) {
		repeats->seen++;
		return (false);
	}
	repeats->held++;
	strlcpy(repeats->corr, corr, sizeof(repeats->corr));
	return (true);
}

/* How many lines were held back since this was asked last. */
uint32_t
repeats_take(struct repeats *repeats)
{
	uint32_t held = repeats->held;

	repeats->held = 0;
	return (held);
}
