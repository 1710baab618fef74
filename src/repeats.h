/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#ifndef MTGCPD_REPEATS_H
#define MTGCPD_REPEATS_H

#include <stdbool.h>
#include <stdint.h>

#include "proto.h"

#define REPEATS_SHOWN 3		  /* equal lines in a row that are written */
#define REPEATS_MS    (60 * 1000) /* that lines are held back, at most */

/* The line that came last, and how often. */
struct repeats {
	int priority;
	char text[LOGTEXT_LEN + 32];
	char corr[CORR_LEN]; /* of the line that was held back last */
	uint32_t seen;	     /* in a row; 0: there was none */
	uint32_t held;	     /* back since something was written */
	int64_t last;	     /* when it came last; milliseconds, monotonic */
};

bool repeats_hold(struct repeats *, int priority, const char *corr,
    const char *text, int64_t now);
bool repeats_same(const struct repeats *, int priority, const char *text,
    int64_t now);
uint32_t repeats_take(struct repeats *);

#endif /* MTGCPD_REPEATS_H */
