/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef MTGCPD_BREAKER_H
#define MTGCPD_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Circuit breakers and the repairs of drift: how long something that goes
 * wrong is tried again.  Pure: no I/O, no clock.  Times are milliseconds of
 * the caller's clock.
 */

#define TRIAL_MIN     (15 * 1000) /* the first trial comes no sooner */
#define DRIFT_REPAIRS 3		  /* of one object, in ... */
#define DRIFT_PERIOD  (600 * 1000)

enum breaker_state {
	BREAKER_CLOSED,
	BREAKER_OPEN,
	BREAKER_HALF_OPEN, /* one trial may be made */
};

/* What the administrator configured. */
struct breaker_policy {
	uint32_t threshold; /* failing cycles that open it */
	int64_t first;	    /* until the first trial, if that is enough */
	int64_t timeout;    /* until a trial, at most */
};

struct breaker {
	enum breaker_state state;
	uint32_t failures; /* running */
	int64_t wait;	   /* until the next trial, from its opening */
	int64_t trial;	   /* when that is */
};

/* The repairs of one object of ours. */
struct drift {
	int64_t repaired[DRIFT_REPAIRS]; /* oldest first */
	uint32_t count;
	bool contested;
};

/* breaker.c */
bool breaker_allows(struct breaker *, int64_t now);
bool breaker_result(struct breaker *, const struct breaker_policy *, bool ok,
    int64_t now);
const char *breaker_state_name(enum breaker_state);

/* drift.c */
uint32_t drift_repaired(struct drift *, int64_t now);
void drift_forget(struct drift *);

#endif /* MTGCPD_BREAKER_H */
