/* SPDX-License-Identifier: MIT */
/* Copyright (c) 2026 The mt-gcpd authors */

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "log.h"
#include "mtgcpd.h"

static int64_t
clock_ms(clockid_t id)
{
	struct timespec ts;

	if (clock_gettime(id, &ts) == -1)
		fatal("clock_gettime");
	return ((int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000);
}

/* Milliseconds that never jump; every timer and every age runs on them. */
int64_t
mono_ms(void)
{
	return (clock_ms(CLOCK_BOOTTIME));
}

/* Milliseconds since the epoch, for people and for the state file. */
int64_t
wall_ms(void)
{
	return (clock_ms(CLOCK_REALTIME));
}

/* Write a new correlation id, hc-<epoch seconds>-<8 hex>, to buf. */
void
correlation_id(char *buf, size_t len)
{
	snprintf(buf, len, "hc-%lld-%08x", (long long)(wall_ms() / 1000),
	    arc4random());
}
