/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <string.h>

#include "breaker.h"

/*
 * What somebody else had changed of ours was repaired at now.  The third time
 * within ten minutes means that another program wants something else: the
 * object becomes contested, and is to be left alone until a transition or the
 * administrator says otherwise.  Returns the repairs within that time, this
 * one included.
 */
uint32_t
drift_repaired(struct drift *drift, int64_t now)
{
	uint32_t old = 0;

	while (old < drift->count && now - drift->repaired[old] >= DRIFT_PERIOD)
		old++;
	if (old == 0 && drift->count == DRIFT_REPAIRS)
		old = 1;
	drift->count -= old;
	memmove(drift->repaired, drift->repaired + old,
	    drift->count * sizeof(drift->repaired[0]));
	drift->repaired[drift->count++] = now;
	if (drift->count == DRIFT_REPAIRS)
		drift->contested = true;
	return (drift->count);
}

/* Count anew: the object is ours to repair again. */
void
drift_forget(struct drift *drift)
{
	memset(drift, 0, sizeof(*drift));
}
